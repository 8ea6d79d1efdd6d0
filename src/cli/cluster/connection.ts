/** The cluster that a command works on. */
import type { Command } from "commander";
import { KubeConnection } from "../../kube/connection.ts";
import { packageVersion } from "../package-version.ts";

export interface ConnectionOptions {
  kubeconfig?: string;
  context?: string;
}

/** Options by which the cluster is found. */
export function addConnectionOptions(command: Command): Command {
  return command
    .option(
      "--kubeconfig <file>",
      "how to reach the cluster; else KUBECONFIG, ~/.kube/config, or the pod's service account",
    )
    .option("--context <name>", "context of the kubeconfig");
}

/** @throws PortcullisError PC_KUBE_CONFIG where no cluster is configured */
export function connect({ kubeconfig, context }: ConnectionOptions): Promise<KubeConnection> {
  return KubeConnection.load({
    version: packageVersion(),
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    ...(context === undefined ? {} : { context }),
  });
}
