/**
 * The two ends of a record: who sent, and who received. The workload of a record is one of them; of the other the record has the
 * address and, where the workload had learned one, its name.
 */
import { type AgentEvent, type Endpoint, isVerdict, type WorkloadReference } from "../../record.ts";
import type { RecordFilter } from "../filter.ts";

export type Side = "from" | "to" | "either";

export interface End {
  workload: WorkloadReference | null;
  endpoint: Endpoint | null;
}

/** Records of which an end on that side meets the test. */
export function hasEnd(side: Side, test: (end: End) => boolean): RecordFilter {
  return (record) => endsOf(record, side).some(test);
}

function endsOf(record: AgentEvent, side: Side): End[] {
  if (record.type === "workload") return side === "either" ? [{ workload: record.workload, endpoint: null }] : [];
  if (!isVerdict(record)) return [];
  const { workload, direction, src, dst } = record;
  const from = { workload: direction === "egress" ? workload : null, endpoint: src };
  const to = { workload: direction === "egress" ? null : workload, endpoint: dst };
  if (side === "either") return [from, to];
  return [side === "from" ? from : to];
}
