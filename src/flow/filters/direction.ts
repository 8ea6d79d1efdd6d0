/** Records of packets that went one way. */
import { DIRECTIONS } from "../../api/reasons.ts";
import { isTraffic } from "../record.ts";
import { ofList } from "./error.ts";
import type { RecordFilter } from "./record-filter.ts";

export function hasDirection(values: readonly string[]): RecordFilter {
  const directions = ofList("direction", values, DIRECTIONS);
  return (record) => isTraffic(record) && directions.has(record.direction);
}
