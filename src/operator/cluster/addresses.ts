/** Addresses as the API server writes them, in one form for each. */
import { formatIp, parseIp } from "../../policy/table/addresses.ts";
import type { PeerPrefixes } from "../../policy/table/peers.ts";
import { ADDRESS_BITS, type Prefix, parsePrefix } from "../../policy/table/prefixes.ts";

/** Canonical texts of those that are addresses, each once, sorted. */
export function canonicalAddresses(texts: readonly string[]): string[] {
  const parsed = texts.map((text) => parseIp(text)).filter((address) => address !== null);
  return [...new Set(parsed.map(formatIp))].sort();
}

/** One prefix for each address. */
export function prefixesOf(addresses: Iterable<string>): PeerPrefixes {
  const cidrs4: Prefix[] = [];
  const cidrs6: Prefix[] = [];
  for (const address of addresses) {
    if (address.includes(":")) cidrs6.push(parsePrefix(`${address}/${ADDRESS_BITS.ipv6}`, "ipv6"));
    else cidrs4.push(parsePrefix(`${address}/${ADDRESS_BITS.ipv4}`, "ipv4"));
  }
  return { cidrs4, cidrs6 };
}
