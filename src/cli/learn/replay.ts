/** `portcullis replay`: what profiles would have made of what was recorded. */

import { Command, Option } from "commander";
import { jsonText } from "../../api/printable.ts";
import { lineWidth } from "../../terminal/width.ts";
import { ExitStatus, exitStatusHelp } from "../exit-status.ts";
import { observationJson } from "./observation-text.ts";
import { noteMissing } from "./records-input.ts";
import { count, replayText } from "./replay-text.ts";
import { addReplayOptions, type ReplayedWorkload, type ReplayOptions, replayedWorkloads } from "./replayed.ts";

interface ReplayCommandOptions extends ReplayOptions {
  output: "text" | "json";
}

const EXAMPLES = `
Examples:
  portcullis replay -f web.yaml --input-file events.json
  kubectl portcullis observe web-0 -n shop --verdict all -o json --timeout 1h | \\
    portcullis replay -f web.yaml --input-file -

Profiles are taken as enforced, whatever their actions are.

${exitStatusHelp({
  0: "all that was allowed would be allowed",
  1: "something that was allowed would be refused",
  3: "nothing would be refused, but something is undecided, or records are missing",
})}`;

export function replayCommand(): Command {
  return addReplayOptions(new Command("replay"))
    .summary("say what profiles would have refused of what was recorded")
    .description(
      "Judges recorded conversations and DNS questions by profiles, and says what the profiles would refuse. Reads the records of this node's agent, which needs root, or events from files, which needs no root, kernel or cluster.",
    )
    .addOption(new Option("-o, --output <format>", "format of the answer").choices(["text", "json"]).default("text"))
    .addHelpText("after", EXAMPLES)
    .action(async (name: string | undefined, options: ReplayCommandOptions) => {
      const { workloads, missing } = await replayedWorkloads(name, options);
      const isGiven = options.resolver !== undefined;
      process.stdout.write(
        options.output === "json"
          ? replayJson(workloads)
          : workloads.map((workload) => replayText(workload, isGiven, lineWidth(process.stdout))).join("\n"),
      );
      process.exitCode = statusOf(workloads, noteMissing(missing));
    });
}

function statusOf(workloads: readonly ReplayedWorkload[], isMissing: boolean): number {
  if (workloads.some((workload) => count(workload, "refused") > 0)) return ExitStatus.NO;
  const isIncomplete = isMissing || workloads.some((workload) => count(workload, "undecided") > 0);
  return isIncomplete ? ExitStatus.INCOMPLETE : ExitStatus.GOOD;
}

function replayJson(workloads: readonly ReplayedWorkload[]): string {
  const listed = workloads.map(({ namespace, name, coverage, resolvers, replayed }) => ({
    ...{ namespace, name, coverage, resolvers },
    replayed: replayed.map(({ outcome, finding, observation }) => ({
      ...{ outcome, finding },
      ...observationJson(observation),
    })),
  }));
  return `${jsonText(listed, 2)}\n`;
}
