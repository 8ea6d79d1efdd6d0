/** Who talked to whom while a command ran, gathered from its events for the summary of `portcullis run`. */
import type { Direction, Reason, Verdict } from "../../api/reasons.ts";
import type { EventSink } from "../../export/sink.ts";
import type { AgentEvent, VerdictEvent } from "../../flow/record.ts";
import { processText, whatText } from "../../flow/verdict-text.ts";
import { tableLines } from "../../terminal/table.ts";

/** Different ones that are kept; a scan of ports is not worth more lines. */
const KEPT = 200;
/** Of a line, for what was sent to whom. */
const WHAT_SHARE = 0.38;

export interface Conversation {
  /** Null: no process. */
  process: string | null;
  direction: Direction;
  proto: string;
  /** The other side. */
  peer: { ip: string; name?: string };
  /** That was connected to. */
  port?: number;
  /** A name that was asked for. */
  question?: string;
  verdict: Verdict;
  reason: Reason;
  /** Events, or packets that an event stands for. */
  times: number;
}

export class Conversations implements EventSink {
  readonly #kept = new Map<string, { event: VerdictEvent; times: number }>();
  #further = 0;

  write(event: AgentEvent): void {
    if (event.type !== "verdict" && event.type !== "dns") return;
    const { verdict, reason } = event;
    const key = JSON.stringify([processText(event), whatText(event), verdict, reason]);
    const known = this.#kept.get(key);
    if (known !== undefined) known.times += event.count;
    else if (this.#kept.size < KEPT) this.#kept.set(key, { event, times: event.count });
    else this.#further += 1;
  }

  async end(): Promise<void> {}

  /** For programs. */
  list(): Conversation[] {
    return [...this.#kept.values()].map(({ event, times }) => conversation(event, times));
  }

  /** A table for people; no line where nobody has talked. @param width columns of a line */
  lines(width: number, indent: string): string[] {
    if (this.#kept.size === 0) return [];
    const rows = [...this.#kept.values()].map(({ event, times }) => [
      processText(event),
      whatText(event, Number.isFinite(width) ? Math.floor(width * WHAT_SHARE) : width),
      event.verdict,
      String(times),
      event.verdict === "allowed" ? "" : event.reason,
    ]);
    const table = tableLines([["PROCESS", "WHAT", "VERDICT", "TIMES", "REASON"], ...rows], {
      fits: ["path", "keep", "keep", "right", "keep"],
      width,
      indent,
    });
    return this.#further === 0 ? table : [...table, `${indent}and ${this.#further} events about others`];
  }
}

function conversation({ process, direction, proto, src, dst, dns, verdict, reason }: VerdictEvent, times: number) {
  const { ip, name } = direction === "egress" ? dst : src;
  return {
    ...{ process: process?.path ?? null, direction, proto, verdict, reason, times },
    peer: name === undefined ? { ip } : { ip, name },
    ...(dst.port === undefined ? {} : { port: dst.port }),
    ...(dns === undefined ? {} : { question: dns.name }),
  };
}
