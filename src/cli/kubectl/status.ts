/** `kubectl portcullis status`: are the profiles in force, and is an agent on every node. */
import { Command } from "commander";
import { agents, Kubectl, type KubeObject } from "./kubectl.ts";
import { addClusterAccess, type ClusterAccess } from "./options.ts";

interface StatusOptions extends ClusterAccess {
  allNamespaces: boolean;
}

export function statusCommand(): Command {
  return addClusterAccess(new Command("status"))
    .summary("are the profiles in force, and is an agent on every node")
    .description(
      "Shows SecurityProfiles with what became of them, or all about one, and nodes without a working agent.",
    )
    .argument("[profile]", "all about one profile")
    .option("-A, --all-namespaces", "profiles of all namespaces", false)
    .action((profile: string | undefined, options: StatusOptions) => {
      const kubectl = new Kubectl(options);
      const scope = options.allNamespaces
        ? ["--all-namespaces"]
        : options.namespace === undefined
          ? []
          : [`--namespace=${options.namespace}`];
      if (profile !== undefined) {
        process.exitCode = kubectl.run("describe", "securityprofile", profile, ...scope);
        return;
      }
      const profiles = kubectl.text("get", "securityprofiles", ...scope, "--output=wide");
      process.stdout.write(profiles === "" ? "no SecurityProfiles\n" : profiles);
      const missing = nodesWithoutAgent(kubectl.list("nodes"), agents(kubectl, options.systemNamespace));
      process.stdout.write(`\n${agentText(missing)}\n`);
      if (missing.length > 0) process.exitCode = 1;
    });
}

/** Nodes on which nobody puts changes in force, with the reason. */
export function nodesWithoutAgent(nodes: KubeObject[], pods: KubeObject[]): string[] {
  return nodes.flatMap(({ metadata: { name } }) => {
    const agent = pods.find(({ spec }) => spec?.nodeName === name);
    if (agent === undefined) return [`${name}: there is no agent`];
    const ready = agent.status?.conditions?.find(({ type }) => type === "Ready")?.status === "True";
    return ready ? [] : [`${name}: ${agent.metadata.name} is not ready (${agent.status?.phase ?? "unknown"})`];
  });
}

function agentText(missing: string[]): string {
  if (missing.length === 0) return "every node has an agent that is connected";
  return ["nodes that changes do not reach:", ...missing.map((line) => `  ${line}`)].join("\n");
}
