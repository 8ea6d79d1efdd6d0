/** The chart, rendered by Helm's own engine. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";

export const CHART = join(import.meta.dirname, "../../charts/portcullis");
export const CHART_NAMESPACE = "portcullis-system";
const KUBE_VERSION = "1.36.0";

/** An object as it is in a manifest. */
export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; annotations?: Record<string, string> };
  // biome-ignore lint/suspicious/noExplicitAny: what is in it depends on its kind
  [field: string]: any;
}

/** Objects of a release, its hooks among them, `portcullis` with `--set` of these values. Throws what Helm says where it refuses. */
export function renderChart(helm: string, ...settings: string[]): Manifest[] {
  const set = settings.flatMap((setting) => ["--set", setting]);
  const fixed = ["--namespace", CHART_NAMESPACE, "--kube-version", KUBE_VERSION];
  const { status, stdout, stderr } = spawnSync(helm, ["template", "portcullis", CHART, ...fixed, ...set], {
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status !== 0) throw new Error(stderr);
  return parseAllDocuments(stdout).flatMap((document) => {
    if (document.errors.length > 0)
      throw new Error(`the chart renders to what is no YAML: ${document.errors[0]?.message}`);
    const object = document.toJS() as Manifest | null;
    return object === null ? [] : [object];
  });
}

/** What `helm lint` says; empty if it has nothing to say. */
export function lintChart(helm: string): string {
  const { status, stdout, stderr } = spawnSync(helm, ["lint", "--strict", CHART], { encoding: "utf8" });
  return status === 0 ? "" : `${stdout}${stderr}`;
}

/** The one object of a kind, and of a name if one is given. @throws AssertionError */
export function only(objects: Manifest[], kind: string, name?: string): Manifest {
  const found = objects.filter(
    (object) => object.kind === kind && (name === undefined || object.metadata.name === name),
  );
  assert.equal(found.length, 1, `one ${kind} ${name ?? ""}`);
  return found[0] as Manifest;
}
