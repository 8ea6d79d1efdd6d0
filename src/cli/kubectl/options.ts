/** Options that every subcommand of the plugin has, named as kubectl names them. */
import type { Command } from "commander";
import type { KubectlOptions } from "./kubectl.ts";

export interface ClusterAccess extends KubectlOptions {
  namespace?: string;
  systemNamespace: string;
}

export function addClusterAccess(command: Command): Command {
  return command
    .option("-n, --namespace <name>", "namespace (default: the context's)")
    .option("--system-namespace <name>", "where Portcullis is installed", "portcullis-system")
    .option("--context <name>", "context of the kubeconfig")
    .option("--kubeconfig <file>", "kubeconfig to use");
}
