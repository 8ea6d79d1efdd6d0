/** Records of some of the types. */
import { RECORD_TYPES } from "../record.ts";
import { ofList } from "./error.ts";
import type { RecordFilter } from "./record-filter.ts";

export function hasType(values: readonly string[]): RecordFilter {
  const types = ofList("type", values, RECORD_TYPES);
  return (record) => types.has(record.type);
}
