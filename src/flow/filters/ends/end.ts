/**
 * The two ends of a record: who sent, and who received. The workload of a record is one of them; of the other the record has the
 * address and, where the workload had learned one, its name.
 */
import { type AgentEvent, type Endpoint, isTraffic, type WorkloadReference } from "../../record.ts";

export type Side = "from" | "to" | "either";

export interface End {
  workload: WorkloadReference | null;
  endpoint: Endpoint | null;
  /** The name that the record asks for, or answers; it is of neither end, so that only filters without a side see it. */
  asked: string | null;
}

/** Whether an end is one that is wanted. */
export type EndTest = (end: End) => boolean;

/** The ends of a record on this side. */
export function endsOf(record: AgentEvent, side: Side): End[] {
  if (record.type === "workload") {
    return side === "either" ? [{ workload: record.workload, endpoint: null, asked: null }] : [];
  }
  if (!isTraffic(record)) return [];
  const { workload, direction, src, dst } = record;
  const asked = side === "either" && "dns" in record ? (record.dns?.name ?? null) : null;
  const from = { workload: direction === "egress" ? workload : null, endpoint: src, asked };
  const to = { workload: direction === "egress" ? null : workload, endpoint: dst, asked };
  if (side === "either") return [from, to];
  return [side === "from" ? from : to];
}
