/** A learned profile as people read it: a manifest that can be applied as it is, with what it rests on in comments. */
import { Document, isMap, isNode } from "yaml";
import { printable } from "../../api/printable.ts";
import { DIRECTIONS } from "../../api/reasons.ts";
import type { EgressRules, SecurityProfile } from "../../api/types.ts";
import type { LearnedProfile, LeftOut } from "../../learn/learn.ts";
import type { Coverage, Observation } from "../../learn/recording.ts";
import type { RuleEvidence } from "../../learn/rules.ts";
import { LEFT_OUT_WORDS, type LeftOutReason } from "../../learn/set-apart.ts";

/** Of what was left out of one process, or of what a wider rule covers. */
const EXAMPLES_MAX = 5;

/** What can be learned all the same, by naming the path. */
const INCLUDABLE: ReadonlySet<LeftOutReason> = new Set(["shell", "package-manager", "debugger", "modified"]);

/** The manifest's text, with a newline at its end. The same profile gives the same text. */
export function learnedYaml(learned: LearnedProfile): string {
  const { profile, evidence, coverage } = learned;
  const document = new Document(shown(profile));
  for (const item of evidence) comment(document, item, coverage);
  const head = headLines(learned).map((line) => (line === "" ? "#" : `# ${printable(line)}`));
  return `${head.join("\n")}\n${document.toString({ lineWidth: 0, flowCollectionPadding: true })}`;
}

/** Without what is so by default, in the order in which the documentation lists it. */
function shown({ apiVersion, kind, metadata, spec }: SecurityProfile) {
  const processes = (spec.processes ?? []).map(({ path, container, binary, network = {} }) => ({
    path,
    ...(container === undefined ? {} : { container }),
    ...(binary === "Any" ? { binary } : {}),
    network: Object.fromEntries(
      DIRECTIONS.flatMap((direction) => {
        const rules: EgressRules | undefined = network[direction];
        return rules === undefined ? [] : [[direction, inOrder(rules)]];
      }),
    ),
  }));
  return { apiVersion, kind, metadata, spec: { ...spec, processes } };
}

function inOrder({ fqdns, peers, cidr4, cidr6, l4, l7 }: EgressRules) {
  const all = Object.entries({ fqdns, peers, cidr4, cidr6, l4, l7 });
  return Object.fromEntries(all.filter(([, value]) => value !== undefined));
}

function comment(document: Document, item: RuleEvidence, coverage: Coverage): void {
  const node = document.getIn(item.path, true);
  if (!isNode(node)) return;
  if (isMap(node)) node.flow = true;
  node.comment = ` ${printable(evidenceText(item, coverage))}`;
}

function evidenceText({ times, first, last, replicas, covers }: RuleEvidence, coverage: Coverage): string {
  const when = first === last ? seconds(first) : `${seconds(first)} to ${seconds(last)}`;
  const among = coverage.replicas.length > 1 ? `, ${replicas.size} of ${coverage.replicas.length} replicas` : "";
  const wider = covers.length === 0 ? "" : `; for ${listing(covers)}`;
  return `${timesText(times)}${among}, ${when}${wider}`;
}

function timesText(times: number): string {
  return times === 1 ? "once" : `${times} times`;
}

/** `2026-01-02T03:04:05Z`: nobody needs milliseconds here. */
function seconds(time: string): string {
  return time.replace(/\.\d+Z$/, "Z");
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
  const lines = observations.slice(0, EXAMPLES_MAX).map(whatText);
  const more = observations.length - lines.length;
  return more > 0 ? [...lines, `and ${more} more`] : lines;
}

/** What was done, how often, and when. */
export function whatText({ direction, peer, name, protocol, port, question, evidence }: Observation): string {
  const where = port === null ? protocol : `${protocol} ${port}`;
  const what =
    question !== null
      ? `asks ${peer} for ${JSON.stringify(question.name)}`
      : direction === "egress"
        ? `connects to ${name ?? peer}, ${where}`
        : `is connected to by ${peer}, ${where}`;
  return `${what}: ${timesText(evidence.times)}, ${seconds(evidence.last)}`;
}

/** For programs: profile, evidence, what was left out and proposed, and what the records cover. */
export function learnedJson({ profile, evidence, leftOut, proposals, coverage, warnings }: LearnedProfile): string {
  const listed = <T extends { replicas: ReadonlySet<string> }>({ replicas, ...rest }: T) => ({
    ...rest,
    replicas: [...replicas].sort(),
  });
  const object = {
    profile,
    coverage,
    evidence: evidence.map(listed),
    leftOut: leftOut.map(({ reason, path, observations }) => ({
      ...{ reason, path },
      observations: observations.map((one) => ({ ...one, evidence: listed(one.evidence) })),
    })),
    ...{ proposals, warnings },
  };
  return `${JSON.stringify(object, null, 2)}\n`;
}
