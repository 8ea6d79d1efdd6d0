/** Options that subcommands of the plugin share, named as kubectl names them. */
import type { Command } from "commander";
import type { KubectlOptions } from "./kubectl.ts";

export interface ClusterAccess extends KubectlOptions {
  namespace?: string;
}

export interface SystemAccess {
  systemNamespace: string;
}

/** Which cluster, and which namespace of it. */
export function addClusterAccess(command: Command): Command {
  return addConnection(command.option("-n, --namespace <name>", "namespace (default: the context's)"));
}

/** Which cluster. */
export function addConnection(command: Command): Command {
  return command
    .option("--context <name>", "context of the kubeconfig")
    .option("--kubeconfig <file>", "kubeconfig to use");
}

/** Where Portcullis itself is. */
export function addSystemAccess(command: Command): Command {
  return command.option("--system-namespace <name>", "where Portcullis is installed", "portcullis-system");
}

/** For kubectl. */
export function namespaceArguments({ namespace }: ClusterAccess): string[] {
  return namespace === undefined ? [] : [`--namespace=${namespace}`];
}
