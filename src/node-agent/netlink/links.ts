/** Network interfaces over rtnetlink. Layouts: <linux/rtnetlink.h> (struct ifinfomsg), <linux/if_link.h>, <linux/veth.h>. */

import type { RouteConnection } from "./connection.ts";
import {
  attribute,
  attributeInteger,
  attributeText,
  decodeAttributes,
  integerAttribute,
  MESSAGE_FLAG,
  nestedAttribute,
  textAttribute,
} from "./message.ts";

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_LINKINFO = 18;
const IFLA_NET_NS_FD = 28;
const IFLA_EXT_MASK = 29;
const IFLA_LINK_NETNSID = 37;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const VETH_INFO_PEER = 1;
/** RTEXT_FILTER_SKIP_STATS: leaves the counters, most of an answer's bytes, out. */
const SKIP_STATISTICS = 8;
const IFF_UP = 1;
const IFF_LOOPBACK = 8;
/** ARPHRD_ETHER, <linux/if_arp.h> */
const HARDWARE_ETHERNET = 1;

/** A network interface, seen from the namespace that it is in. */
export interface Link {
  index: number;
  name: string;
  /** `veth`, `macvlan`, ...; null for hardware and for loopback. */
  kind: string | null;
  loopback: boolean;
  ethernet: boolean;
  up: boolean;
  /** Bytes of the largest packet. */
  mtu: number;
  /** `aa:bb:cc:dd:ee:ff`; "" where it has none. */
  mac: string;
  /** Index of the peer (veth) or of the lower interface; null where there is none. */
  peerIndex: number | null;
  /** Id of the network namespace that `peerIndex` is in; null where it is in the same one. */
  peerNsid: number | null;
}

/** struct ifinfomsg: family, padding, type, index, flags, change. */
function linkHeader(index: number, flags = 0, change = 0): Buffer {
  const header = Buffer.alloc(16);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(flags, 8);
  header.writeUInt32LE(change, 12);
  return header;
}

function decodeLink(payload: Buffer): Link {
  const attributes = decodeAttributes(payload, 16);
  const info = attributes.get(IFLA_LINKINFO);
  const flags = payload.readUInt32LE(8);
  return {
    index: payload.readInt32LE(4),
    name: attributeText(attributes.get(IFLA_IFNAME)) ?? "",
    kind: info === undefined ? null : attributeText(decodeAttributes(info).get(IFLA_INFO_KIND)),
    loopback: (flags & IFF_LOOPBACK) !== 0,
    ethernet: payload.readUInt16LE(2) === HARDWARE_ETHERNET,
    up: (flags & IFF_UP) !== 0,
    mtu: attributeInteger(attributes.get(IFLA_MTU)) ?? 0,
    mac: macText(attributes.get(IFLA_ADDRESS) ?? Buffer.alloc(0)),
    peerIndex: attributeInteger(attributes.get(IFLA_LINK)),
    peerNsid: attributeInteger(attributes.get(IFLA_LINK_NETNSID)),
  };
}

function macText(bytes: Buffer): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** All interfaces of the connection's namespace, up or down. @throws KernelError */
export function listLinks(connection: RouteConnection): Link[] {
  const request = [linkHeader(0), integerAttribute(IFLA_EXT_MASK, SKIP_STATISTICS)];
  return connection.dump(RTM_GETLINK, request, "the network interfaces").map(decodeLink);
}

export interface VethPair {
  name: string;
  peerName: string;
  peerNamespaceFd: number;
  /** Of both ends; the kernel's default, 1500, where absent. */
  mtu?: number;
}

function vethEnd(name: string, mtu: number | undefined): Buffer[] {
  const attributes = [linkHeader(0), textAttribute(IFLA_IFNAME, name)];
  return mtu === undefined ? attributes : [...attributes, integerAttribute(IFLA_MTU, mtu)];
}

/**
 * Makes a veth pair: `name` in the connection's namespace, `peerName` in the one behind `peerNamespaceFd`. Both are
 * down.
 *
 * @throws KernelError, EEXIST where one of the names is taken
 */
export function createVethPair(connection: RouteConnection, pair: VethPair): void {
  const { name, peerName, peerNamespaceFd, mtu } = pair;
  const peer = Buffer.concat([...vethEnd(peerName, mtu), integerAttribute(IFLA_NET_NS_FD, peerNamespaceFd)]);
  const data = nestedAttribute(IFLA_INFO_DATA, [attribute(VETH_INFO_PEER, peer)]);
  const request = [
    ...vethEnd(name, mtu),
    nestedAttribute(IFLA_LINKINFO, [textAttribute(IFLA_INFO_KIND, "veth"), data]),
  ];
  connection.request(RTM_NEWLINK, MESSAGE_FLAG.CREATE | MESSAGE_FLAG.EXCLUSIVE, request, `veth pair ${name}`);
}

/** Sets an interface up or down. @throws KernelError */
export function setLinkUp(connection: RouteConnection, index: number, up = true): void {
  connection.request(RTM_NEWLINK, 0, [linkHeader(index, up ? IFF_UP : 0, IFF_UP)], `interface ${index}`);
}

/** Moves an interface to another network namespace, where it arrives down. @throws KernelError */
export function moveLink(connection: RouteConnection, index: number, namespaceFd: number): void {
  const request = [linkHeader(index), integerAttribute(IFLA_NET_NS_FD, namespaceFd)];
  connection.request(RTM_NEWLINK, 0, request, `interface ${index}`);
}

/** Removes an interface; a veth takes its peer along. @throws KernelError, ENODEV where it is not there */
export function deleteLink(connection: RouteConnection, index: number): void {
  connection.request(RTM_DELLINK, 0, [linkHeader(index)], `interface ${index}`);
}

/** The interface of this name; null where there is none. @throws KernelError */
export function findLink(connection: RouteConnection, name: string): Link | null {
  return listLinks(connection).find((link) => link.name === name) ?? null;
}
