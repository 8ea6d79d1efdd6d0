/** Records of ends with a name: that an address was learned under, or (on either side) that was asked for; `*.example.com` for all below it. */
import { isVerdict } from "../../record.ts";
import type { RecordFilter } from "../filter.ts";
import { namePattern } from "../pattern.ts";
import { hasEnd, type Side } from "./end.ts";

export function hasName(side: Side): (names: readonly string[]) => RecordFilter {
  return (names) => {
    const matches = namePattern(names);
    const hasNamedEnd = hasEnd(side, ({ endpoint }) => endpoint?.name !== undefined && matches(endpoint.name));
    if (side !== "either") return hasNamedEnd;
    return (record) =>
      hasNamedEnd(record) || (isVerdict(record) && record.dns !== undefined && matches(record.dns.name));
  };
}
