/** IP prefixes as numbers, and the flattening that makes one longest-prefix lookup enough. */
import ipaddr from "ipaddr.js";
import { formatIpv4, parseIpv4 } from "../../api/ipv4.ts";
import { CompileError } from "./errors.ts";
import type { BlockMask, PeerRule } from "./tables.ts";

export type Family = "ipv4" | "ipv6";

export const ADDRESS_BITS = { ipv4: 32, ipv6: 128 } as const satisfies Record<Family, number>;

/** A network: `address` is big-endian with the host bits cleared, `length` counts its leading bits. */
export interface Prefix {
  address: bigint;
  length: number;
}

/** A prefix and the blocks that list it. */
export interface MaskedPrefix extends Prefix {
  mask: BlockMask;
}

/** The bytes of an address as one number, first byte highest. */
export function bytesToNumber(bytes: Iterable<number>): bigint {
  let hex = "0x0";
  for (const byte of bytes) hex += byte.toString(16).padStart(2, "0");
  return BigInt(hex);
}

/** The number as `length` bytes, highest first. */
export function numberToBytes(value: bigint, length: number): number[] {
  const hex = value.toString(16).padStart(length * 2, "0");
  return Array.from({ length }, (_, index) => Number.parseInt(hex.slice(index * 2, index * 2 + 2), 16));
}

/** Canonical text of an address: dotted, or RFC 5952. */
export function formatAddress(address: bigint, family: Family): string {
  if (family === "ipv4") return formatIpv4(Number(address));
  return new ipaddr.IPv6(numberToBytes(address, ADDRESS_BITS.ipv6 / 8)).toRFC5952String();
}

/** `text` with the bits beyond `length` cleared. */
export function maskAddress(address: bigint, length: number, family: Family): bigint {
  const hostBits = BigInt(ADDRESS_BITS[family] - length);
  return (address >> hostBits) << hostBits;
}

/**
 * Parses `address/length`.
 * @throws CompileError if it is no network of that family; the validator has said so long before.
 */
export function parsePrefix(text: string, family: Family): Prefix {
  const slash = text.indexOf("/");
  const lengthText = text.slice(slash + 1);
  const length = Number(lengthText);
  const address = parseAddress(text.slice(0, slash), family);
  if (slash < 0 || address === null || !/^\d{1,3}$/.test(lengthText) || length > ADDRESS_BITS[family]) {
    throw new CompileError(`"${text}" is not an ${family} network; write address/prefix length, e.g. 10.0.0.0/8`);
  }
  return { address: maskAddress(address, length, family), length };
}

/** Parses an address of the family, null if it is none. */
export function parseAddress(text: string, family: Family): bigint | null {
  if (family === "ipv4") {
    const address = parseIpv4(text);
    return address === null ? null : BigInt(address);
  }
  return ipaddr.IPv6.isValid(text) && !text.includes("%") ? bytesToNumber(ipaddr.IPv6.parse(text).toByteArray()) : null;
}

/** Whether `outer` contains all of `inner`. */
export function contains(outer: Prefix, inner: Prefix, family: Family): boolean {
  return outer.length <= inner.length && maskAddress(inner.address, outer.length, family) === outer.address;
}

/**
 * Gives every prefix the masks of the prefixes around it, so that the longest match alone tells all blocks, and
 * leaves out those that say no more than the prefix around them. Sort and one sweep with a stack: O(n log n).
 * The result is sorted by address, then length.
 */
export function flattenPrefixes(entries: MaskedPrefix[], family: Family): PeerRule[] {
  const sorted = [...entries].sort(comparePrefixes);
  const rules: PeerRule[] = [];
  const around: MaskedPrefix[] = [];
  for (let index = 0; index < sorted.length; ) {
    const first = sorted[index] as MaskedPrefix;
    let mask = 0n;
    for (; index < sorted.length && comparePrefixes(sorted[index] as MaskedPrefix, first) === 0; index += 1) {
      mask |= (sorted[index] as MaskedPrefix).mask;
    }
    while (around.length > 0 && !contains(around.at(-1) as MaskedPrefix, first, family)) around.pop();
    const inherited = around.at(-1)?.mask ?? 0n;
    if ((mask | inherited) === inherited) continue;
    around.push({ ...first, mask: mask | inherited });
    rules.push({
      address: formatAddress(first.address, family),
      prefixLength: first.length,
      mask: mask | inherited,
    });
  }
  return rules;
}

function comparePrefixes(left: Prefix, right: Prefix): number {
  if (left.address !== right.address) return left.address < right.address ? -1 : 1;
  return left.length - right.length;
}
