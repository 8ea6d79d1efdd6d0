/** Address prefixes as profiles list them: strict, so that what is refused here is what the API server refuses. */
import { isIPv6 } from "node:net";
import ipaddr from "ipaddr.js";
import type { Finding } from "./fields.ts";
import { formatIpv4, maskIpv4, parseIpv4 } from "./ipv4.ts";

/** What the API server checks beside `format: cidr`, which allows either family, and octets with leading zeros. */
const OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
export const CIDR4_PATTERN = `^${OCTET}(\\.${OCTET}){3}/(0|[1-9][0-9]?)$`;
export const CIDR6_PATTERN = "^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*/(0|[1-9][0-9]{0,2})$";

export type AddressFamily = 4 | 6;

/** A prefix in canonical form. */
export interface Cidr {
  family: AddressFamily;
  /** Canonical text, host bits cleared: `10.0.0.0`, `2001:db8::` (RFC 5952). */
  address: string;
  prefixLength: number;
  /** Whether host bits were set, so that `address` is not the one that was written. */
  masked: boolean;
}

const ADDRESS_BITS = { 4: 32, 6: 128 } as const;
const PREFIX_LENGTH = /^(0|[1-9][0-9]{0,2})$/;
/** ::ffff:0:0/96, under which no packet is ever seen: an IPv4 packet's addresses are IPv4. */
const MAPPED_PREFIX_LENGTH = 96;

/** Reads `text` as a prefix of the family; the finding says what is wrong with it. */
export function parseCidr(text: string, family: AddressFamily): Cidr | Finding {
  const slash = text.indexOf("/");
  const address = slash < 0 ? text : text.slice(0, slash);
  const ipv4 = parseIpv4(address);
  const found = ipv4 === null ? ipv6Family(address) : 4;
  if (found === null) return invalid(`${JSON.stringify(text)} is not an address prefix`, `write ${EXAMPLES[family]}`);
  if (found !== family) {
    return invalid(`${JSON.stringify(text)} is an IPv${found} prefix`, `list it under cidr${found}`);
  }
  if (slash < 0) {
    const whole = `${text}/${ADDRESS_BITS[family]}`;
    const finding = invalid(`${JSON.stringify(text)} has no prefix length`, `write "${whole}" for this one address`);
    return { ...finding, mend: { write: whole } };
  }
  const prefixLength = prefixLengthOf(text.slice(slash + 1), family);
  if (prefixLength === null) {
    return invalid(
      `${JSON.stringify(text)} has a bad prefix length`,
      `write a number from 0 to ${ADDRESS_BITS[family]} after the "/", without leading zeros`,
    );
  }
  return ipv4 === null ? maskedIpv6(ipaddr.IPv6.parse(address), prefixLength) : maskedIpv4(ipv4, prefixLength);
}

/** Canonical text of a prefix, e.g. `10.0.0.0/8`. */
export function cidrText(cidr: Cidr): string {
  return `${cidr.address}/${cidr.prefixLength}`;
}

const EXAMPLES = { 4: "an IPv4 prefix such as 10.0.0.0/8", 6: "an IPv6 prefix such as 2001:db8::/32" } as const;

/** Node's own parser: no shortened forms; a zone (`%eth0`) is none of a prefix. */
function ipv6Family(address: string): AddressFamily | null {
  return isIPv6(address) && !address.includes("%") ? 6 : null;
}

function prefixLengthOf(text: string, family: AddressFamily): number | null {
  if (!PREFIX_LENGTH.test(text)) return null;
  const length = Number(text);
  return length <= ADDRESS_BITS[family] ? length : null;
}

function maskedIpv4(address: number, prefixLength: number): Cidr {
  const network = maskIpv4(address, prefixLength);
  return { family: 4, address: formatIpv4(network), prefixLength, masked: network !== address };
}

function maskedIpv6(address: ipaddr.IPv6, prefixLength: number): Cidr | Finding {
  const bytes = address.toByteArray();
  const network = bytes.map((byte, index) => byte & (0xff00 >> Math.min(8, Math.max(0, prefixLength - 8 * index))));
  const networkAddress = new ipaddr.IPv6(network);
  if (isMapped(networkAddress, prefixLength)) {
    return invalid(
      `"${address.toString()}/${prefixLength}" is an IPv4 prefix in IPv6 clothes, which no packet matches`,
      `list "${networkAddress.toIPv4Address().toString()}/${prefixLength - MAPPED_PREFIX_LENGTH}" under cidr4`,
    );
  }
  const masked = network.some((byte, index) => byte !== bytes[index]);
  return { family: 6, address: networkAddress.toRFC5952String(), prefixLength, masked };
}

function isMapped(address: ipaddr.IPv6, prefixLength: number): boolean {
  return prefixLength >= MAPPED_PREFIX_LENGTH && address.isIPv4MappedAddress();
}

function invalid(message: string, remedy: string): Finding {
  return { code: "PC_CIDR_INVALID", message, remedy };
}
