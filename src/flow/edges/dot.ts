/** Edges as a graph in the language of Graphviz: https://graphviz.org/doc/info/lang.html */
import { printable } from "../../api/printable.ts";
import { type Edge, endText, flowsOf, serviceText } from "./edge.ts";

/** All conversations of two ends with one service are one arrow; a dashed one is of violations alone. */
export function dotGraph(edges: readonly Edge[]): string {
  const ends = edges.flatMap(({ client, server }) => [client, server]);
  const nodes = new Map(ends.map((end) => [endText(end), end.workload !== undefined]));
  const arrows = new Map<string, boolean>();
  for (const edge of edges) {
    const arrow = `${quoted(endText(edge.client))} -> ${quoted(endText(edge.server))} [label=${quoted(serviceText(edge))}`;
    arrows.set(arrow, arrows.get(arrow) === true || flowsOf(edge) > 0);
  }
  return [
    "digraph portcullis {",
    "  rankdir=LR;",
    '  node [shape=box, fontname="sans-serif"];',
    '  edge [fontname="sans-serif", fontsize=10];',
    ...[...nodes].map(([name, isWorkload]) => `  ${quoted(name)}${isWorkload ? "" : " [shape=ellipse]"};`),
    ...[...arrows].map(([arrow, isAllowed]) => `  ${arrow}${isAllowed ? "" : ", style=dashed, color=red"}];`),
    "}",
  ].join("\n");
}

function quoted(text: string): string {
  return `"${printable(text).replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
