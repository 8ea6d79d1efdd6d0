/** What a profile has done so far: counts that go on from those in its status, and its latest violation. */
import { printable } from "../../api/printable.ts";
import type { ProcessCounters } from "../../gen/agent_pb.js";
import type { Violation } from "../../gen/telemetry_pb.js";
import type { LastViolation, ProcessStatus, ProfileStatus } from "../profiles/profile-status.ts";

export interface ProcessTotals {
  path: string;
  container: string | null;
  allowed: number;
  dropped: number;
  alerted: number;
}

export interface Totals {
  dropped: number;
  alerted: number;
  /** By path and container. */
  processes: Map<string, ProcessTotals>;
  lastViolation: LastViolation | null;
}

/** Totals by profile. */
export class ProfileTotals {
  /** `base` is the status that they went on from. */
  readonly #totals = new Map<string, { uid: string; totals: Totals; base: Totals }>();

  /** Those of a profile; of one that is new here they go on from its status. */
  of(profile: { key: string; uid: string; status: Partial<ProfileStatus> }): Totals {
    const known = this.#totals.get(profile.key);
    if (known?.uid === profile.uid) return known.totals;
    const totals = totalsFrom(profile.status);
    this.#totals.set(profile.key, { uid: profile.uid, totals, base: totalsFrom(profile.status) });
    return totals;
  }

  /** Goes on from another status, which is later than the one before: what was counted since stays counted, and nothing goes back. */
  rebase(profile: { key: string; uid: string; status: Partial<ProfileStatus> }): void {
    const totals = this.of(profile);
    const known = this.#totals.get(profile.key);
    if (known === undefined) return;
    const later = totalsFrom(profile.status);
    addDifference(totals, known.base, later);
    for (const [key, process] of later.processes) {
      const mine = processOf(totals, process.path, process.container);
      const base = known.base.processes.get(key) ?? NOTHING;
      if (mine !== null) addDifference(mine, base, process);
    }
    if ((later.lastViolation?.time ?? "") > (totals.lastViolation?.time ?? ""))
      totals.lastViolation = later.lastViolation;
    known.base = later;
  }

  /** Forgets all: from now on they go on from what the API server has. */
  clear(): void {
    this.#totals.clear();
  }

  forget(profile: string): void {
    this.#totals.delete(profile);
  }
}

const NOTHING = { allowed: 0, dropped: 0, alerted: 0 };
type Counts = Partial<typeof NOTHING>;

function addDifference(counts: Counts, base: Counts, later: Counts): void {
  for (const verdict of ["allowed", "dropped", "alerted"] as const) {
    const count = counts[verdict];
    if (count === undefined) continue;
    counts[verdict] = sumOf(count, Math.max(0, (later[verdict] ?? 0) - (base[verdict] ?? 0)));
  }
}

/** As the kernels counted it: one verdict of one process. */
export interface VerdictPackets {
  verdict: string;
  packets: number;
}

/** Processes that a profile is counted for: those that it lists, and some that it listed before. */
const PROCESSES_MAX = 1024;

/** Adds a node's report about one process. */
export function addCounts(
  totals: Totals,
  { path, container }: Pick<ProcessCounters, "path" | "container">,
  verdicts: readonly VerdictPackets[],
): void {
  const process = processOf(totals, path, container === "" ? null : container);
  for (const { verdict, packets } of verdicts) {
    if (verdict !== "allowed" && verdict !== "dropped" && verdict !== "alerted") continue;
    if (process !== null) process[verdict] = sumOf(process[verdict], packets);
    if (verdict !== "allowed") totals[verdict] = sumOf(totals[verdict], packets);
  }
}

/** The API server takes whole numbers up to 2^63; above 2^53 they are not whole here. */
function sumOf(left: number, right: number): number {
  return Math.min(left + right, Number.MAX_SAFE_INTEGER);
}

/** What the status has room for (src/api/schema/schema-status.ts). */
const PROCESS_LENGTH = 1024;
const REMOTE_LENGTH = 512;

/** Takes a violation for the latest, unless a later one is known. A time still to come is of a clock that has been set back since. */
export function addViolation(totals: Totals, violation: Violation, node: string, pod: string): void {
  const time = wholeSeconds(new Date(Number(violation.time)));
  const known = totals.lastViolation;
  if (known !== null && known.time > time && Date.parse(known.time) <= Date.now()) return;
  const { path, reason } = violation;
  // A status is read at terminals, by way of many tools.
  const remote = printable(remoteText(violation)).slice(0, REMOTE_LENGTH);
  totals.lastViolation = { time, node, pod, process: printable(path).slice(0, PROCESS_LENGTH), reason, remote };
}

/**
 * `www.example.com (192.0.2.1) port 443/tcp`; for ingress, where the port is the pod's own, `192.0.2.1 on port 80/tcp`; for a
 * refused question the name that was asked.
 */
export function remoteText({ question, remoteName, remoteAddress, port, protocol, direction }: Violation): string {
  if (question !== "") return `question for ${question}`;
  const who = remoteName === "" ? remoteAddress : `${remoteName} (${remoteAddress})`;
  if (port === 0) return `${who} ${protocol}`;
  return `${who}${direction === "ingress" ? " on" : ""} port ${port}/${protocol}`;
}

/** RFC 3339 as Kubernetes writes it. */
export function wholeSeconds(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}

/** Null: there are too many already, which no profile has. */
function processOf(totals: Totals, path: string, container: string | null): ProcessTotals | null {
  const key = `${path} ${container ?? ""}`;
  let process = totals.processes.get(key);
  if (process === undefined) {
    if (totals.processes.size >= PROCESSES_MAX) return null;
    process = { path, container, allowed: 0, dropped: 0, alerted: 0 };
    totals.processes.set(key, process);
  }
  return process;
}

function totalsFrom({ dropped = 0, alerted = 0, processes = [], lastViolation }: Partial<ProfileStatus>): Totals {
  const totals: Totals = { dropped, alerted, processes: new Map(), lastViolation: lastViolation ?? null };
  for (const { path, container, allowed = 0, dropped = 0, alerted = 0 } of processes as Partial<ProcessStatus>[]) {
    Object.assign(processOf(totals, path ?? "", container ?? null) ?? {}, { allowed, dropped, alerted });
  }
  return totals;
}
