/**
 * Packet counters on their way to the operator. The kernel counts upwards for as long as a workload lives; the operator
 * wants what came since the report that it acknowledged. A report is sent again, unchanged, until it is: so nothing
 * is counted twice or left out, however often the connection breaks.
 */
import { create } from "@bufbuild/protobuf";
import {
  type Counters,
  CountersSchema,
  type ProcessCounters,
  ProcessCountersSchema,
  VerdictCountSchema,
} from "../../../gen/agent_pb.js";

/** One of the kernel's counters, and who it is to be reported for. */
export interface CountedPackets {
  /** What tells the counter from every other one, now and later. */
  key: string;
  packets: number;
  direction: string;
  verdict: string;
  reason: string;
  /** Process entries of profiles, `path` and `container` empty for the default; none: of no profile's concern. */
  subjects: readonly { profile: string; path: string; container: string }[];
}

export interface CounterSource {
  /** All counters, as they are. */
  read(): readonly CountedPackets[];
  /** Events lost on this node since the agent's start. */
  eventsLost(): number;
}

/** Called with what was counted since the last look. */
export type CountListener = (count: Pick<CountedPackets, "direction" | "verdict" | "reason">, packets: number) => void;

export class CounterReport {
  readonly #source: CounterSource;
  readonly #onCounted: CountListener;
  /** The kernel's values at the last look. */
  #seen: Map<string, number>;
  /** Counted and not in a report yet: subject -> verdict -> packets. */
  #waiting = new Map<string, Map<string, number>>();
  #lostReported = 0;
  /** As `#seen`, when the last report was made; and when the last one was that is acknowledged. */
  #inReport: ReadonlyMap<string, number> = new Map();
  #reported: ReadonlyMap<string, number>;
  #sent: Counters | null = null;
  #acknowledged = true;
  /** The report that is not acknowledged is to be said once more. */
  #again = false;
  #sequence = 0n;

  /** @param seen the kernel's values as an earlier agent last reported them */
  constructor(
    source: CounterSource,
    seen: ReadonlyMap<string, number> = new Map(),
    onCounted: CountListener = () => {},
  ) {
    this.#source = source;
    this.#seen = new Map(seen);
    this.#reported = seen;
    this.#onCounted = onCounted;
  }

  /** Takes what was counted since. To be called before a workload's counters are removed. */
  sample(): void {
    const seen = new Map<string, number>();
    for (const count of this.#source.read()) {
      const before = this.#seen.get(count.key) ?? 0;
      // A counter that went back was removed and has begun anew.
      const packets = count.packets >= before ? count.packets - before : count.packets;
      seen.set(count.key, count.packets);
      if (packets > 0) this.#add(count, packets);
    }
    this.#seen = seen;
  }

  /** The kernel's values that acknowledged reports come to, for the agent after this one. */
  get reported(): ReadonlyMap<string, number> {
    return this.#reported;
  }

  /** The report that is due; null while one waits to be acknowledged, and where there is nothing to say. */
  next(): Counters | null {
    this.sample();
    if (!this.#acknowledged) {
      if (!this.#again) return null;
      this.#again = false;
      return this.#sent;
    }
    const eventsLost = this.#source.eventsLost() - this.#lostReported;
    if (this.#waiting.size === 0 && eventsLost === 0) return null;
    this.#sequence += 1n;
    this.#sent = create(CountersSchema, {
      sequence: this.#sequence,
      processes: [...this.#waiting].map(processCounters),
      eventsLost: BigInt(eventsLost),
    });
    this.#lostReported += eventsLost;
    this.#waiting = new Map();
    this.#inReport = this.#seen;
    this.#acknowledged = false;
    return this.#sent;
  }

  /** On a new stream the report that was not acknowledged is said again. */
  retry(): void {
    this.#again = !this.#acknowledged;
  }

  /** True if it was the report that is waited for. */
  acknowledged(sequence: bigint): boolean {
    if (sequence !== this.#sequence || this.#acknowledged) return false;
    this.#acknowledged = true;
    this.#reported = this.#inReport;
    this.#sent = null;
    return true;
  }

  #add(count: CountedPackets, packets: number): void {
    const verdict = JSON.stringify([count.direction, count.verdict, count.reason]);
    this.#onCounted(count, packets);
    for (const subject of count.subjects) {
      const key = JSON.stringify([subject.profile, subject.path, subject.container]);
      const verdicts = this.#waiting.get(key) ?? new Map<string, number>();
      verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + packets);
      this.#waiting.set(key, verdicts);
    }
  }
}

function processCounters([subject, verdicts]: [string, Map<string, number>]): ProcessCounters {
  const [profile, path, container] = JSON.parse(subject) as [string, string, string];
  return create(ProcessCountersSchema, {
    profile,
    path,
    container,
    verdicts: [...verdicts].map(([key, packets]) => {
      const [direction, verdict, reason] = JSON.parse(key) as [string, string, string];
      return create(VerdictCountSchema, { direction, verdict, reason, packets: BigInt(packets) });
    }),
  });
}
