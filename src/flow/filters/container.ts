/** Records of one container, of those that the pod's profiles tell apart. */
import { isTraffic } from "../record.ts";
import type { RecordFilter } from "./record-filter.ts";

export function hasContainer(names: readonly string[]): RecordFilter {
  return (record) => {
    const name = isTraffic(record) ? record.process?.container : undefined;
    return name !== undefined && names.includes(name);
  };
}
