/** One telling of the demo: steps, each of which does something, shows what came of it, and checks that it is what it promised. */
import type { ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import type { Direction, Reason, Verdict } from "../../src/api/reasons.ts";
import type { AgentEvent, VerdictEvent } from "../../src/flow/record.ts";
import { processText, VERDICT_COLOURS, whatText } from "../../src/flow/verdict-text.ts";
import { DIM } from "../../src/terminal/colours.ts";
import { tableLines } from "../../src/terminal/table.ts";
import type { CommandResult } from "./command.ts";
import type { Screen } from "./screen.ts";
import type { Stage } from "./stage.ts";
import type { Pod } from "./topology.ts";
import { demoLine, podOf, sameLine } from "./verdict-line.ts";

/** A verdict that a step promises; what is left out may be anything. */
export interface Promised {
  pod: Pod;
  verdict: Verdict;
  reason?: Reason;
  /** Of the executable. */
  path?: string;
  type?: VerdictEvent["type"];
  direction?: Direction;
  proto?: string;
  /** Asked for. */
  name?: string;
}

/** What a step promised did not happen. */
export class BrokenPromise extends Error {
  constructor(expected: string, seen: string) {
    super(`expected: ${expected}\nseen:     ${seen}`);
    this.name = "BrokenPromise";
  }
}

interface Row {
  step: number;
  event: VerdictEvent;
}

const VERDICT_TIMEOUT_MS = 3_000;
const LOOK_AGAIN_MS = 20;
/** For the verdicts that are under way when a command has ended. */
const SETTLE_MS = 60;
/** Of what was sent to whom in the closing table, on a narrow terminal and on a wide one. */
const WHAT_WIDTH = { narrow: 20, wide: 33 };
/** For a person to read a step. */
const READING_MS = 1_500;

export class Story {
  readonly screen: Screen;
  readonly stage: Stage;
  readonly #total: number;
  readonly #rows: Row[] = [];
  readonly #shown = new Set<string>();
  #step = 0;
  #pods: readonly Pod[] = [];
  #events: AgentEvent[] = [];

  constructor(screen: Screen, stage: Stage, total: number) {
    this.screen = screen;
    this.stage = stage;
    this.#total = total;
  }

  /** Begins a step. `pods` are those whose verdicts are shown. */
  async begin(title: string, pods: readonly Pod[] = []): Promise<void> {
    if (this.#step > 0 && this.screen.isTerminal) await sleep(READING_MS);
    this.#step += 1;
    this.#pods = pods;
    this.#events = [];
    this.screen.heading(this.#step, this.#total, title);
  }

  /** Takes an event of the agent's. */
  hear(event: AgentEvent): void {
    this.#events.push(event);
    if (event.type !== "verdict" && event.type !== "listen") return;
    // What comes while a pod's profile is on its way is not what a step is about.
    if (event.reason === "Pending") return;
    const line = sameLine(event);
    // Of the tries of one process the first is shown; the rest, and those held back by the limit of events, are more of it.
    if (this.#shown.has(line) || !this.#pods.some((pod) => pod === podOf(event))) return;
    this.#shown.add(line);
    this.screen.verdict(demoLine(event, this.screen, this.screen.verdictWidth));
  }

  /** The pod's own program does something: no shell is involved. */
  async program(pod: Pod, command: string): Promise<CommandResult> {
    this.screen.command(pod, command);
    const [program = "", ...args] = command.split(" ");
    return this.#finish(await this.stage.container(pod).run([`/usr/local/bin/${program}`, ...args]));
  }

  /** Somebody types into a shell in the pod. */
  async shell(pod: Pod, line: string): Promise<CommandResult> {
    this.screen.command(`${pod} sh`, line);
    return this.#finish(await this.stage.container(pod).shell(line));
  }

  /** Somebody starts a program in a shell in the pod, and leaves it running. */
  open(pod: Pod, command: string): ChildProcess {
    this.screen.command(`${pod} sh`, command);
    const [program = "", ...args] = command.split(" ");
    return this.stage.container(pod).open([`/usr/bin/${program}`, ...args]);
  }

  /** Waits for a verdict of this step, and enters it in the table. @throws BrokenPromise where it does not come */
  async verdict(promised: Promised): Promise<VerdictEvent> {
    const event = await this.event(
      (candidate): candidate is VerdictEvent => keeps(candidate, promised),
      JSON.stringify(promised),
    );
    this.#rows.push({ step: this.#step, event });
    return event;
  }

  /** Waits for an event of this step. @throws BrokenPromise where it does not come */
  async event<Kind extends AgentEvent>(is: (event: AgentEvent) => event is Kind, expected: string): Promise<Kind> {
    const deadline = Date.now() + VERDICT_TIMEOUT_MS;
    for (;;) {
      const found = this.#events.find(is);
      if (found !== undefined) return found;
      if (Date.now() > deadline) throw new BrokenPromise(expected, this.#seen());
      await sleep(LOOK_AGAIN_MS);
    }
  }

  /** @throws BrokenPromise where it does not hold */
  holds(condition: boolean, expected: string, seen: unknown): void {
    if (!condition) throw new BrokenPromise(expected, typeof seen === "string" ? seen : JSON.stringify(seen));
  }

  /** What this step has shown. */
  conclude(text: string): void {
    this.screen.conclude(text);
  }

  /** The closing table. */
  table(): void {
    const header = ["STEP", "POD", "PROCESS", "WHAT", "VERDICT", "REASON"];
    const whatWidth = this.screen.width < 100 ? WHAT_WIDTH.narrow : WHAT_WIDTH.wide;
    const cells = this.#rows.map(({ step, event }) => [
      String(step),
      podOf(event),
      processText(event),
      whatText(event, whatWidth),
      event.verdict,
      event.reason,
    ]);
    const lines = tableLines([header, ...cells], {
      fits: ["right", "keep", "path", "keep", "keep", "keep"],
      width: this.screen.width,
      indent: " ".repeat(this.screen.width - this.screen.innerWidth),
      paint: (cell, row, column) => this.#paintCell(cell, row, column),
    });
    for (const line of lines) this.screen.line(line);
  }

  #paintCell(cell: string, row: number, column: number): string {
    if (row === 0) return this.screen.paint(DIM, cell);
    const verdict = this.#rows[row - 1]?.event.verdict ?? "counted";
    return column === 4 ? this.screen.paint(VERDICT_COLOURS[verdict], cell) : cell;
  }

  async #finish(result: CommandResult): Promise<CommandResult> {
    await sleep(SETTLE_MS);
    this.screen.result(result.stdout + result.stderr);
    return result;
  }

  #seen(): string {
    if (this.#events.length === 0) return "no event";
    return this.#events.map((event) => JSON.stringify(event)).join("\n          ");
  }
}

function keeps(event: AgentEvent, promised: Promised): event is VerdictEvent {
  if (event.type !== (promised.type ?? "verdict")) return false;
  const verdict = event as VerdictEvent;
  return (
    podOf(verdict) === promised.pod &&
    verdict.verdict === promised.verdict &&
    agrees(promised.reason, verdict.reason) &&
    agrees(promised.path, verdict.process?.path) &&
    agrees(promised.direction, verdict.direction) &&
    agrees(promised.proto, verdict.proto) &&
    agrees(promised.name, verdict.dns?.name)
  );
}

function agrees<Value>(promised: Value | undefined, seen: Value | undefined): boolean {
  return promised === undefined || promised === seen;
}
