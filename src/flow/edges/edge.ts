/** An edge: all conversations of one kind between two ends, from the process that began them to the one that was asked. */
import type { Reason, Verdict } from "../../api/reasons.ts";
import type { Ways } from "../record.ts";

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

/** Times from a request to its response. */
export interface Responses {
  count: number;
  sumNs: number;
  maxNs: number;
}

/** How much there was of an edge, and when. */
export interface EdgeCounts {
  /** Conversations that began, by their first packets, and by the records of their volume: either may be missing. */
  begun: number;
  counted: number;
  /** Packets that were refused (dropped), or would have been (alerted, counted). */
  violations: number;
  /** By the client. */
  packets: Ways<number>;
  bytes: Ways<number>;
  /** Of the first request and response of each conversation: at the client, with the network between; and at the server, without. */
  waited: Responses;
  served: Responses;
  /** Recognised by their first bytes. */
  applications: string[];
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
  verdict: Verdict;
}

/** Reasons, applications and addresses that are kept of each edge. */
const REASONS_MAX = 8;
const APPLICATIONS_MAX = 4;
const ADDRESSES_MAX = 16;

export function noCounts(): EdgeCounts {
  return {
    ...{ begun: 0, counted: 0, violations: 0, reasons: [], applications: [] },
    ...{ packets: { sent: 0, received: 0 }, bytes: { sent: 0, received: 0 } },
    ...{ waited: noResponses(), served: noResponses() },
    ...{ first: Number.POSITIVE_INFINITY, last: Number.NEGATIVE_INFINITY },
  };
}

export function addCounts(into: EdgeCounts, from: EdgeCounts): void {
  into.begun += from.begun;
  into.counted += from.counted;
  addWays(into.packets, from.packets);
  addWays(into.bytes, from.bytes);
  addResponses(into.waited, from.waited);
  addResponses(into.served, from.served);
  into.violations += from.violations;
  into.first = Math.min(into.first, from.first);
  into.last = Math.max(into.last, from.last);
  addNew(into.reasons, from.reasons, REASONS_MAX);
  addNew(into.applications, from.applications, APPLICATIONS_MAX);
}

export function noResponses(): Responses {
  return { count: 0, sumNs: 0, maxNs: 0 };
}

export function addResponses(into: Responses, from: Responses): void {
  into.count += from.count;
  into.sumNs += from.sumNs;
  into.maxNs = Math.max(into.maxNs, from.maxNs);
}

/** Conversations that began. */
export function flowsOf({ begun, counted }: EdgeCounts): number {
  return Math.max(begun, counted);
}

/** How often an edge was used, or tried. */
export function usesOf(counts: EdgeCounts): number {
  return flowsOf(counts) + counts.violations;
}

function addWays(into: Ways<number>, from: Ways<number>): void {
  into.sent += from.sent;
  into.received += from.received;
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
export function serviceText({ port, proto, applications }: Pick<Edge, "port" | "proto" | "applications">): string {
  const service = port === undefined ? proto : `${port}/${proto}`;
  return [service, ...applications].join(" ");
}
