/** Addresses in the kernel's one form: 16 bytes as a number, IPv4 as ::ffff:a.b.c.d. */
import { type Family, formatAddress, parseAddress } from "./prefixes.ts";

/** 128 bits, first byte highest. A number, so that addresses compare and serve as map keys by value. */
export type Address = bigint;

const MAPPED_PREFIX = 0xffffn;
const IPV4_MASK = 0xffff_ffffn;

export function mapIpv4(address: bigint): Address {
  return (MAPPED_PREFIX << 32n) | address;
}

export function isMapped(address: Address): boolean {
  return address >> 32n === MAPPED_PREFIX;
}

/** The address as a number of its family's own width, as CIDRs are compared. */
export function familyAddress(address: Address, family: Family): bigint {
  return family === "ipv4" ? address & IPV4_MASK : address;
}

/** Canonical text: dotted for IPv4, RFC 5952 for IPv6. */
export function formatIp(address: Address): string {
  return isMapped(address) ? formatAddress(address & IPV4_MASK, "ipv4") : formatAddress(address, "ipv6");
}

/** Parses an address of either family, null if it is none. */
export function parseIp(text: string): Address | null {
  const ipv4 = parseAddress(text, "ipv4");
  return ipv4 === null ? parseAddress(text, "ipv6") : mapIpv4(ipv4);
}

/** The family that an address is written in. */
export function familyOf(address: Address): Family {
  return isMapped(address) ? "ipv4" : "ipv6";
}
