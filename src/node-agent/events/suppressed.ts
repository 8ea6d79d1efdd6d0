/**
 * What the kernel held back. Of packets of one kind it reports one per interval, with the number of those since the
 * one before. The last ones of a kind have no successor to report them: they are looked for here.
 */
import { DIRECTIONS, REASONS, VERDICTS } from "../../api/reasons.ts";
import { hasPorts, protocolName } from "../../flow/protocols.ts";
import type { Endpoint, VerdictEvent } from "../../flow/record.ts";
import {
  Direction,
  type Limit,
  type LimitKey,
  LimitKey as LimitKeyCodec,
  PATH_ID_MODIFIED,
  ProcessFlag,
} from "../../gen/abi.gen.ts";
import { addressText, hostOrder } from "./addresses.ts";
import type { Directory } from "./enrich.ts";
import type { KernelRecord } from "./kernel-records.ts";
import { nameHash } from "./names.ts";
import { SharedRoom } from "./shared-room.ts";

/** Kinds whose last event is remembered, for what only it knows (process, names), of all workloads together: some 8 MB at most. */
const KINDS_KEPT = 4096;

/** The part of the map `limits` that is needed here. */
export interface LimitMap {
  entries(): Iterable<[LimitKey, Limit]>;
  delete(key: LimitKey): boolean;
}

export interface SuppressedParts {
  limits: LimitMap;
  directory: Directory;
  nameHashMultiplier: bigint;
}

export class SuppressedEvents {
  readonly #parts: SuppressedParts;
  readonly #last = new SharedRoom<number, VerdictEvent>(KINDS_KEPT);

  constructor(parts: SuppressedParts) {
    this.#parts = parts;
  }

  /** Remembers an event as the last one of its kind. */
  saw(record: KernelRecord, event: VerdictEvent): void {
    for (const key of this.#keysOf(record)) this.#last.put(key.workloadId, kindOf(key), event);
  }

  /**
   * Events for what was held back and has been quiet for two intervals.
   * @param now CLOCK_MONOTONIC, ns
   * @param interval ns
   */
  drain(now: bigint, interval: bigint): VerdictEvent[] {
    const { limits, directory } = this.#parts;
    const events: VerdictEvent[] = [];
    for (const [key, limit] of limits.entries()) {
      if (limit.suppressed === 0n || now - limit.last < 2n * interval) continue;
      // Removing it makes the next packet of the kind a first one again, as it would be after the interval anyway.
      if (!limits.delete(key)) continue;
      const event = this.#last.get(key.workloadId, kindOf(key)) ?? this.#bareEvent(key);
      events.push({ ...event, time: directory.eventTime(now).toISOString(), count: Number(limit.suppressed) });
    }
    return events;
  }

  /** The keys under which the kernel may have limited this record (limit_key_of in bpf/include/verdict/report.h). */
  #keysOf({ header, process, packet, message }: KernelRecord): LimitKey[] {
    const { actor } = process;
    const asked = message === null ? Buffer.alloc(0) : message.name.slice(0, message.nameLength);
    const modified = (actor.flags & (ProcessFlag.MODIFIED | ProcessFlag.DELETED)) !== 0 ? PATH_ID_MODIFIED : 0;
    // A script goes by its own path only if the table lists it, which a record does not say.
    const scripts = actor.scriptId === 0 ? [] : [actor.scriptId];
    return [actor.pathId, ...scripts].map((pathId) => ({
      workloadId: header.workloadId,
      pathId: pathId + modified,
      remote: packet.remote,
      port: packet.direction === Direction.EGRESS ? packet.remotePort : packet.localPort,
      protocol: packet.protocol,
      direction: packet.direction,
      reason: packet.reason,
      verdict: packet.verdict,
      nameHash: nameHash(asked, this.#parts.nameHashMultiplier),
    }));
  }

  /** All that the key alone tells: for kinds that were last reported to an agent before this one. */
  #bareEvent(key: LimitKey): VerdictEvent {
    const { directory } = this.#parts;
    const ip = addressText(key.remote);
    const egress = key.direction === Direction.EGRESS;
    const port = hasPorts(key.protocol) ? { port: hostOrder(key.port) } : {};
    const remote: Endpoint = { ip, ...(egress ? port : {}) };
    const local: Endpoint = { ip: ip.includes(":") ? "::" : "0.0.0.0", ...(egress ? {} : port) };
    const path = directory.path(key.pathId & (PATH_ID_MODIFIED - 1));
    return {
      time: "",
      type: "verdict",
      verdict: VERDICTS[key.verdict] ?? "dropped",
      reason: REASONS[key.reason] ?? "Malformed",
      direction: DIRECTIONS[key.direction] ?? "egress",
      workload: directory.workload(key.workloadId) ?? { name: `workload-${key.workloadId}`, namespace: "", labels: {} },
      profiles: [],
      process: path === null ? null : { path, ...(key.pathId >= PATH_ID_MODIFIED ? { modified: true } : {}) },
      proto: protocolName(ip.includes(":") ? 0x86dd : 0x0800, key.protocol),
      src: egress ? local : remote,
      dst: egress ? remote : local,
      count: 0,
    };
  }
}

function kindOf(key: LimitKey): string {
  return LimitKeyCodec.encode(key).toString("latin1");
}
