/** What an observer reads: events on standard output, what is to be known of them on standard error; or all of it as JSON. */
import { jsonText, printableLines } from "../../api/printable.ts";
import type { AgentEvent } from "../../flow/record.ts";
import { EventText } from "../../flow/text.ts";
import type { EndRecord, ObserveRecord, ObservingRecord } from "../../protocol/observe.ts";
import { wantsColours } from "../../terminal/colours.ts";
import { lineWidth } from "../../terminal/width.ts";

export type ObserveFormat = "text" | "json";

type Line = AgentEvent | ObserveRecord;

const LOST: Readonly<Record<string, string>> = {
  kernel: "the node's ring buffer was full (of all its pods)",
  agent: "there were more than --rate",
  operator: "they were not read fast enough",
};

export class ObservePrinter {
  readonly #format: ObserveFormat;
  readonly #limit: number;
  readonly #text: EventText;
  #events = 0;

  constructor(format: ObserveFormat, limit: number) {
    this.#format = format;
    this.#limit = limit;
    const { stdout } = process;
    this.#text = new EventText({ colours: wantsColours(stdout), width: lineWidth(stdout), oneWorkload: true });
  }

  /** As many events as were asked for have been shown. */
  get isDone(): boolean {
    return this.#events >= this.#limit;
  }

  print(line: Line): void {
    if (line.type === "alive" || this.isDone) return;
    const isEvent = line.type === "verdict" || line.type === "dns" || line.type === "listen";
    if (isEvent) this.#events += 1;
    if (this.#format === "json") process.stdout.write(`${jsonText(line)}\n`);
    else if (isEvent) process.stdout.write(`${this.#text.lines(line)}\n`);
    else if (line.type === "observing") note(observingText(line));
    else if (line.type === "lost") note(lostText(line));
  }

  /** A word of the plugin's own. */
  note(text: string): void {
    note(text);
  }
}

/** To a person; what reads the output is not disturbed. */
function note(text: string): void {
  process.stderr.write(`${printableLines(text)}\n`);
}

function observingText({ namespace, pod, node, profiles, actions, notes }: ObservingRecord): string {
  const by =
    profiles.length === 0 ? "" : `, judged by ${profiles.join(", ")} (${actions.join(", ") || "counting only"})`;
  return [`observing ${namespace}/${pod} on ${node}${by}`, ...notes.map((note) => `note: ${note}`)].join("\n");
}

function lostText({ where, count }: { where: string; count: number }): string {
  return `lost: ${count} events: ${LOST[where] ?? where}`;
}

/** Whether a line is the operator's last word. */
export function isEnd(line: Line): line is EndRecord {
  return line.type === "end";
}

/** A line of the stream; null for what is none, such as the rest of one that was broken off. */
export function parsedLine(text: string): Line | null {
  try {
    const line: unknown = JSON.parse(text);
    return typeof line === "object" && line !== null && "type" in line ? (line as Line) : null;
  } catch {
    return null;
  }
}
