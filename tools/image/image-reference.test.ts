/** `make image` makes the image that `helm install` runs. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { CHART, type Manifest, renderChart } from "../helm/chart.ts";
import { helmBinary } from "../helm/helm.ts";
import { imageReference } from "./image-reference.ts";

const helm = helmBinary() ?? "";
const skip = helm === "" ? "there is neither helm nor Go to build it with" : false;

test("every pod of the chart asks for the image's name, and the image has the project's version", { skip }, () => {
  const images = renderChart(helm).flatMap((object: Manifest) =>
    (object.spec?.template?.spec?.containers ?? []).map(({ image }: { image: string }) => image),
  );
  assert.ok(images.length >= 3);
  assert.deepEqual(
    images.filter((image: string) => `docker.io/library/${image}` !== imageReference()),
    [],
  );
  const { version } = JSON.parse(readFileSync(join(CHART, "../../package.json"), "utf8"));
  assert.equal(imageReference().split(":")[1], version);
});
