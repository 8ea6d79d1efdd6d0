/** An edge: all conversations of one kind between two ends, from the process that began them to the one that was asked. */
import type { Reason, Verdict } from "../../api/reasons.ts";

/** A workload is that of the pods' owner: all replicas are one. */
export interface EdgeWorkload {
  namespace: string;
  name: string;
}

/** What of an end is known: of a peer outside of the records, its name or its address alone. */
export interface EdgeEnd {
  workload?: EdgeWorkload;
  container?: string;
  /** The script, or the executable. */
  process?: string;
  /** Under which the other end had learned the address. */
  name?: string;
  /** Some of them, where a name has many. */
  addresses: string[];
}

/** How much there was of an edge, and when. */
export interface EdgeCounts {
  /** Conversations that began. */
  flows: number;
  /** Packets that were refused (dropped), or would have been (alerted, counted). */
  violations: number;
  /** Why packets were violations, some of the reasons; empty: none were. */
  reasons: Reason[];
  /** Milliseconds since 1970. */
  first: number;
  last: number;
}

export interface Edge extends EdgeCounts {
  client: EdgeEnd;
  server: EdgeEnd;
  /** Of the server; absent for protocols without ports. */
  port?: number;
  proto: string;
  application?: string;
  verdict: Verdict;
}

/** Reasons and addresses that are kept of each edge. */
const REASONS_MAX = 8;
const ADDRESSES_MAX = 16;

export function noCounts(): EdgeCounts {
  return {
    ...{ flows: 0, violations: 0, reasons: [] },
    ...{ first: Number.POSITIVE_INFINITY, last: Number.NEGATIVE_INFINITY },
  };
}

export function addCounts(into: EdgeCounts, from: EdgeCounts): void {
  into.flows += from.flows;
  into.violations += from.violations;
  into.first = Math.min(into.first, from.first);
  into.last = Math.max(into.last, from.last);
  addNew(into.reasons, from.reasons, REASONS_MAX);
}

export function addAddresses(into: string[], more: readonly string[]): void {
  addNew(into, more, ADDRESSES_MAX);
}

function addNew<T>(list: T[], more: readonly T[], max: number): void {
  for (const one of more) if (list.length < max && !list.includes(one)) list.push(one);
}

/** `shop/web`, a name, or an address. */
export function endText({ workload, name, addresses }: EdgeEnd): string {
  if (workload !== undefined) return workloadText(workload);
  return name ?? addresses[0] ?? "";
}

export function workloadText({ namespace, name }: EdgeWorkload): string {
  return `${namespace}/${name}`;
}

/** `443/tcp tls`. */
export function serviceText({ port, proto, application }: Pick<Edge, "port" | "proto" | "application">): string {
  const service = port === undefined ? proto : `${port}/${proto}`;
  return application === undefined ? service : `${service} ${application}`;
}
