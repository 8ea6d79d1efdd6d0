/** `kubectl portcullis doctor`: what a node can enforce, asked of its agent. */

import { Command, Option } from "commander";
import { exitStatusHelp } from "../exit-status.ts";
import { agents, Kubectl, KubectlError, type KubectlOptions } from "./kubectl.ts";
import { addConnection, addSystemAccess, type SystemAccess } from "./options.ts";

/** As in the image, which has no shell and nothing on a path. */
const PROGRAM = ["/usr/local/bin/node", "/opt/portcullis/src/cli/main.ts"];

const NOTE = `
It runs in the agent's container, so that it needs the right to exec into pods of Portcullis'
namespace.

Examples:
  kubectl portcullis doctor worker-1
  kubectl portcullis doctor worker-1 -o json | jq '.features[] | select(.available | not)'

${exitStatusHelp({ 0: "the node can enforce profiles", 1: "it cannot, or it cannot be asked" })}`;

interface DoctorOptions extends KubectlOptions, SystemAccess {
  output: "text" | "json";
}

export function doctorNodeCommand(): Command {
  return addSystemAccess(addConnection(new Command("doctor")))
    .summary("check what a node can enforce")
    .description(
      "Runs `portcullis doctor` in the agent of a node: which hooks its kernel has, and what is lost without the others.",
    )
    .argument("<node>", "name of the node")
    .addOption(new Option("-o, --output <format>", "format of the report").choices(["text", "json"]).default("text"))
    .addHelpText("after", NOTE)
    .action((node: string, options: DoctorOptions) => {
      const kubectl = new Kubectl(options);
      const agent = agentOn(kubectl, node, options.systemNamespace);
      const target = [`--namespace=${options.systemNamespace}`, agent, "--container=agent"];
      process.exitCode = kubectl.run("exec", ...target, "--", ...PROGRAM, "doctor", `--output=${options.output}`);
    });
}

/** The agent's pod on a node. @throws KubectlError if there is none, or no such node */
function agentOn(kubectl: Kubectl, node: string, systemNamespace: string): string {
  const [agent] = agents(kubectl, systemNamespace, `--field-selector=spec.nodeName=${node}`);
  if (agent !== undefined) return agent.metadata.name;
  // A name that is mistyped is reported as such.
  kubectl.object("node", node);
  throw new KubectlError(
    `there is no agent on node ${node} in namespace ${systemNamespace}: nothing is enforced there by this installation. ` +
      "Name its namespace with --system-namespace",
  );
}
