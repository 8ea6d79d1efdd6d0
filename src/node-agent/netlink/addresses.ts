/** Interface addresses over rtnetlink. Layout: <linux/if_addr.h>, struct ifaddrmsg. */
import ipaddr from "ipaddr.js";
import type { RouteConnection } from "./connection.ts";
import { attribute, decodeAttributes, integerAttribute, MESSAGE_FLAG } from "./message.ts";

const RTM_NEWADDR = 20;
const RTM_GETADDR = 22;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_FLAGS = 8;
/** No duplicate address detection: the address can be used at once. */
const IFA_F_NODAD = 2;

/** Address families as rtnetlink numbers them, <sys/socket.h>. */
export const FAMILY = { IPV4: 2, IPV6: 10 } as const;

/** An address of an interface. */
export interface InterfaceAddress {
  linkIndex: number;
  /** Canonical text. */
  address: string;
  prefixLength: number;
}

/** Canonical text of 4 or 16 bytes in network order. */
export function addressText(bytes: Buffer): string {
  return ipaddr.fromByteArray([...bytes]).toString();
}

/** The family and the bytes, in network order, of a textual address. @throws Error where it is none */
export function addressBytes(text: string): { family: number; bytes: Buffer } {
  const address = ipaddr.parse(text);
  return { family: address.kind() === "ipv4" ? FAMILY.IPV4 : FAMILY.IPV6, bytes: Buffer.from(address.toByteArray()) };
}

/** struct ifaddrmsg: family, prefix length, flags, scope, index. */
function addressHeader(family: number, prefixLength: number, linkIndex: number): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(family, 0);
  header.writeUInt8(prefixLength, 1);
  header.writeUInt32LE(linkIndex, 4);
  return header;
}

function decodeAddress(payload: Buffer): InterfaceAddress | null {
  const attributes = decodeAttributes(payload, 8);
  // On point-to-point links IFA_ADDRESS is the other end's; IFA_LOCAL, where given, is always this one's.
  const bytes = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
  if (bytes === undefined || (bytes.length !== 4 && bytes.length !== 16)) return null;
  return {
    linkIndex: payload.readUInt32LE(4),
    address: addressText(bytes),
    prefixLength: payload.readUInt8(1),
  };
}

/** All addresses of the connection's namespace. @throws KernelError */
export function listAddresses(connection: RouteConnection): InterfaceAddress[] {
  const payloads = connection.dump(RTM_GETADDR, [addressHeader(0, 0, 0)], "the interface addresses");
  return payloads.map(decodeAddress).filter((address) => address !== null);
}

/** Gives an interface an address, ready for use at once. @throws KernelError */
export function addAddress(connection: RouteConnection, { linkIndex, address, prefixLength }: InterfaceAddress): void {
  const { family, bytes } = addressBytes(address);
  const request = [
    addressHeader(family, prefixLength, linkIndex),
    attribute(IFA_LOCAL, bytes),
    attribute(IFA_ADDRESS, bytes),
    integerAttribute(IFA_FLAGS, IFA_F_NODAD),
  ];
  const flags = MESSAGE_FLAG.CREATE | MESSAGE_FLAG.EXCLUSIVE;
  connection.request(RTM_NEWADDR, flags, request, `address ${address}/${prefixLength} of interface ${linkIndex}`);
}
