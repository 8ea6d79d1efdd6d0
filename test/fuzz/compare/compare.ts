/** Runs a case through the kernel's classifier and the reference evaluator, and tells where they differ. */
import type { Reason, Verdict } from "../../../src/api/reasons.ts";
import { parsePacket } from "../../../src/policy/packet/packet-parser.ts";
import { evaluate } from "../../../src/policy/reference/evaluate.ts";
import { createState, type EvaluatorState } from "../../../src/policy/reference/state.ts";
import { parseIp } from "../../../src/policy/table/addresses.ts";
import { NO_ANCESTRY, type Subject } from "../../../src/policy/table/subject.ts";
import type { RuleTable } from "../../../src/policy/table/tables.ts";
import {
  type ClassifierHarness,
  EPHEMERAL_CONTAINER,
  type Outcome,
  type ProcessRef,
} from "../../harness/classifier-harness.ts";
import { SECOND_MAC, WORKLOAD_MAC } from "../../packets/ethernet.ts";
import { compileCase, type FuzzCase, type PacketStep } from "../case.ts";
import { compareCounters, type ExpectedCounters } from "./compare-counters.ts";
import { compareStates } from "./compare-states.ts";

export type Evaluate = typeof evaluate;

export interface Difference {
  /** Index of the step, or the number of steps if only what is remembered differs. */
  step: number;
  kernel: string;
  evaluator: string;
}

export interface Comparison {
  difference: Difference | null;
  packets: number;
  /** How often each reason was the verdict, of both. */
  reasons: Map<string, number>;
}

const NS_PER_S = 1e9;

/** One case on its way through both. */
export class CaseRun {
  readonly #harness: ClassifierHarness;
  readonly #case: FuzzCase;
  readonly #tables: RuleTable[];
  readonly #evaluate: Evaluate;
  readonly #state: EvaluatorState;
  readonly #counters: ExpectedCounters = new Map();
  readonly #reasons = new Map<string, number>();
  #table: RuleTable;
  #tableId = 0;
  /** Seconds that the evaluator's clock is ahead of the kernel's. */
  #skew = 0;
  #packets = 0;

