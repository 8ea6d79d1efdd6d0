/** Edges in a table, or as objects. */
import { type Edge, type EdgeEnd, endText, flowsOf, serviceText, usesOf } from "../../flow/edges/edge.ts";
import type { Fit } from "../../terminal/table.ts";
import { printObjects, printTable, type QuestionFormat } from "./output.ts";

/** A table leaves out the server where it is the same in all rows, and has been asked for. */
export function printEdges(edges: readonly Edge[], format: QuestionFormat): void {
  if (format === "json") {
    printObjects(edges.map(edgeObject));
    return;
  }
  const servers = new Set(edges.map(({ server }) => endText(server)));
  const hasBytes = edges.some(({ bytes }) => bytes.sent + bytes.received > 0);
  const shown = COLUMNS.filter(({ name }) => (name !== "SERVER" || servers.size > 1) && (name !== "BYTES" || hasBytes));
  const rows = edges.map((edge) => shown.map(({ cell }) => cell(edge)));
  printTable(
    [shown.map(({ name }) => name), ...rows],
    shown.map(({ fit }) => fit),
  );
}

interface Column {
  name: string;
  fit: Fit;
  cell(edge: Edge): string;
}

const COLUMNS: readonly Column[] = [
  { name: "CLIENT", fit: "shorten", cell: ({ client }) => endText(client) },
  { name: "PROCESS", fit: "path", cell: ({ client }) => client.process ?? "" },
  { name: "SERVER", fit: "shorten", cell: ({ server }) => endText(server) },
  { name: "SERVICE", fit: "keep", cell: serviceText },
  { name: "VERDICT", fit: "keep", cell: ({ verdict }) => verdict },
  { name: "TIMES", fit: "right", cell: (edge) => String(usesOf(edge)) },
  { name: "BYTES", fit: "right", cell: ({ bytes }) => String(bytes.sent + bytes.received) },
  { name: "LAST", fit: "keep", cell: ({ last }) => momentText(last) },
];

/** As JSON: times are RFC 3339. */
export function edgeObject(edge: Edge): object {
  const { begun, counted, waited, served, first, last, ...rest } = edge;
  return {
    ...rest,
    flows: flowsOf(edge),
    ...(waited.count === 0 ? {} : { waited }),
    ...(served.count === 0 ? {} : { served }),
    client: endObject(edge.client),
    server: endObject(edge.server),
    first: timeText(first),
    last: timeText(last),
  };
}

/** A workload's own end has no address here. */
function endObject({ addresses, ...end }: EdgeEnd): object {
  return addresses.length === 0 ? end : { ...end, addresses };
}

function timeText(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

const DAY_MS = 86_400_000;

/** The time of day (UTC) for what was today, and else the day. */
function momentText(milliseconds: number): string {
  const text = timeText(milliseconds);
  return Date.now() - milliseconds < DAY_MS ? text.slice(11, 19) : text.slice(0, 10);
}
