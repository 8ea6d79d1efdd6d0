/**
 * Builds the container image without a network: `build-image.ts [--reference NAME:TAG] [--output FILE] [--root FOLDER]`.
 * The result is an OCI tar file for `ctr image import`, `docker load` and `podman load`, or (with --root) the folder that
 * Dockerfile starts from.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { imageReference } from "./image-reference.ts";
import { writeImage } from "./oci-image.ts";
import { ENTRYPOINT, ENVIRONMENT, makeRoot } from "./root.ts";

const PROJECT = join(import.meta.dirname, "../..");
const { version } = JSON.parse(readFileSync(join(PROJECT, "package.json"), "utf8")) as { version: string };

const { values } = parseArgs({
  options: {
    reference: { type: "string", default: imageReference() },
    output: { type: "string", default: join(PROJECT, "build/image/portcullis.tar") },
    root: { type: "string" },
  },
});

if (values.root !== undefined) {
  makeRoot(values.root);
  console.log(values.root);
} else {
  mkdirSync(dirname(values.output), { recursive: true });
  const root = mkdtempSync(join(tmpdir(), "pc-image-"));
  try {
    makeRoot(root);
    const labels = { "org.opencontainers.image.version": version, "org.opencontainers.image.licenses": "Apache-2.0" };
    const digest = await writeImage(
      { root, reference: values.reference, entrypoint: ENTRYPOINT, environment: ENVIRONMENT, labels },
      values.output,
    );
    console.log(`${values.output}  ${values.reference}  ${digest}`);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}