  constructor(harness: ClassifierHarness, fuzzCase: FuzzCase, tables: RuleTable[], judge: Evaluate) {
    this.#harness = harness;
    this.#case = fuzzCase;
    this.#tables = tables;
    this.#evaluate = judge;
    this.#table = tables[0] as RuleTable;
    this.#state = createState({
      addresses: fuzzCase.addresses.map((address) => parseIp(address) as bigint),
      macs: [WORKLOAD_MAC, SECOND_MAC],
      settings: fuzzCase.settings,
    });
  }

  run(): Comparison {
    this.#prepare();
    let difference: Difference | null = null;
    for (let step = 0; step < this.#case.steps.length && difference === null; step += 1) difference = this.#step(step);
    difference ??= this.#remembered();
    return { difference, packets: this.#packets, reasons: this.#reasons };
  }

  #prepare(): void {
    const { fqdnMinTtl, fqdnMaxTtl, fqdnGrace, udpIdle, dnsPorts } = this.#state.settings;
    this.#harness.clear();
    this.#harness.become({ addresses: this.#case.addresses });
    this.#harness.configure({
      fqdnMinTtl: fqdnMinTtl * 1000,
      fqdnMaxTtl: fqdnMaxTtl * 1000,
      fqdnGrace: fqdnGrace * 1000,
      udpIdle: udpIdle * 1000,
      dnsPorts,
    });
    this.#tableId = this.#harness.apply(this.#table);
    this.#harness.collectTables();
  }

  #step(index: number): Difference | null {
    const step = this.#case.steps[index];
    switch (step?.kind) {
      case "packet":
        return this.#packet(index, step);
      case "advance":
        this.#harness.advance(step.seconds);
        this.#skew += Math.round(step.seconds * 1000) / 1000;
        return null;
      case "epoch":
        this.#harness.startEpoch();
        this.#state.epoch += 1;
        return null;
      case "evict":
        this.#harness.evict(step.what);
        this.#state[step.what].clear();
        return null;
      case "policy":
        this.#enforce(step.index);
        return null;
      default:
        return null;
    }
  }

  #enforce(index: number | "pending" | "unrestricted"): void {
    if (typeof index === "number") {
      this.#table = this.#tables[index] as RuleTable;
      this.#state.policyState = "restricted";
      this.#tableId = this.#harness.apply(this.#table);
    } else {
      this.#state.policyState = index;
      this.#harness.apply(index);
    }
  }

  #packet(index: number, step: PacketStep): Difference | null {
    const frame = Buffer.from(step.frame, "hex");
    const kernel = this.#harness.run(step.direction, frame, step);
    const expected = this.#expect(step, frame);
    this.#packets += 1;
    this.#reasons.set(expected.reason, (this.#reasons.get(expected.reason) ?? 0) + 1);
    if (this.#state.policyState === "unrestricted") {
      return kernel === null ? null : { step: index, kernel: describe(kernel), evaluator: "not judged" };
    }
    const counter = `${step.direction} ${expected.reason} ${expected.verdict}`;
    const count = this.#counters.get(counter) ?? { packets: 0, bytes: 0 };
    this.#counters.set(counter, { packets: count.packets + 1, bytes: count.bytes + frame.length });
    if (describe(kernel) === describe(expected)) return null;
    return { step: index, kernel: describe(kernel), evaluator: describe(expected) };
  }

  #expect(step: PacketStep, frame: Buffer): { verdict: Verdict; reason: Reason } {
    const container = step.container ?? null;
    const users = step.process === undefined ? [] : [step.process, ...(step.creator ? [step.creator] : [])];
    const time = Number(process.hrtime.bigint()) / NS_PER_S + this.#skew;
    const socket = {
      id: JSON.stringify([step.process, step.creator, step.socketId ?? 0]),
      accepted: step.accepted ?? false,
      connected: step.connected ?? false,
      spoken: step.spoken ?? false,
      kernel: step.kernel ?? false,
      ...(step.process && step.connectedFor ? { connectedSince: time - step.connectedFor } : {}),
      ...(step.process && step.former ? { former: subjectOf(step.former, container) } : {}),
      none: step.socketless ?? false,
    };
    const context = {
      direction: step.direction,
      subjects: users.map((process) => subjectOf(process, container)),
      socket,
    };
    return this.#evaluate(this.#state, this.#table, parsePacket(frame, step.gsoSegments, step.gsoSize), context, time);
  }

  #remembered(): Difference | null {
    const found =
      compareStates(this.#harness, this.#state, { rules: this.#table, id: this.#tableId }, this.#skew) ??
      compareCounters(this.#harness.maps, this.#counters);
    return found && { step: this.#case.steps.length, ...found };
  }
}

/**
 * Runs a case through both.
 * @param judge the reference evaluator; another one, to see that its faults are found.
 * @returns null if the case's profiles are refused, or cannot be united
 */
export function compareCase(
  harness: ClassifierHarness,
  fuzzCase: FuzzCase,
  judge: Evaluate = evaluate,
): Comparison | null {
  const tables = compileCase(fuzzCase);
  return tables && new CaseRun(harness, fuzzCase, tables, judge).run();
}

function subjectOf({ path, modified, ancestry, user }: ProcessRef, container: string | null): Subject {
  return {
    path,
    script: null,
    container,
    ephemeral: container === null || container === EPHEMERAL_CONTAINER,
    modified: modified ?? false,
    ancestry: ancestry === undefined ? NO_ANCESTRY : ancestry,
    user: user ?? 0,
  };
}

function describe(outcome: Outcome | null): string {
  return outcome === null ? "not judged" : `${outcome.verdict} ${outcome.reason}`;
}
