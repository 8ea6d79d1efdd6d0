/** Records of what a profile allowed, or had a say about: `namespace/name`, or the name alone. */
import { isTraffic } from "../record.ts";
import type { RecordFilter } from "./record-filter.ts";

export function hasProfile(names: readonly string[]): RecordFilter {
  const isNamed = (profile: string) =>
    names.some((name) => profile === name || (!name.includes("/") && profile.endsWith(`/${name}`)));
  return (record) => {
    if (isTraffic(record) || record.type === "workload") return record.profiles.some(isNamed);
    return false;
  };
}
