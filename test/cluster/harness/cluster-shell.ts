/** The way into the tests' cluster: a script that runs a command, or a shell, with kubectl and helm, where the API server can be reached. */
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { helmBinary } from "../../../tools/helm/helm.ts";
import type { Cluster } from "./cluster.ts";
import { FOLDER } from "./place.ts";

/** What `make cluster-shell` runs. */
export const CLUSTER_SHELL = join(FOLDER, "bin/cluster-shell");

/** Helm, which is built if it has not been before. @throws Error where there is no Go to build it */
export function helmPath(): string {
  const helm = helmBinary();
  if (helm === null)
    throw new Error("helm is built with Go, and there is none: unpack it from https://go.dev/dl to /usr/local/go");
  return helm;
}

/** Writes the script, once for each cluster. @returns its path */
export function clusterShell({ controlPlane, nodes: [node] }: Cluster): string {
  if (existsSync(CLUSTER_SHELL)) return CLUSTER_SHELL;
  const folder = join(FOLDER, "bin");
  mkdirSync(folder);
  symlinkSync(helmPath(), join(folder, "helm"));
  symlinkSync(controlPlane.program("kubectl"), join(folder, "kubectl"));
  const script = `#!/bin/sh
export KUBECONFIG='${controlPlane.kubeconfig}' PATH='${folder}':"$PATH"
[ $# -gt 0 ] || set -- "\${SHELL:-/bin/sh}"
exec nsenter --net=/run/netns/${node?.place.netns} -- "$@"
`;
  writeFileSync(CLUSTER_SHELL, script, { mode: 0o755 });
  return CLUSTER_SHELL;
}
