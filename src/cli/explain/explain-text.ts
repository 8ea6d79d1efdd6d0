/** The answer of `portcullis explain` for people. */

import { styleText } from "node:util";
import { stringify } from "yaml";
import { printable } from "../../api/printable.ts";
import { REASON_WORDS, type Verdict } from "../../api/reasons.ts";
import type { BlockReport, Explanation, Question } from "../../policy/explain/explain.ts";
import type { Layer, LayerReport, Traffic } from "../../policy/explain/explain-layers.ts";
import type { Remedy } from "../../policy/explain/remedy.ts";
import { familyOf, formatIp } from "../../policy/table/addresses.ts";
import { protocolName } from "../../policy/table/ports.ts";
import type { Subject } from "../../policy/table/subject.ts";
import { fold } from "../../terminal/fit.ts";
import { tableLines } from "../../terminal/table.ts";

const LAYER_NAMES = {
  binary: "Binary",
  ancestry: "Ancestors",
  user: "User",
  ethertype: "L3",
  peer: "Peer",
  port: "L4",
  application: "L7",
  "dns-name": "DNS",
} as const satisfies Record<Layer, string>;

const INDENT = "  ";

/** The question, the profiles that bear on it, what each block says, and the verdict. @param width columns of a line */
export function explanationText(
  question: Question,
  explanation: Explanation,
  remedy: Remedy | null,
  width: number,
): string {
  const lines = [
    ...fold(printable(questionText(question)), width, INDENT.length).map((line) => styleText("bold", line)),
    "",
    ...profileLines(explanation, width),
    ...fold(`Judged  ${printable(explanation.because)}`, width, "Judged  ".length),
    ...explanation.blocks.flatMap((block) => blockLines(block, width)),
    "",
    ...verdictLines(question.traffic, explanation).flatMap((line) => fold(line, width, 2 * INDENT.length)),
    ...remedyLines(explanation, remedy, width),
  ];
  return `${lines.join("\n")}\n`;
}

function questionText({ workload, process, traffic }: Question): string {
  const labels = Object.entries(workload.labels).map(([key, value]) => `${key}=${value}`);
  const who =
    process === null
      ? "no process"
      : [
          process.script ?? process.path,
          ...(process.script ? [`run by ${process.path}`] : []),
          ...(process.container ? [`in container ${process.container}`] : []),
          ...(process.ephemeral ? ["(ephemeral container)"] : []),
          ...(process.modified ? ["(changed file)"] : []),
          ...ancestryWords(process),
          ...(process.user === null ? [] : [`as user ${process.user}`]),
        ].join(" ");
  return `${who}, in a workload of ${workload.namespace} with ${labels.join(",") || "no labels"}: ${trafficText(traffic)}`;
}

function ancestryWords({ ancestry }: Subject): string[] {
  if (ancestry === null || ancestry.executables.length === 0) return [];
  return [`below ${ancestry.executables.map(({ path }) => path).join(", ")}`];
}

function trafficText({ direction, peer, question, resolved, application }: Traffic): string {
  const parts: string[] = [];
  if (question !== null) parts.push(`asks for ${question}`);
  if (peer !== null) parts.push(`${direction === "egress" ? "to" : "from"} ${endpointText(peer)}`);
  if (resolved !== null) parts.push(`resolved from ${resolved}`);
  if (application !== "unknown" && question === null)
    parts.push(`speaking ${application === "none" ? "nothing known" : application}`);
  return parts.join(", ");
}

function endpointText({ remote, protocol, port }: NonNullable<Traffic["peer"]>): string {
  const address = formatIp(remote);
  if (port === 0) return `${address}/${protocolName(protocol)}`;
  return `${familyOf(remote) === "ipv6" ? `[${address}]` : address}:${port}/${protocolName(protocol)}`;
}

function profileLines({ profiles }: Explanation, width: number): string[] {
  const rows = profiles.map(({ profile, selected, reason }) => [
    `Profile ${profile}`,
    `${selected ? "selects" : "does not"}: ${reason}`,
  ]);
  return tableLines(rows, { fits: ["shorten", "fold"], width });
}

function blockLines(block: BlockReport, width: number): string[] {
  const mark = block.allows ? styleText("green", "allows") : styleText("red", "denies");
  const heading = `${INDENT}${mark}  ${printable(`${block.profile} ${block.field}`)}`;
  return ["", ...fold(heading, width, 2 * INDENT.length), ...layerLines(block.layers, width)];
}

function layerLines(layers: readonly LayerReport[], width: number): string[] {
  const rows = layers.map(({ layer, passed, asked, field, value }) => [
    passed ? "pass" : "FAIL",
    LAYER_NAMES[layer],
    asked,
    `${field}: ${value}`,
  ]);
  return tableLines(rows, {
    fits: ["keep", "keep", "path", "fold"],
    width,
    indent: INDENT.repeat(2),
    paint: (cell, _, column) => (column === 0 ? styleText(cell === "pass" ? "green" : "red", cell) : cell),
  });
}

/** What becomes of a violation under the actions that are in force. */
const VERDICT_WORDS: Readonly<Record<Verdict, string>> = {
  dropped: "dropped",
  alerted: "alerted (it passes, and is reported)",
  counted: "counted (it passes)",
  allowed: "allowed (it passes, and is recorded)",
};

function verdictLines(traffic: Traffic, explanation: Explanation): string[] {
  const { allowed, reason, provided, allowedBy, judgedBy, actions, verdict, verdicts } = explanation;
  if (judgedBy === "unrestricted") {
    return [styleText(["bold", "yellow"], "Not restricted: no profile selects it, so everything passes")];
  }
  if (allowed) {
    const by = allowedBy.map(({ profile, field }) => `${profile} ${field}`).join(", ");
    return [
      `${styleText(["bold", "green"], "Allowed")}${by === "" ? "" : ` by ${by}`}`,
      ...(provided.length > 0 ? [`  as long as the first payload is ${provided.join(" or ")}`] : []),
      ...(traffic.peer === null ? ["  provided that the resolver may be reached: ask with --to as well"] : []),
    ];
  }
  const inForce = `with the profiles' actions (${actions.join(", ") || "none"}): ${VERDICT_WORDS[verdict]}`;
  return [
    `${styleText(["bold", "red"], "Denied")}: ${reason}: ${REASON_WORDS[reason]}`,
    `  ${inForce}`,
    `  under enforce: ${verdicts.enforce}; under alert: ${verdicts.alert}; without either: ${verdicts.none}`,
  ];
}

/** What to add to which profile; or where to read on, where no rule can allow it. */
function remedyLines({ allowed, reason }: Explanation, remedy: Remedy | null, width: number): string[] {
  if (allowed) return [];
  if (remedy === null) return [`  docs/reasons.md says what to do about ${reason}`];
  const lines = stringify(remedy.add).trimEnd().split("\n");
  return [
    "",
    ...fold(`To allow it, add this to ${printable(remedy.field)} of the profile ${printable(remedy.profile)}:`, width),
    ...lines.map((line) => `  ${printable(line)}`),
  ];
}
