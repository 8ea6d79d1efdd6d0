/** Bytes of packets: numbers, addresses and the internet checksum. */
import { numberToBytes, parseAddress } from "../../src/policy/table/prefixes.ts";

export type Bytes = readonly number[] | Uint8Array;

/** 16 bits, highest first. */
export function word(value: number): number[] {
  return [(value >>> 8) & 0xff, value & 0xff];
}

/** 32 bits, highest first. */
export function long(value: number): number[] {
  return [...word(value >>> 16), ...word(value & 0xffff)];
}

export function text(value: string): number[] {
  return [...Buffer.from(value, "latin1")];
}

/** 4 or 16 bytes. @throws TypeError if it is no address */
export function addressBytes(address: string): number[] {
  const ipv4 = parseAddress(address, "ipv4");
  if (ipv4 !== null) return numberToBytes(ipv4, 4);
  const ipv6 = parseAddress(address, "ipv6");
  if (ipv6 === null) throw new TypeError(`"${address}" is not an address`);
  return numberToBytes(ipv6, 16);
}

/** Six bytes of `aa:bb:cc:dd:ee:ff`. */
export function macBytes(mac: string): number[] {
  return mac.split(":").map((byte) => Number.parseInt(byte, 16));
}

/** The checksum of RFC 1071 over all the bytes. */
export function internetChecksum(...parts: Bytes[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let offset = 0; offset < part.length; offset += 2) {
      sum += ((part[offset] as number) << 8) | (part[offset + 1] ?? 0);
    }
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
