/** `portcullis score`: how much of what profiles allow was used. */

import { Command, Option } from "commander";
import { jsonText } from "../../api/printable.ts";
import type { SecurityProfile } from "../../api/types.ts";
import { type UsedProcess, usage } from "../../learn/usage.ts";
import { profileName } from "../../policy/compile/compile.ts";
import { selects } from "../../policy/table/selection.ts";
import { fold } from "../../terminal/fit.ts";
import { tableLines } from "../../terminal/table.ts";
import { lineWidth } from "../../terminal/width.ts";
import { ExitStatus, exitStatusHelp } from "../exit-status.ts";
import { coverageNotes } from "./coverage-notes.ts";
import { noteMissing } from "./records-input.ts";
import { addReplayOptions, type ReplayedWorkload, type ReplayOptions, replayedWorkloads } from "./replayed.ts";

interface ScoreOptions extends ReplayOptions {
  output: "text" | "json";
}

const EXAMPLES = `
Examples:
  portcullis score -f web.yaml --input-file events.json

A value is one peer, port, protocol or name of a list. \`portcullis diff\` names those that were not used.

${exitStatusHelp({ 0: "the shares are printed", 3: "they are printed, and records are missing" })}`;

export function scoreCommand(): Command {
  return addReplayOptions(new Command("score"))
    .summary("say how much of what profiles allow was used")
    .description(
      "Counts, for each workload and executable, the values of its rules, and those that recorded traffic has used.",
    )
    .addOption(new Option("-o, --output <format>", "format of the answer").choices(["text", "json"]).default("text"))
    .addHelpText("after", EXAMPLES)
    .action(async (name: string | undefined, options: ScoreOptions) => {
      const { profiles, workloads, missing } = await replayedWorkloads(name, options);
      const scored = workloads.map((workload) => ({ workload, scores: scoresOf(profiles, workload) }));
      const width = lineWidth(process.stdout);
      const isGiven = options.resolver !== undefined;
      process.stdout.write(
        options.output === "json"
          ? scoresJson(scored)
          : scored.map(({ workload, scores }) => scoresText(workload, scores, isGiven, width)).join("\n"),
      );
      process.exitCode = noteMissing(missing) ? ExitStatus.INCOMPLETE : ExitStatus.GOOD;
    });
}

interface Score {
  profile: string;
  path: string;
  container: string | null;
  used: number;
  /** Values of which records do not tell whether they were used. */
  unknown: number;
  values: number;
}

function scoresOf(profiles: readonly SecurityProfile[], replayed: ReplayedWorkload): Score[] {
  const { namespace, workload } = replayed;
  const { recording } = workload;
  const labels = { ...recording.labels()[0] };
  return profiles
    .filter((profile) => selects(profile, { namespace, labels }).selected)
    .flatMap((profile) =>
      usage(profile, recording.observations(), replayed).map((entry) => scoreOf(profileName(profile), entry)),
    );
}

function scoreOf(profile: string, { path, container, values }: UsedProcess): Score {
  const unknown = values.filter(({ evidence }) => evidence === "unknown").length;
  const unused = values.filter(({ evidence }) => evidence === null).length;
  return { profile, path, container, used: values.length - unknown - unused, unknown, values: values.length };
}

function scoresText(workload: ReplayedWorkload, scores: readonly Score[], isGiven: boolean, width: number): string {
  const rows = scores.map(({ profile, path, container, used, unknown, values }) => [
    container === null ? path : `${path} (${container})`,
    String(values),
    String(used),
    unknown === 0 ? "" : String(unknown),
    values === unknown ? "" : `${Math.round((100 * used) / (values - unknown))} %`,
    profile,
  ]);
  const heading = ["PROCESS", "VALUES", "USED", "UNKNOWN", "SHARE", "PROFILE"];
  const fits = ["path", "right", "right", "right", "right", "keep"] as const;
  const notes = coverageNotes(workload, isGiven).flatMap((note) => fold(note, width, 2));
  const table = tableLines([heading, ...rows], { fits, width, indent: "  " });
  return `${[`${workload.namespace}/${workload.name}`, ...notes, "", ...table].join("\n")}\n`;
}

function scoresJson(scored: readonly { workload: ReplayedWorkload; scores: readonly Score[] }[]): string {
  const listed = scored.map(({ workload: { namespace, name, coverage, resolvers }, scores }) => ({
    ...{ namespace, name, coverage, resolvers, scores },
  }));
  return `${jsonText(listed, 2)}\n`;
}
