/** What a workload did that the profiles in force do not allow, one of each kind, from the violations in its records. */
import { createHash } from "node:crypto";
import type { Reason, Verdict } from "../api/reasons.ts";
import type { AgentEvent, VerdictEvent } from "../flow/record.ts";
import { type Evidence, unitedEvidence } from "./evidence.ts";
import { type Observation, observationOf } from "./recording.ts";

export interface Deviation {
  /** The same whenever the same deviation is looked for: eight hexadecimal digits. */
  id: string;
  reason: Reason;
  /** Packets by what became of them. */
  verdicts: Partial<Record<Verdict, number>>;
  /** Profiles whose rules it was held against. */
  profiles: readonly string[];
  observation: Observation;
}

/** A scan makes thousands; what comes later is counted, and not kept. */
const DEVIATIONS_MAX = 1000;
const ID_DIGITS = 8;

export class Drift {
  readonly #deviations = new Map<string, Deviation>();
  #overflow = 0;

  /** Takes a record; what is no violation is passed over. */
  add(event: AgentEvent): void {
    if (!isViolation(event)) return;
    const observation = observationOf(event);
    const id = idOf(event, observation);
    const known = this.#deviations.get(id);
    if (known !== undefined) extend(known, event, observation.evidence);
    else if (this.#deviations.size < DEVIATIONS_MAX) this.#deviations.set(id, deviationOf(id, event, observation));
    else this.#overflow += event.count;
  }

  /** Newest first. */
  deviations(): Deviation[] {
    const last = ({ observation, id }: Deviation) => `${observation.evidence.last} ${id}`;
    return [...this.#deviations.values()].sort((one, other) => (last(one) < last(other) ? 1 : -1));
  }

  /** Packets of deviations that were too many to be kept apart. */
  get overflow(): number {
    return this.#overflow;
  }
}

function isViolation(event: AgentEvent): event is VerdictEvent {
  const isVerdict = event.type === "verdict" || event.type === "dns" || event.type === "listen";
  return isVerdict && event.verdict !== "allowed";
}

/** Replicas, times, and which of its children a program was does not make another deviation. */
function idOf(
  { reason }: VerdictEvent,
  { subject, direction, peer, name, protocol, port, question }: Observation,
): string {
  const key = JSON.stringify([reason, subject, direction, name ?? peer, protocol, port, question]);
  return createHash("sha256").update(key).digest("hex").slice(0, ID_DIGITS);
}

function deviationOf(id: string, event: VerdictEvent, observation: Observation): Deviation {
  const { reason, verdict, profiles, count } = event;
  return { id, reason, verdicts: { [verdict]: count }, profiles, observation };
}

function extend(known: Deviation, { verdict, count }: VerdictEvent, evidence: Evidence): void {
  known.verdicts[verdict] = (known.verdicts[verdict] ?? 0) + count;
  known.observation.evidence = unitedEvidence([known.observation.evidence, evidence]);
}
