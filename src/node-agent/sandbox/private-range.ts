/** Which addresses a private namespace gets: ones that no route of the host covers. Pure. */
import ipaddr from "ipaddr.js";
import type { FAMILY } from "../netlink/addresses.ts";
import { WorkloadError } from "../netlink/errors.ts";
import type { Route } from "../netlink/routes.ts";

/** How many private namespaces may be there at once; each range below has this many networks. */
export const SLOTS_MAX = 1024;

/**
 * /20 ranges of which each slot gets a /30, tried in this order: from the three private ranges of RFC 1918, then from
 * the shared one of RFC 6598.
 */
const RANGES4 = ["10.213.208.0", "172.29.208.0", "192.168.208.0", "100.117.208.0"];
/** The first 48 bits of a unique local range (RFC 4193), drawn once; the slot's number follows. */
const RANGE6 = "fd5b:9c1e:42a7";

/** Routes shorter than this are "everything else" (default routes, and VPNs' halves of one), not a network in use. */
const SHORTEST_NETWORK = 8;

/** The two ends of a private namespace's link. */
export interface PrivateAddresses {
  /** /30: first the gateway's, on the host; then the one inside. */
  gateway4: string;
  inside4: string;
  prefixLength4: number;
  /** /64; null where the host uses the range itself. */
  ipv6: { gateway: string; inside: string; prefixLength: number } | null;
}

function overlaps(network: string, prefixLength: number, route: Route): boolean {
  if (route.prefixLength < SHORTEST_NETWORK) return false;
  const ours = ipaddr.parse(network);
  const theirs = ipaddr.parse(route.destination);
  if (ours.kind() !== theirs.kind()) return false;
  return ours.match(theirs, Math.min(prefixLength, route.prefixLength));
}

function plus(network: string, offset: number): string {
  const bytes = Buffer.from(ipaddr.IPv4.parse(network).toByteArray());
  bytes.writeUInt32BE(bytes.readUInt32BE(0) + offset);
  return ipaddr.fromByteArray([...bytes]).toString();
}

/**
 * The addresses of slot `slot` (0 to `SLOTS_MAX` - 1).
 *
 * @param routes every route of the host, local ones included
 * @throws WorkloadError (PC_RUN_ADDRESS_RANGE) where the host uses all of the ranges
 */
export function choosePrivateAddresses(slot: number, routes: readonly Route[]): PrivateAddresses {
  const networks = RANGES4.map((range) => plus(range, slot * 4));
  const network = networks.find((candidate) => !routes.some((route) => overlaps(candidate, 30, route)));
  if (network === undefined) {
    throw new WorkloadError(
      "PC_RUN_ADDRESS_RANGE",
      `no free IPv4 network for a private namespace: this host has routes to ${networks.join("/30, ")}/30. ` +
        "Take one of these routes away for the time of the run",
    );
  }
  return { gateway4: plus(network, 1), inside4: plus(network, 2), prefixLength4: 30, ipv6: chooseIpv6(slot, routes) };
}

function chooseIpv6(slot: number, routes: readonly Route[]): PrivateAddresses["ipv6"] {
  const network = `${RANGE6}:${slot.toString(16)}::`;
  if (routes.some((route) => overlaps(network, 64, route))) return null;
  return { gateway: canonical(`${network}1`), inside: canonical(`${network}2`), prefixLength: 64 };
}

function canonical(address: string): string {
  return ipaddr.parse(address).toString();
}

/** True where there is a default route for the family. */
export function hasDefaultRoute(routes: readonly Route[], family: (typeof FAMILY)[keyof typeof FAMILY]): boolean {
  return routes.some((route) => route.family === family && route.unicast && route.prefixLength === 0);
}
