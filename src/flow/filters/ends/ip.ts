/** Ends with an address, or of all below a prefix: `10.0.0.1`, `10.0.0.0/8`, `2001:db8::/32`. */
import ipaddr from "ipaddr.js";
import { FilterError } from "../error.ts";
import type { EndTest } from "./end.ts";

type Prefix = [ipaddr.IPv4 | ipaddr.IPv6, number];

export function hasAddress(values: readonly string[]): EndTest {
  const prefixes = values.map(prefixOf);
  return ({ endpoint }) => endpoint !== null && isWithin(endpoint.ip, prefixes);
}

function isWithin(text: string, prefixes: readonly Prefix[]): boolean {
  if (!ipaddr.isValid(text)) return false;
  const address = ipaddr.parse(text);
  return prefixes.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits));
}

/** @throws FilterError */
function prefixOf(text: string): Prefix {
  const isWhole = !text.includes("/");
  const isRight = isWhole
    ? ipaddr.IPv4.isValidFourPartDecimal(text) || ipaddr.IPv6.isValid(text)
    : ipaddr.isValidCIDR(text);
  if (!isRight) throw new FilterError("ip", text, "write an address or a prefix, such as 10.0.0.1 or 2001:db8::/32");
  if (!isWhole) return ipaddr.parseCIDR(text);
  const address = ipaddr.parse(text);
  return [address, address.kind() === "ipv4" ? 32 : 128];
}
