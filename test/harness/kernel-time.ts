/** Time travel: what the kernel remembers becomes older. */
import type { RigMaps } from "./classifier-harness.ts";

const SECOND = 1_000_000_000n;

/** Moves every time in the maps of traffic back by `seconds`. */
export function age(maps: RigMaps, seconds: number): void {
  const by = BigInt(Math.round(seconds * 1000)) * (SECOND / 1000n);
  // Compared by difference, so that a time before the machine's start does no harm.
  const earlier = (time: bigint): bigint => BigInt.asUintN(64, time - by);
  // Compared as they are: never below 1, for 0 means that there is none.
  const sooner = (time: bigint): bigint => (time === 0n ? 0n : time > by ? time - by : 1n);
  for (const [key, flow] of [...maps.flows.entries()]) {
    const { lastSeen, allowedSince } = flow;
    maps.flows.set(key, { ...flow, lastSeen: earlier(lastSeen), allowedSince: sooner(allowedSince), tick: 0 });
  }
  for (const [key, part] of [...maps.fragments.entries()])
    maps.fragments.set(key, { ...part, seen: earlier(part.seen) });
  for (const [key, asked] of [...maps.icmpRequests.entries()]) maps.icmpRequests.set(key, earlier(asked));
  for (const [key, limit] of [...maps.limits.entries()]) maps.limits.set(key, { ...limit, last: earlier(limit.last) });
  for (const [key, query] of [...maps.dnsQueries.entries()]) {
    maps.dnsQueries.set(key, { ...query, asked: earlier(query.asked) });
  }
  for (const [key, { names }] of [...maps.learned.entries()]) {
    const older = names.map((name) => ({ ...name, expires: sooner(name.expires) })) as typeof names;
    maps.learned.set(key, { names: older });
  }
}
