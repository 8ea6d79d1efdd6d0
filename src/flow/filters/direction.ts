/** Records of packets that went one way. */
import type { Direction } from "../../api/reasons.ts";
import type { RecordFilter } from "./filter.ts";

export function hasDirection(direction: Direction): RecordFilter {
  return (record) => record.direction === direction;
}
