/** The link of a private namespace to the host: veth pair, addresses, routes and interface settings. */
import { closeSync, existsSync, openSync } from "node:fs";
import { InternalError } from "../../api/errors.ts";
import { inNetworkNamespace } from "../ffi/namespaces.ts";
import { addAddress } from "../netlink/addresses.ts";
import { RouteConnection } from "../netlink/connection.ts";
import { createVethPair, findLink, setLinkUp } from "../netlink/links.ts";
import { addDefaultRoute } from "../netlink/routes.ts";
import { writeIpv4Setting, writeIpv6Setting } from "./forwarding.ts";
import type { PrivateAddresses } from "./private-range.ts";

export const INSIDE_INTERFACE = "eth0";

export interface PrivateLink {
  hostInterface: string;
  netnsPath: string;
  addresses: PrivateAddresses;
  /** Bytes; that of the way outside, so that nothing has to be fragmented behind the link. */
  mtu: number;
  /** A default route for IPv6 too. */
  ipv6Outside: boolean;
  /** The host's resolver listens on loopback, and is reached through this link. */
  routesLoopback: boolean;
}

/**
 * Settings that keep a link of two known ends quiet: no router or link-local addresses are looked for, and multicast
 * membership is reported at once, before anybody counts packets, not in the seconds to come.
 */
const QUIET: ReadonlyMap<string, number> = new Map([
  ["addr_gen_mode", 1],
  ["accept_ra", 0],
  ["mldv1_unsolicited_report_interval", 1],
  ["mldv2_unsolicited_report_interval", 1],
]);

function quieten(name: string): void {
  if (!existsSync(`/proc/sys/net/ipv6/conf/${name}`)) return;
  for (const [setting, value] of QUIET) writeIpv6Setting(name, setting, value);
}

/** Makes the link and sets both of its ends up. @throws KernelError; Node's error where /proc/sys cannot be written */
export function buildPrivateLink(own: RouteConnection, link: PrivateLink): void {
  const { hostInterface, netnsPath, mtu } = link;
  const namespace = openSync(netnsPath, "r");
  try {
    // What is set for `default` holds for every interface that comes later.
    inNetworkNamespace(namespace, () => quieten("default"));
    createVethPair(own, { name: hostInterface, peerName: INSIDE_INTERFACE, peerNamespaceFd: namespace, mtu });
  } finally {
    closeSync(namespace);
  }
  setUpHostEnd(own, link);
  setUpInsideEnd(link);
}

function setUpHostEnd(own: RouteConnection, { hostInterface, addresses, routesLoopback }: PrivateLink): void {
  quieten(hostInterface);
  writeIpv4Setting(hostInterface, "forwarding", 1);
  if (routesLoopback) writeIpv4Setting(hostInterface, "route_localnet", 1);
  const linkIndex = indexOf(own, hostInterface);
  const { gateway4, prefixLength4, ipv6 } = addresses;
  addAddress(own, { linkIndex, address: gateway4, prefixLength: prefixLength4 });
  if (ipv6 !== null) addAddress(own, { linkIndex, address: ipv6.gateway, prefixLength: ipv6.prefixLength });
  setLinkUp(own, linkIndex);
}

function setUpInsideEnd({ netnsPath, addresses, ipv6Outside }: PrivateLink): void {
  using inside = new RouteConnection(netnsPath);
  setLinkUp(inside, indexOf(inside, "lo"));
  const linkIndex = indexOf(inside, INSIDE_INTERFACE);
  const { gateway4, inside4, prefixLength4, ipv6 } = addresses;
  addAddress(inside, { linkIndex, address: inside4, prefixLength: prefixLength4 });
  if (ipv6 !== null) addAddress(inside, { linkIndex, address: ipv6.inside, prefixLength: ipv6.prefixLength });
  setLinkUp(inside, linkIndex);
  addDefaultRoute(inside, gateway4, linkIndex);
  if (ipv6 !== null && ipv6Outside) addDefaultRoute(inside, ipv6.gateway, linkIndex);
}

function indexOf(connection: RouteConnection, name: string): number {
  const link = findLink(connection, name);
  if (link === null) throw new InternalError(`the interface ${name}, just made, is not there`);
  return link.index;
}
