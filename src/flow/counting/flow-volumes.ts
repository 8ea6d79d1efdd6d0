/**
 * What has passed between two records of one flow: each has all since the flow began. A flow that had begun before the time that is asked
 * about counts from its first record on, which is a minute later at most.
 */
import type { FlowEvent, Ways } from "../record.ts";

export interface Volume {
  /** The flow has not been counted before. */
  isNew: boolean;
  packets: Ways<number>;
  bytes: Ways<number>;
  /** Nanoseconds from the first bytes of the request to those of the response, in the first record that has both; null: in no other one. */
  responseNs: number | null;
}

/** Flows of which the last record is kept. */
const FLOWS_MAX = 200_000;
/** A flow that goes on has a record each minute, if anything has passed. */
const PERIOD_MS = 60_000;
const NOTHING: Ways<number> = { sent: 0, received: 0 };

type Known = Pick<FlowEvent, "packets" | "bytes"> & { isAnswered: boolean };

export class FlowVolumes {
  readonly #since: number;
  readonly #flowsMax: number;
  readonly #last = new Map<string, Known>();
  #hasForgotten = false;

  /** @param since ms since 1970 */
  constructor(since = Number.NEGATIVE_INFINITY, flowsMax = FLOWS_MAX) {
    this.#since = since;
    this.#flowsMax = flowsMax;
  }

  /** What this record has beyond the one before it: never more than has passed. */
  added(flow: FlowEvent): Volume {
    const { id, packets, bytes } = flow;
    const known = this.#last.get(id);
    const response = responseOf(flow);
    this.#keep(id, { packets, bytes, isAnswered: known?.isAnswered === true || response !== null });
    const responseNs = known?.isAnswered === true ? null : response;
    if (known !== undefined) {
      return { isNew: false, packets: beyond(packets, known.packets), bytes: beyond(bytes, known.bytes), responseNs };
    }
    if (this.#mayHaveBeenCounted(flow)) return { isNew: false, packets: NOTHING, bytes: NOTHING, responseNs: null };
    return { isNew: true, packets, bytes, responseNs };
  }

  #mayHaveBeenCounted({ start, time }: FlowEvent): boolean {
    const began = Date.parse(start);
    return began < this.#since || (this.#hasForgotten && Date.parse(time) - began > PERIOD_MS);
  }

  /** The flow that was longest without a record goes first. */
  #keep(id: string, counts: Known): void {
    this.#last.delete(id);
    this.#last.set(id, counts);
    if (this.#last.size <= this.#flowsMax) return;
    const [oldest = ""] = this.#last.keys();
    this.#last.delete(oldest);
    this.#hasForgotten = true;
  }
}

/** Null: one of the two has not spoken, or who was asked spoke first. */
function responseOf({ direction, firstPayloadNs }: FlowEvent): number | null {
  const { sent, received } = firstPayloadNs ?? {};
  if (sent === undefined || received === undefined) return null;
  const time = direction === "egress" ? received - sent : sent - received;
  return time < 0 ? null : time;
}

/** A record that an agent wrote again has no more than the one before. */
function beyond(now: Ways<number>, before: Ways<number>): Ways<number> {
  return {
    sent: Math.max(0, now.sent - before.sent),
    received: Math.max(0, now.received - before.received),
  };
}
