/** Records of a protocol: of IP (`tcp`, `icmp` for both versions of it, or a number), or an application's (`dns`, `http`, `tls`). */
import { isTraffic } from "../record.ts";
import { FilterError } from "./error.ts";
import type { RecordFilter } from "./record-filter.ts";

/** Words of a filter, and what records have for them. */
const PROTOCOLS: Readonly<Record<string, readonly string[]>> = {
  icmp: ["icmp", "icmpv6"],
  icmpv4: ["icmp"],
  ...Object.fromEntries(
    ["icmpv6", "igmp", "tcp", "udp", "sctp", "arp", "dns", "http", "tls"].map((name) => [name, [name]]),
  ),
};
const NUMBER = /^(\d{1,3}|0x[0-9a-f]{4})$/;

export function hasProtocol(values: readonly string[]): RecordFilter {
  const wanted = new Set(values.flatMap(namesOf));
  return (record) => {
    if (!isTraffic(record)) return false;
    const { proto, application } = record;
    return (
      wanted.has(proto) ||
      (application !== undefined && wanted.has(application)) ||
      ("dns" in record && record.dns !== undefined && wanted.has("dns"))
    );
  };
}

function namesOf(value: string): readonly string[] {
  const name = value.toLowerCase();
  const known = PROTOCOLS[name];
  if (known !== undefined) return known;
  if (NUMBER.test(name)) return [name];
  throw new FilterError("protocol", value, `there are ${Object.keys(PROTOCOLS).join(", ")}, and numbers`);
}
