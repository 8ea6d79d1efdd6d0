/** The agent's JSON lines as they come, to wait for the one that a test is about. Each is held against the schema of events. */
import { causeText } from "../../../src/api/errors.ts";
import type { AgentEvent, ReadyEvent, RevisionEvent, VerdictEvent } from "../../../src/flow/record.ts";
import { checkEvent } from "../../../src/flow/schema.ts";
import { patiently } from "./patience.ts";

export type EventOf<T extends AgentEvent["type"]> = T extends "ready"
  ? ReadyEvent
  : T extends "revision"
    ? RevisionEvent
    : VerdictEvent;

const DEFAULT_TIMEOUT_MS = 5_000;

interface Waiting {
  offer(event: AgentEvent): void;
  fail(error: Error): void;
}

export class EventStream {
  readonly events: AgentEvent[] = [];
  /** Each as it came. */
  readonly lines: string[] = [];
  /** Lines that are no events: there should be none. */
  readonly strays: string[] = [];
  readonly #waiting = new Set<Waiting>();
  #rest = "";

  /** More of the agent's standard output. */
  feed(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    this.lines.push(...lines);
    for (const line of lines) this.#line(line);
  }

  /** Nothing more will come. */
  end(reason: string): void {
    for (const waiting of [...this.#waiting]) waiting.fail(new Error(reason));
  }

  /** Where the stream is now: what comes later can be distinguished from what came before. */
  mark(): number {
    return this.events.length;
  }

  /** All from a mark on that a test is about. */
  since(mark: number, wanted: (event: AgentEvent) => boolean = () => true): AgentEvent[] {
    return this.events.slice(mark).filter(wanted);
  }

  /** The first event from the mark on that is wanted, which may have come already. */
  waitFor<T extends AgentEvent>(
    what: string,
    wanted: (event: AgentEvent) => event is T,
    options?: { from?: number; timeout?: number },
  ): Promise<T>;
  waitFor(
    what: string,
    wanted: (event: AgentEvent) => boolean,
    options?: { from?: number; timeout?: number },
  ): Promise<AgentEvent>;
  waitFor(
    what: string,
    wanted: (event: AgentEvent) => boolean,
    { from = 0, timeout = DEFAULT_TIMEOUT_MS }: { from?: number; timeout?: number } = {},
  ): Promise<AgentEvent> {
    const limit = patiently(timeout);
    const known = this.events.slice(from).find(wanted);
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((settle, reject) => {
      const waiting: Waiting = {
        offer: (event) => {
          if (wanted(event)) done(() => settle(event));
        },
        fail: (error) => done(() => reject(error)),
      };
      const timer = setTimeout(() => {
        const seen = this.events.slice(from).map((event) => JSON.stringify(event));
        waiting.fail(
          new Error(`no event in ${limit} ms: ${what}. There were:\n${seen.slice(-20).join("\n")}${this.#strayText()}`),
        );
      }, limit);
      const done = (settleWith: () => void) => {
        clearTimeout(timer);
        this.#waiting.delete(waiting);
        settleWith();
      };
      this.#waiting.add(waiting);
    });
  }

  #strayText(): string {
    return this.strays.length === 0 ? "" : `\nand no events:\n${this.strays.slice(-5).join("\n")}`;
  }

  #line(line: string): void {
    let event: AgentEvent;
    try {
      event = checkEvent(JSON.parse(line));
    } catch (error) {
      this.strays.push(`${line} (${causeText(error)})`);
      return;
    }
    this.events.push(event);
    for (const waiting of [...this.#waiting]) waiting.offer(event);
  }
}

/** True for judgements of packets, DNS messages and listening. */
export function isVerdict(event: AgentEvent): event is VerdictEvent {
  return event.type === "verdict" || event.type === "dns" || event.type === "listen";
}
