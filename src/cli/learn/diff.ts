/** `portcullis diff`: a profile against what was seen, or against another. */
import { Command, Option } from "commander";
import { UsageError } from "../../api/errors.ts";
import type { SecurityProfile } from "../../api/types.ts";
import { narrowed, type UsedProcess, usage } from "../../learn/usage.ts";
import { profileName } from "../../policy/compile/compile.ts";
import { compareText } from "../../policy/table/names.ts";
import { selects } from "../../policy/table/selection.ts";
import { fold } from "../../terminal/fit.ts";
import { unifiedDiff } from "../../terminal/unified-diff.ts";
import { lineWidth } from "../../terminal/width.ts";
import { ExitStatus, exitStatusHelp } from "../exit-status.ts";
import { requireProfiles } from "../input/manifest-files.ts";
import { coverageNotes } from "./coverage-notes.ts";
import { documentText, profileDocument } from "./profile-yaml.ts";
import { addRecordOptions, noteMissing, type RecordOptions } from "./records-input.ts";
import { foundLines } from "./replay-text.ts";
import { type ReplayedWorkload, replayedWorkloads } from "./replayed.ts";

interface DiffOptions extends RecordOptions {
  output: "text" | "yaml";
}

const EXAMPLES = `
Examples:
  portcullis diff web.yaml learned.yaml
  portcullis diff web.yaml
  portcullis diff web.yaml --input-file events.json
  portcullis diff web.yaml --input-file events.json -o yaml > narrowed.yaml

Rights that were never used may still be needed: by what happens seldom, or did not happen while events were recorded.

${exitStatusHelp({
  0: "no difference: every right was used, and every use is allowed",
  1: "there are differences",
  3: "there is none, and records are missing",
})}`;

export function diffCommand(): Command {
  const command = new Command("diff")
    .summary("compare a profile with what was seen, or with another")
    .description(
      "With records: names the uses that a profile does not allow, and the rights that were never used, with the profile that is left without them. Without: compares two profiles.",
    )
    .argument("<profiles>", "profiles: a file, a folder, or - for standard input")
    .argument("[others]", "profiles to compare them with");
  return addRecordOptions(command)
    .addOption(
      new Option("-o, --output <format>", "text, or yaml: the profiles without what was not used")
        .choices(["text", "yaml"])
        .default("text"),
    )
    .addHelpText("after", EXAMPLES)
    .action(async (first: string, second: string | undefined, options: DiffOptions) => {
      if (second === undefined) return await diffRecords(first, options);
      if (options.inputFile === undefined) return diffProfiles(first, second, options);
      throw new UsageError("compare with one thing: further profiles, or the events of --input-file");
    });
}

/** Prints what is different in the manifests, both in one form. */
function diffProfiles(first: string, second: string, { output }: DiffOptions): void {
  if (output === "yaml") throw new UsageError("-o yaml is the profile without what was not used, which events tell");
  const [before, after] = [first, second].map(
    (path) => new Map(requireProfiles([path]).map((one) => [profileName(one), one])),
  );
  const names = [...new Set([...(before?.keys() ?? []), ...(after?.keys() ?? [])])].sort(compareText);
  const lines = names.flatMap((name) => changes(name, before?.get(name), after?.get(name)));
  process.stdout.write(lines.map((line) => `${line}\n`).join(""));
  process.exitCode = lines.length === 0 ? ExitStatus.GOOD : ExitStatus.NO;
}

/** None where the two are the same. */
function changes(name: string, before: SecurityProfile | undefined, after: SecurityProfile | undefined): string[] {
  const [old, fresh] = [before, after].map((profile) =>
    profile === undefined ? "" : documentText(profileDocument(profile)),
  ) as [string, string];
  return old === fresh ? [] : unifiedDiff({ source: name, before: old, after: fresh });
}

interface Difference {
  profile: SecurityProfile;
  /** All workloads that it selects, taken together. */
  processes: UsedProcess[];
}

async function diffRecords(path: string, options: DiffOptions): Promise<void> {
  const { profiles, workloads, pods, missing } = await replayedWorkloads(undefined, { ...options, profiles: [path] });
  const differences = profiles
    .filter((profile) => workloads.some((workload) => isSelected(profile, workload)))
    .map((profile): Difference => {
      const own = workloads.filter((workload) => isSelected(profile, workload));
      const observations = own.flatMap(({ workload }) => workload.recording.observations());
      const resolvers = own.flatMap((one) => one.resolvers);
      return { profile, processes: usage(profile, observations, { resolvers, pods }) };
    });
  const text =
    options.output === "yaml"
      ? differences
          .map(({ profile, processes }) => documentText(profileDocument(narrowed(profile, processes))))
          .join("---\n")
      : differenceText(workloads, differences, options.resolver !== undefined);
  process.stdout.write(text);
  const isDifferent =
    differences.some(({ processes }) => unusedOf(processes).length > 0) ||
    workloads.some(({ replayed }) => replayed.some(({ outcome }) => outcome === "refused"));
  const isIncomplete = noteMissing(missing);
  process.exitCode = isDifferent ? ExitStatus.NO : isIncomplete ? ExitStatus.INCOMPLETE : ExitStatus.GOOD;
}

function isSelected(profile: SecurityProfile, { namespace, workload }: ReplayedWorkload): boolean {
  return selects(profile, { namespace, labels: { ...workload.recording.labels()[0] } }).selected;
}

function unusedOf(processes: readonly UsedProcess[]) {
  return processes.flatMap(({ values }) => values.filter(({ evidence }) => evidence === null));
}

function differenceText(
  workloads: readonly ReplayedWorkload[],
  differences: readonly Difference[],
  isGiven: boolean,
): string {
  const width = lineWidth(process.stdout);
  const uses = workloads.flatMap((workload) => {
    const refused = workload.replayed.filter(({ outcome }) => outcome === "refused");
    const notes = coverageNotes(workload, isGiven).flatMap((note) => fold(note, width, 2));
    const lines =
      refused.length === 0 ? ["Every use is allowed."] : ["Not allowed:", "", ...foundLines(refused, width)];
    return [`${workload.namespace}/${workload.name}`, ...notes, ...lines, ""];
  });
  const rights = differences.flatMap(({ profile, processes }) => {
    const unused = unusedOf(processes);
    const name = profileName(profile);
    if (unused.length === 0) return [`${name}: every right was used.`];
    const patch = changes(name, profile, narrowed(profile, processes));
    return [
      `${name}: ${unused.length === 1 ? "1 right was" : `${unused.length} rights were`} never used:`,
      "",
      ...patch,
    ];
  });
  return [...uses, ...rights].map((line) => `${line}\n`).join("");
}
