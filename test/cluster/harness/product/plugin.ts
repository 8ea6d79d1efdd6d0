/** `kubectl portcullis` on the tests' cluster. */
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { join } from "node:path";
import type { Cluster } from "../cluster.ts";
import { FOLDER } from "../place.ts";
import { PROJECT, shell } from "./product.ts";

/** How the plugin is run, as the administrator or by another kubeconfig. */
export function pluginCommand(cluster: Cluster, args: readonly string[], kubeconfig = cluster.controlPlane.kubeconfig) {
  // Makes the folder that kubectl is found in.
  shell(cluster, ["kubectl", "version"]);
  const [node] = cluster.nodes;
  const command = [`--net=/run/netns/${node?.place.netns}`, "--", join(PROJECT, "bin/kubectl-portcullis"), ...args];
  const env = { ...process.env, PATH: `${join(FOLDER, "bin")}:${process.env.PATH}`, KUBECONFIG: kubeconfig };
  return { file: "nsenter", args: command, options: { env, encoding: "utf8" as const } };
}

/** Runs it to its end. */
export function plugin(cluster: Cluster, ...args: string[]): SpawnSyncReturns<string> {
  const command = pluginCommand(cluster, args);
  return spawnSync(command.file, command.args, command.options);
}
