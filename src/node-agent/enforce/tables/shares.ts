/** Workloads' shares of what may be evicted (bpf/include/memory/share.h): how full they are, and taking them away. */
import {
  COUNTERS_SHARE,
  CounterKey,
  DNS_NAMES_SHARE,
  DNS_PARTS_SHARE,
  DNS_QUERIES_SHARE,
  DnsNameKey,
  DnsQueryKey,
  FLOWS_SHARE,
  FlowKey,
  FRAGMENTS_SHARE,
  FragmentKey,
  ICMP_REQUESTS_SHARE,
  IcmpRequestKey,
  LAST_LISTENERS_SHARE,
  LastListenerKey,
  LEARNED_SHARE,
  LearnedKey,
  LIMITS_SHARE,
  LimitKey,
  type PlaceKey,
  RECORDS_SHARE,
  ShareKind,
} from "../../../gen/abi.gen.ts";
import { bytes, type Codec } from "../../kernel/codec.ts";
import type { BpfMap } from "../../kernel/maps.ts";
import type { MapName, Maps } from "../../kernel/typed-maps.ts";

/** What a share is of. */
export interface ShareType {
  kind: number;
  /** In messages and metrics. */
  name: string;
  map: MapName;
  /** Of the map's keys, which places hold. */
  key: Pick<Codec<unknown>, "decode">;
  /** Entries that one workload may have. */
  size: number;
  /** A full share pushes entries out; otherwise it takes no more. */
  evicts: boolean;
  /** What becomes of what is pushed out, or not taken. Empty: nothing, for it has served its purpose. */
  consequence: string;
}

function ring(
  kind: number,
  name: string,
  [map, key]: [MapName, ShareType["key"]],
  size: number,
  consequence: string,
): ShareType {
  return { kind, name, map, key, size, evicts: true, consequence };
}

/** What may be reported in a second; there is no map that it fills. */
function records(kind: number, name: string, consequence: string): ShareType {
  return { ...ring(kind, name, ["limits", LimitKey], RECORDS_SHARE, consequence), evicts: false };
}

/** Of what is reported of packets. */
const RECORD_SHARES = {
  violations: "violations in a second",
  allowed: "allowed flows in a second",
  dns: "traced DNS messages in a second",
  flows: "flows pushed out in a second",
} as const;
export const RECORD_SHARE_NAMES: readonly string[] = Object.values(RECORD_SHARES);

export const SHARES: readonly ShareType[] = [
  ring(ShareKind.FLOWS, "flows", ["flows", FlowKey], FLOWS_SHARE, "the longest idle are judged again if they go on"),
  ring(
    ShareKind.FRAGMENTS,
    "fragments",
    ["fragments", FragmentKey],
    FRAGMENTS_SHARE,
    "the rest of the oldest datagrams is dropped",
  ),
  ring(
    ShareKind.REFUSED_FRAGMENTS,
    "refused fragments",
    ["fragments", FragmentKey],
    FRAGMENTS_SHARE,
    "the rest of the oldest datagrams is refused as Fragment",
  ),
  // The kernel replies at once: by the time that so many others have come, a request has had its reply.
  ring(ShareKind.ICMP_REQUESTS, "ICMP requests", ["icmpRequests", IcmpRequestKey], ICMP_REQUESTS_SHARE, ""),
  ring(
    ShareKind.DNS_QUERIES,
    "DNS questions",
    ["dnsQueries", DnsQueryKey],
    DNS_QUERIES_SHARE,
    "answers to the oldest teach nothing",
  ),
  ring(
    ShareKind.DNS_NAMES,
    "DNS names",
    ["dnsNames", DnsNameKey],
    DNS_NAMES_SHARE,
    "the oldest have to be asked for again",
  ),
  ring(
    ShareKind.LEARNED,
    "learned addresses",
    ["learned", LearnedKey],
    LEARNED_SHARE,
    "the names of the oldest have to be asked for again",
  ),
  ring(
    ShareKind.LIMITS,
    "kinds of events",
    ["limits", LimitKey],
    LIMITS_SHARE,
    "some are reported more often than once an interval",
  ),
  ring(
    ShareKind.LAST_LISTENERS,
    "last listeners",
    ["lastListeners", LastListenerKey],
    LAST_LISTENERS_SHARE,
    "clients of the oldest are not notified that nobody listens",
  ),
  ring(
    ShareKind.DNS_PARTS,
    "DNS messages over TCP in parts",
    ["dnsParts", bytes(FlowKey.SIZE)],
    DNS_PARTS_SHARE,
    "the oldest questions stop, and the oldest answers teach nothing",
  ),
  records(
    ShareKind.VIOLATION_RECORDS,
    RECORD_SHARES.violations,
    "further ones are counted, and not reported one by one",
  ),
  records(ShareKind.ALLOWED_RECORDS, RECORD_SHARES.allowed, "further ones are counted, and not reported one by one"),
  records(ShareKind.DNS_RECORDS, RECORD_SHARES.dns, "further ones are not reported"),
  records(ShareKind.FLOW_RECORDS, RECORD_SHARES.flows, "further ones have no record, which is counted as lost"),
  {
    ...ring(ShareKind.COUNTERS, "counters", ["counters", CounterKey], COUNTERS_SHARE, ""),
    evicts: false,
    consequence: "further executables are counted together, without a name",
  },
];

/** A share that was full, and what that has cost so far. */
export interface FullShare {
  name: string;
  size: number;
  /** Entries that were pushed out, or not taken. */
  lost: number;
  consequence: string;
}

/** Shares that have been full, at a cost, by workload. */
export function fullShares(shares: Maps["shares"]): Map<number, FullShare[]> {
  const full = new Map<number, FullShare[]>();
  for (const [{ workloadId, kind }, { lost }] of shares.entries()) {
    const type = SHARES.find((candidate) => candidate.kind === kind);
    if (type === undefined || type.consequence === "" || lost === 0n) continue;
    const { name, size, consequence } = type;
    full.set(workloadId, [...(full.get(workloadId) ?? []), { name, size, lost: Number(lost), consequence }]);
  }
  return full;
}

/** Removes what workloads have that are not among these, at a cost that goes by what they had. */
export function removeShares(maps: Maps, live: ReadonlySet<number>): void {
  for (const [share, { used }] of [...maps.shares.entries()]) {
    if (live.has(share.workloadId)) continue;
    const type = SHARES.find(({ kind }) => kind === share.kind);
    if (type?.evicts === true) removeEntries(maps, type, share.workloadId, used);
    maps.shares.delete(share);
  }
}

function removeEntries(maps: Maps, { kind, map, key }: ShareType, workloadId: number, used: number): void {
  const places = Array.from({ length: used }, (_, position): PlaceKey => ({ workloadId, kind, position }));
  const keys = places.flatMap((place) => {
    const held = maps.places.get(place);
    return held === undefined ? [] : [key.decode(Buffer.from(held.key))];
  });
  // Places go last: without them, nothing would find the entries again.
  (maps[map] as unknown as BpfMap<unknown, unknown>).deleteAll(keys);
  maps.places.deleteAll(places);
}
