/** `kubectl portcullis doctor`: what a node can enforce, asked of its agent. */
import { Command } from "commander";
import { agentOn, Kubectl } from "./kubectl.ts";
import { addClusterAccess, type ClusterAccess } from "./options.ts";

/** As in the image, which has no shell and nothing on a path. */
const PROGRAM = ["/usr/local/bin/node", "/opt/portcullis/src/cli/main.ts"];

export function doctorNodeCommand(): Command {
  return addClusterAccess(new Command("doctor"))
    .summary("what a node can enforce")
    .description("Runs `portcullis doctor` in the agent of a node: which hooks its kernel has, and what follows.")
    .argument("<node>", "name of the node")
    .action((node: string, options: ClusterAccess) => {
      const kubectl = new Kubectl(options);
      const agent = agentOn(kubectl, node, options.systemNamespace);
      const target = [`--namespace=${options.systemNamespace}`, agent.metadata.name, "--container=agent"];
      process.exitCode = kubectl.run("exec", ...target, "--", ...PROGRAM, "doctor");
    });
}
