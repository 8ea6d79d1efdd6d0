/** What profiles would have made of a recording, for people. */
import { REASON_WORDS } from "../../api/reasons.ts";
import type { Finding } from "../../learn/judge.ts";
import type { Outcome, Replayed } from "../../learn/replay.ts";
import { entryPath } from "../../learn/set-apart.ts";
import { fold } from "../../terminal/fit.ts";
import { tableLines } from "../../terminal/table.ts";
import { coverageNotes } from "./coverage-notes.ts";
import { whatText } from "./observation-text.ts";
import type { ReplayedWorkload } from "./replayed.ts";

export function count({ replayed }: Pick<ReplayedWorkload, "replayed">, outcome: Outcome): number {
  return replayed.filter((one) => one.outcome === outcome).length;
}

/** What is worth a line: what was allowed and would be refused comes first. */
const TITLES = {
  refused: "Would be refused:",
  undecided: "Undecided, because the records do not say enough:",
  admitted: "Was a violation, and would be allowed:",
} as const satisfies Partial<Record<Outcome, string>>;

export function replayText(workload: ReplayedWorkload, resolverIsGiven: boolean, width: number): string {
  const { namespace, name, replayed } = workload;
  const parts = (Object.keys(TITLES) as (keyof typeof TITLES)[]).flatMap((outcome) => {
    const found = replayed.filter((one) => one.outcome === outcome);
    return found.length === 0 ? [] : ["", TITLES[outcome], "", ...foundLines(found, width)];
  });
  const violations = count(workload, "admitted") + count(workload, "still-refused");
  const counts = [
    [count(workload, "allowed"), "allowed as before"],
    [count(workload, "refused"), "would be refused"],
    [count(workload, "undecided"), "undecided"],
    [violations, violations === 1 ? "was a violation before" : "were violations before"],
  ] as const;
  const summary = counts.filter(([number]) => number > 0).map(([number, what]) => `${number} ${what}`);
  const notes = coverageNotes(workload, resolverIsGiven).flatMap((note) => fold(note, width, 2));
  return `${[`${namespace}/${name}: ${summary.join(", ")}`, ...notes, ...parts].join("\n")}\n`;
}

/** A table, and the reasons in words. @param width columns of a line */
export function foundLines(found: readonly Replayed[], width: number): string[] {
  const rows = found.map(({ observation, finding }) => [
    entryPath(observation) ?? "(no process)",
    whatText(observation),
    String(observation.evidence.times),
    finding === "Allowed" || finding === "undecided" ? "" : finding,
  ]);
  const fits = ["path", "shorten", "right", "keep"] as const;
  const table = tableLines([["PROCESS", "WHAT", "TIMES", "REASON"], ...rows], { fits, width, indent: "  " });
  const reasons = [...new Set(found.map(({ finding }) => finding))].filter(isReason);
  return [...table, ...reasons.flatMap((reason) => fold(`  ${reason}: ${REASON_WORDS[reason]}`, width, 4))];
}

function isReason(finding: Finding): finding is Exclude<Finding, "undecided" | "unjudged"> {
  return finding !== "undecided" && finding !== "unjudged" && finding !== "Allowed";
}
