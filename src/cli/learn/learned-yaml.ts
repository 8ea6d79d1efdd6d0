/** A learned profile as people read it: a manifest that can be applied as it is, with what it rests on in comments. */
import { type Document, isNode } from "yaml";
import { jsonText, printable } from "../../api/printable.ts";
import type { LearnedProfile, LeftOut } from "../../learn/learn.ts";
import type { Coverage, Observation } from "../../learn/recording.ts";
import type { RuleEvidence } from "../../learn/rules.ts";
import { LEFT_OUT_WORDS, type LeftOutReason } from "../../learn/set-apart.ts";
import { evidenceJson, observationJson, seconds, timesText, whatText } from "./observation-text.ts";
import { documentText, profileDocument } from "./profile-yaml.ts";

/** Of what was left out of one process, or of what a wider rule covers. */
const EXAMPLES_MAX = 5;

/** What can be learned all the same, by naming the path. */
const INCLUDABLE: ReadonlySet<LeftOutReason> = new Set(["shell", "package-manager", "debugger", "modified"]);

/** The manifest's text, with a newline at its end. The same profile gives the same text. */
export function learnedYaml(learned: LearnedProfile): string {
  const { profile, evidence, coverage } = learned;
  const document = profileDocument(profile);
  for (const item of evidence) comment(document, item, coverage);
  const head = headLines(learned).map((line) => (line === "" ? "#" : `# ${printable(line)}`));
  return `${head.join("\n")}\n${documentText(document)}`;
}

function comment(document: Document, item: RuleEvidence, coverage: Coverage): void {
  const node = document.getIn(item.path, true);
  if (!isNode(node)) return;
  node.comment = ` ${printable(evidenceText(item, coverage))}`;
}

function evidenceText({ times, first, last, replicas, covers }: RuleEvidence, coverage: Coverage): string {
  const [from, to] = [seconds(first), seconds(last)];
  const when = from === to ? from : `${from} to ${to}`;
  const among = coverage.replicas.length > 1 ? `, ${replicas.size} of ${coverage.replicas.length} replicas` : "";
  const wider = covers.length === 0 ? "" : `; for ${listing(covers)}`;
  return `${timesText(times)}${among}, ${when}${wider}`;
}

function listing(values: readonly string[]): string {
  const more = values.length - EXAMPLES_MAX;
  return `${values.slice(0, EXAMPLES_MAX).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

function headLines({ evidence, coverage, leftOut, proposals, warnings }: LearnedProfile): string[] {
  const once = evidence.filter(({ times }) => times === 1).length;
  return [
    ...coverageLines(coverage),
    ...(once === 0 ? [] : [`${once} of its ${evidence.length} values were seen once only.`]),
    "Each peer of an entry may be reached on each port of that entry. Read it before you apply it.",
    ...section("Left out:", leftOut.flatMap(leftOutLines)),
    ...section("Wider rules that --generalize takes:", [
      ...new Set(
        proposals.map(({ kind, pattern, covers }) => `--generalize ${kind}: ${pattern} for ${listing(covers)}`),
      ),
    ]),
    ...section("`portcullis validate` warns:", warnings),
  ];
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ["", title, ...lines.map((line) => `  ${line}`)];
}

function coverageLines({ replicas, from, to, records, lost, violations }: Coverage): string[] {
  if (from === null || to === null) return ["Learned by Portcullis. There was no record of network traffic."];
  const who = replicas.length === 1 ? "1 replica" : `${replicas.length} replicas`;
  return [
    `Learned by Portcullis from ${records} ${records === 1 ? "record" : "records"} of ${who}, ${seconds(from)} to ${seconds(to)}.`,
    ...(lost === 0 ? [] : [`Incomplete: ${lost} records were lost, and what they were about may be missing here.`]),
    ...(violations === 0 ? [] : [`Not learned: ${violations} packets that the profile in force did not allow.`]),
  ];
}

function leftOutLines({ reason, path, observations }: LeftOut): string[] {
  const title = [path, LEFT_OUT_WORDS[reason], startedBy(observations)].filter((part) => part !== null).join(", ");
  const how = INCLUDABLE.has(reason) ? ` (--include ${path} learns it)` : "";
  return [`${title}${how}`, ...whatLines(reason, observations).map((line) => `  ${line}`)];
}

function startedBy(observations: readonly Observation[]): string | null {
  const parents = [...new Set(observations.map(({ parent }) => parent))].filter((parent) => parent !== null).sort();
  return parents.length === 0 ? null : `started by ${listing(parents)}`;
}

function whatLines(reason: LeftOutReason, observations: readonly Observation[]): string[] {
  // A made-up name may be a secret, or data that somebody sent out by it.
  if (reason === "one-off-name") return [`${observations.length} conversations and questions`];
  const lines = observations
    .slice(0, EXAMPLES_MAX)
    .map((one) => `${whatText(one)}: ${timesText(one.evidence.times)}, ${seconds(one.evidence.last)}`);
  const more = observations.length - lines.length;
  return more > 0 ? [...lines, `and ${more} more`] : lines;
}

/** For programs: profile, evidence, what was left out and proposed, and what the records cover. */
export function learnedJson({ profile, evidence, leftOut, proposals, coverage, warnings }: LearnedProfile): string {
  const object = {
    profile,
    coverage,
    evidence: evidence.map(evidenceJson),
    leftOut: leftOut.map(({ observations, ...what }) => ({ ...what, observations: observations.map(observationJson) })),
    ...{ proposals, warnings },
  };
  return `${jsonText(object, 2)}\n`;
}
