/** Routes over rtnetlink. Layout: <linux/rtnetlink.h>, struct rtmsg. */
import { addressBytes, addressText, FAMILY } from "./addresses.ts";
import type { RouteConnection } from "./connection.ts";
import { attribute, attributeInteger, decodeAttributes, integerAttribute, MESSAGE_FLAG } from "./message.ts";

const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_MULTIPATH = 9;
const RTN_UNICAST = 1;
const RT_TABLE_MAIN = 254;
const RTPROT_STATIC = 4;

export interface Route {
  family: number;
  /** Canonical text of the network; `0.0.0.0` or `::` for the default route. */
  destination: string;
  prefixLength: number;
  /** False for local, broadcast, unreachable, ... */
  unicast: boolean;
  /** Interfaces that packets leave by; several for a multipath route. */
  linkIndexes: number[];
}

/** struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags. */
function routeHeader(family: number): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt8(family, 0);
  return header;
}

/** struct rtnexthop: length, flags, hops, index. */
function nextHopIndexes(payload: Buffer): number[] {
  const indexes: number[] = [];
  for (let at = 0; at + 8 <= payload.length; ) {
    const length = payload.readUInt16LE(at);
    indexes.push(payload.readInt32LE(at + 4));
    at += Math.max(8, (length + 3) & ~3);
  }
  return indexes;
}

function decodeRoute(payload: Buffer): Route {
  const attributes = decodeAttributes(payload, 12);
  const family = payload.readUInt8(0);
  const destination = attributes.get(RTA_DST);
  const link = attributeInteger(attributes.get(RTA_OIF));
  const anywhere = family === FAMILY.IPV4 ? "0.0.0.0" : "::";
  return {
    family,
    destination: destination === undefined ? anywhere : addressText(destination),
    prefixLength: payload.readUInt8(1),
    unicast: payload.readUInt8(7) === RTN_UNICAST,
    linkIndexes: link === null ? nextHopIndexes(attributes.get(RTA_MULTIPATH) ?? Buffer.alloc(0)) : [link],
  };
}

/** The IPv4 and IPv6 routes of every table of the connection's namespace. @throws KernelError */
export function listRoutes(connection: RouteConnection): Route[] {
  const families = [FAMILY.IPV4, FAMILY.IPV6];
  const payloads = families.flatMap((family) => connection.dump(RTM_GETROUTE, [routeHeader(family)], "the routes"));
  return payloads.map(decodeRoute);
}

/** Adds the default route of the gateway's family, to the main table. @throws KernelError */
export function addDefaultRoute(connection: RouteConnection, gateway: string, linkIndex: number): void {
  const { family, bytes } = addressBytes(gateway);
  const header = routeHeader(family);
  header.writeUInt8(RT_TABLE_MAIN, 4);
  header.writeUInt8(RTPROT_STATIC, 5);
  header.writeUInt8(RTN_UNICAST, 7);
  const request = [header, attribute(RTA_GATEWAY, bytes), integerAttribute(RTA_OIF, linkIndex)];
  const flags = MESSAGE_FLAG.CREATE | MESSAGE_FLAG.EXCLUSIVE;
  connection.request(RTM_NEWROUTE, flags, request, `the default route by ${gateway}`);
}
