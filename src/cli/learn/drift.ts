/** `portcullis drift`: what workloads did that the profiles in force do not allow. */
import { Command, Option } from "commander";
import { jsonText } from "../../api/printable.ts";
import { REASON_WORDS } from "../../api/reasons.ts";
import type { Deviation } from "../../learn/drift.ts";
import type { RecordedWorkload } from "../../learn/recorded-workloads.ts";
import { entryPath } from "../../learn/set-apart.ts";
import { fold } from "../../terminal/fit.ts";
import { tableLines } from "../../terminal/table.ts";
import { lineWidth } from "../../terminal/width.ts";
import { ExitStatus, exitStatusHelp } from "../exit-status.ts";
import { observationJson, seconds, whatText } from "./observation-text.ts";
import { addRecordOptions, chosenWorkload, noteMissing, type RecordOptions, readWorkloads } from "./records-input.ts";

interface DriftOptions extends RecordOptions {
  output: "text" | "json";
}

const EXAMPLES = `
Examples:
  portcullis drift
  portcullis drift shop/web --since 24h
  portcullis drift shop/web --input-file events.json -o json

portcullis accept adds a deviation to the profile, by its id.

${exitStatusHelp({
  0: "there is no deviation",
  1: "there are deviations",
  3: "there is none, and records are missing",
})}`;

export function driftCommand(): Command {
  const command = new Command("drift")
    .summary("list what workloads did that their profiles do not allow")
    .description(
      "Lists each distinct violation of the profiles in force once, newest first: the process, what it did, why that is not allowed, and how often. Reads the records of this node's agent, which needs root, or events from files, which needs no root, kernel or cluster.",
    )
    .argument("[workload]", "name of a pod or of its Deployment, with its namespace where two have it; absent: all");
  return addRecordOptions(command)
    .addOption(new Option("-o, --output <format>", "format of the answer").choices(["text", "json"]).default("text"))
    .addHelpText("after", EXAMPLES)
    .action(async (name: string | undefined, options: DriftOptions) => {
      const { workloads: recorded, missing } = await readWorkloads(options);
      const chosen = name === undefined ? recorded : [chosenWorkload(recorded, name)];
      const deviating = chosen.filter(({ drift }) => drift.deviations().length > 0);
      process.stdout.write(options.output === "json" ? driftJson(deviating) : driftText(deviating));
      const isIncomplete = noteMissing(missing);
      const none = isIncomplete ? ExitStatus.INCOMPLETE : ExitStatus.GOOD;
      process.exitCode = deviating.length > 0 ? ExitStatus.NO : none;
    });
}

function driftText(workloads: readonly RecordedWorkload[]): string {
  if (workloads.length === 0) return "No violation is recorded.\n";
  const width = lineWidth(process.stdout);
  const parts = workloads.map(({ namespace, name, drift }) => {
    const more = drift.overflow === 0 ? [] : [`  and ${drift.overflow} packets of further deviations`];
    return [`${namespace}/${name}`, "", ...deviationLines(drift.deviations(), width), ...more]
      .map((line) => `${line}\n`)
      .join("");
  });
  return parts.join("\n");
}

/** Columns from which there is room for what became of it, how many pods did it, and when last. */
const WIDE = 120;

/** A table, and its reasons in words. @param width columns of a line */
function deviationLines(deviations: readonly Deviation[], width: number): string[] {
  const isWide = width >= WIDE;
  const rows = deviations.map(({ id, observation, reason, verdicts }) => {
    const { times, replicas, last } = observation.evidence;
    const more = [verdictsText(verdicts), String(replicas.size), seconds(last)];
    const what = observation.question === null ? whatText(observation) : `asks for ${observation.question.name}`;
    return [id, entryPath(observation) ?? "(no process)", what, reason, String(times), ...(isWide ? more : [])];
  });
  const heading = ["ID", "PROCESS", "WHAT", "REASON", "TIMES", ...(isWide ? ["VERDICTS", "PODS", "LAST"] : [])];
  const wide = ["keep", "right", "keep"] as const;
  const fits = ["keep", "path", "shorten", "keep", "right", ...(isWide ? wide : [])] as const;
  const table = tableLines([heading, ...rows], { fits, width, indent: "  " });
  const reasons = [...new Set(deviations.map(({ reason }) => reason))];
  return [...table, "", ...reasons.flatMap((reason) => fold(`  ${reason}: ${REASON_WORDS[reason]}`, width, 4))];
}

/** `3 dropped, 1 alerted` */
function verdictsText(verdicts: Deviation["verdicts"]): string {
  return Object.entries(verdicts)
    .map(([verdict, packets]) => `${packets} ${verdict}`)
    .join(", ");
}

function driftJson(workloads: readonly RecordedWorkload[]): string {
  const listed = workloads.map(({ namespace, name, drift }) => ({
    ...{ namespace, name, furtherPackets: drift.overflow },
    deviations: drift.deviations().map(({ observation, ...rest }) => ({ ...rest, ...observationJson(observation) })),
  }));
  return `${jsonText(listed, 2)}\n`;
}
