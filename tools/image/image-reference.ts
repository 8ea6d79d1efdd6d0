/** The image's name: what the chart asks for, so that `make image` makes what `helm install` runs. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

const CHART = join(import.meta.dirname, "../../charts/portcullis");
/** Where runtimes look for names that have no registry. */
const DEFAULT_REGISTRY = "docker.io/library";

/** Of the chart's own values, in full, as a runtime names it: `docker.io/library/portcullis:0.1.0`. */
export function imageReference(): string {
  const { image } = parse(readFileSync(join(CHART, "values.yaml"), "utf8")) as {
    image: { repository: string; tag: string };
  };
  const { appVersion } = parse(readFileSync(join(CHART, "Chart.yaml"), "utf8")) as { appVersion: string };
  const name = `${image.repository}:${image.tag || appVersion}`;
  return image.repository.includes("/") ? name : `${DEFAULT_REGISTRY}/${name}`;
}
