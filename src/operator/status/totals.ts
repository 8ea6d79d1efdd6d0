/** What a profile has done so far: counts that go on from those in its status, and its latest violation. */
import type { Counters, ProcessCounters, Violation } from "../../protocol/agent_pb.js";
import type { LastViolation, ProcessStatus, ProfileStatus } from "./profile-status.ts";

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
  readonly #totals = new Map<string, { uid: string; totals: Totals }>();

  /** Those of a profile; of one that is new here they go on from its status. */
  of(profile: { key: string; uid: string; status: Partial<ProfileStatus> }): Totals {
    const known = this.#totals.get(profile.key);
    if (known?.uid === profile.uid) return known.totals;
    const totals = totalsFrom(profile.status);
    this.#totals.set(profile.key, { uid: profile.uid, totals });
    return totals;
  }

  forget(profile: string): void {
    this.#totals.delete(profile);
  }
}

/** Adds a node's report about one process. */
export function addCounts(totals: Totals, { path, container, verdicts }: ProcessCounters): void {
  const process = processOf(totals, path, container === "" ? null : container);
  for (const { verdict, packets } of verdicts) {
    const count = Number(packets);
    if (verdict === "allowed") process.allowed += count;
    if (verdict === "dropped") {
      process.dropped += count;
      totals.dropped += count;
    }
    if (verdict === "alerted") {
      process.alerted += count;
      totals.alerted += count;
    }
  }
}

/** The profiles that a report is about. */
export function profilesOfCounters(counters: Counters): string[] {
  return [...new Set(counters.processes.map(({ profile }) => profile))];
}

/** Takes a violation for the latest, unless a later one is known. */
export function addViolation(totals: Totals, violation: Violation, node: string, pod: string): void {
  const time = wholeSeconds(new Date(Number(violation.time)));
  if (totals.lastViolation !== null && totals.lastViolation.time > time) return;
  const { path, reason } = violation;
  totals.lastViolation = { time, node, pod, process: path, reason, remote: remoteText(violation) };
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

function processOf(totals: Totals, path: string, container: string | null): ProcessTotals {
  const key = `${path} ${container ?? ""}`;
  let process = totals.processes.get(key);
  if (process === undefined) {
    process = { path, container, allowed: 0, dropped: 0, alerted: 0 };
    totals.processes.set(key, process);
  }
  return process;
}

function totalsFrom({ dropped = 0, alerted = 0, processes = [], lastViolation }: Partial<ProfileStatus>): Totals {
  const totals: Totals = { dropped, alerted, processes: new Map(), lastViolation: lastViolation ?? null };
  for (const { path, container, allowed = 0, dropped = 0, alerted = 0 } of processes as Partial<ProcessStatus>[]) {
    Object.assign(processOf(totals, path ?? "", container ?? null), { allowed, dropped, alerted });
  }
  return totals;
}
