/** Which interfaces of a network namespace can be guarded from outside, and which cannot. Pure. */
import type { Link } from "../netlink/links.ts";
import type { WorkloadInterface } from "./workload.ts";

export interface GuardableInterfaces {
  /** Veths whose other end is in the agent's namespace, by host ifindex. */
  guarded: WorkloadInterface[];
  /** Interfaces that are up, lead out of the namespace, and do not pass through the agent's. */
  unguarded: Link[];
}

/**
 * Matches the interfaces inside a namespace with the agent's own ones.
 *
 * @param inside interfaces of the namespace, seen from there
 * @param own interfaces of the agent's namespace, seen from here
 * @param nsid id of that namespace in the agent's
 */
export function matchInterfaces(inside: readonly Link[], own: readonly Link[], nsid: number): GuardableInterfaces {
  const guarded: WorkloadInterface[] = [];
  const guardedIndexes = new Set<number>();
  for (const host of own) {
    if (host.kind !== "veth" || host.peerNsid !== nsid) continue;
    const inner = inside.find((link) => link.index === host.peerIndex);
    // Gone since the one list was made, and before the other was: the next look will not see it.
    if (inner === undefined) continue;
    guarded.push({ name: inner.name, mac: inner.mac, hostIfindex: host.index, hostIfname: host.name });
    guardedIndexes.add(inner.index);
  }
  guarded.sort((a, b) => a.hostIfindex - b.hostIfindex);
  const unguarded = inside.filter((link) => link.up && leadsOut(link) && !guardedIndexes.has(link.index));
  return { guarded, unguarded };
}

/**
 * Whether packets on this interface leave the namespace without crossing another of its interfaces: hardware, and
 * virtual interfaces (veth, macvlan, ipvlan, vlan, tunnels, WireGuard) whose other or lower end is elsewhere, and tun and tap, which
 * lead to a process, wherever that is. Bridges, bonds, dummies and the like are made of interfaces that are judged by themselves.
 */
function leadsOut(link: Link): boolean {
  if (link.loopback) return false;
  return link.peerNsid !== null || link.kind === "tun" || (link.kind === null && link.ethernet);
}
