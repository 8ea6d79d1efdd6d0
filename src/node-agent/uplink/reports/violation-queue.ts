/** Violations on their way to the operator: so many as it takes, of each pod as many as of every other, the rest is a number. */
import { create } from "@bufbuild/protobuf";
import type { EventSink } from "../../../export/sink.ts";
import type { AgentEvent, VerdictEvent } from "../../../flow/record.ts";
import { type Violation, ViolationSchema } from "../../../gen/telemetry_pb.js";
import { SharedRoom } from "../../events/shared-room.ts";

/** Violations that may wait, of all pods together. What is beyond is samples nobody will read one by one. */
const QUEUE_MAX = 1000;

/** A sink of events that keeps violations of pods. */
export class ViolationQueue implements EventSink {
  readonly #waiting = new SharedRoom<string, Violation>(QUEUE_MAX);
  /** Of violations, so that each has a key. */
  #sequence = 0;
  #lost = 0;
  #kernelLost = 0;

  write(event: AgentEvent): void {
    if (event.type === "lost") {
      if (event.where === "kernel") this.#kernelLost += event.count;
      return;
    }
    if ((event.type !== "verdict" && event.type !== "listen") || event.verdict === "allowed") return;
    const { uid } = event.workload;
    if (uid === undefined) {
      this.#lost += event.count;
      return;
    }
    this.#sequence += 1;
    const gone = this.#waiting.put(uid, String(this.#sequence), violationOf(event, uid));
    this.#lost += Number(gone?.count ?? 0n);
  }

  end(): Promise<void> {
    return Promise.resolve();
  }

  /** Events that the kernel could not hand over, since the start. */
  get kernelLost(): number {
    return this.#kernelLost;
  }

  /** The oldest ones of each pod, and how many packets the others that were left out stood for. */
  take(limit: number): { violations: Violation[]; lost: number } {
    const waiting = this.#waiting.takeInTurns();
    const rest = waiting.slice(limit).reduce((sum, { count }) => sum + Number(count), 0);
    const lost = this.#lost + rest;
    this.#lost = 0;
    return { violations: waiting.slice(0, limit), lost };
  }
}

function violationOf(event: VerdictEvent, podUid: string): Violation {
  const egress = event.direction === "egress";
  const remote = egress ? event.dst : event.src;
  return create(ViolationSchema, {
    time: BigInt(Date.parse(event.time)),
    podUid,
    profiles: event.profiles,
    path: event.process?.script ?? event.process?.path ?? "",
    container: event.process?.container ?? "",
    direction: event.direction,
    verdict: event.verdict,
    reason: event.reason,
    protocol: event.proto,
    remoteAddress: remote.ip,
    remoteName: remote.name ?? "",
    port: event.dst.port ?? 0,
    question: event.dns?.name ?? "",
    count: BigInt(event.count),
  });
}
