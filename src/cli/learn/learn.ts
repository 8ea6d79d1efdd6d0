/** `portcullis learn`: the profile of a workload, from records of what it did. */
import { Command, Option } from "commander";
import { UsageError } from "../../api/errors.ts";
import { nearestObjectName } from "../../api/labels.ts";
import type { Generalization } from "../../learn/generalize.ts";
import { learn } from "../../learn/learn.ts";
import { selectorLabels } from "../../learn/owner.ts";
import { ExitStatus, exitStatusHelp } from "../exit-status.ts";
import { generalizeOption, includeOption } from "./learn-options.ts";
import { learnedJson, learnedYaml } from "./learned-yaml.ts";
import { addRecordOptions, chosenWorkload, noteMissing, type RecordOptions, readWorkloads } from "./records-input.ts";

interface LearnCommandOptions extends RecordOptions {
  include?: string[];
  generalize?: Generalization[];
  output: "yaml" | "json";
}

const EXAMPLES = `
Examples:
  portcullis learn shop/web --since 24h > web.yaml
  kubectl portcullis observe web-0 -n shop --verdict all -o json --timeout 1h > events.json
  portcullis learn shop/web --input-file events.json --resolver 10.96.0.10

docs/learn.md says what is learned, and what is left out.

${exitStatusHelp({ 0: "the profile is printed", 3: "it is printed, and records are missing" })}`;

export function learnCommand(): Command {
  const command = new Command("learn")
    .summary("write the profile of a workload, from records of what it did")
    .description(
      "Writes the SecurityProfile that allows what any replica of a workload did, and nothing else. Reads the records of this node's agent, which needs root, or events from files, which needs no root, kernel or cluster.",
    )
    .argument("[workload]", "name of a pod or of its Deployment, with its namespace where two have it: shop/web");
  return addRecordOptions(command)
    .addOption(includeOption())
    .addOption(generalizeOption())
    .addOption(new Option("-o, --output <format>", "format of the profile").choices(["yaml", "json"]).default("yaml"))
    .addHelpText("after", EXAMPLES)
    .action(async (name: string | undefined, options: LearnCommandOptions) => {
      const { workloads, pods, missing } = await readWorkloads(options);
      const workload = chosenWorkload(workloads, name);
      const labels = selectorLabels(workload.recording.labels());
      if (Object.keys(labels).length === 0) {
        throw new UsageError(
          `the replicas of ${workload.namespace}/${workload.name} have no label in common that a profile could select them by; label them`,
        );
      }
      const { resolver = [], searchDomain = [], include = [], generalize = [] } = options;
      const learned = learn(workload.recording, {
        ...{ name: nearestObjectName(workload.name), namespace: workload.namespace, labels, openPorts: [] },
        ...{ resolvers: resolver, searchDomains: searchDomain },
        podAt: (address) => pods.peerAt(address, workload.namespace),
        ...{ include: new Set(include), generalize: new Set(generalize) },
      });
      process.stdout.write(options.output === "json" ? learnedJson(learned) : learnedYaml(learned));
      process.exitCode = noteMissing(missing) ? ExitStatus.INCOMPLETE : ExitStatus.GOOD;
    });
}
