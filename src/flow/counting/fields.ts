/** Fields of records that they can be grouped by. A record that has no such field gives null. */

import { ownerName } from "../owner.ts";
import { type AgentEvent, isVerdict, type VerdictEvent } from "../record.ts";

type Field = (record: AgentEvent) => string | null;

/** Of records of packets alone. */
function ofVerdict(read: (record: VerdictEvent) => string | number | undefined): Field {
  return (record) => {
    const value = isVerdict(record) ? read(record) : undefined;
    return value === undefined ? null : String(value);
  };
}

const FIELDS = {
  type: ({ type }) => type,
  node: ({ node }) => node ?? null,
  namespace: (record) => ("workload" in record ? record.workload.namespace : null),
  pod: (record) => ("workload" in record ? `${record.workload.namespace}/${record.workload.name}` : null),
  workload: (record) => ("workload" in record ? `${record.workload.namespace}/${ownerName(record.workload)}` : null),
  container: ofVerdict(({ process }) => process?.container),
  process: ofVerdict(processName),
  verdict: ofVerdict(({ verdict }) => verdict),
  reason: ofVerdict(({ reason }) => reason),
  direction: ofVerdict(({ direction }) => direction),
  profile: ofVerdict(({ profiles }) => (profiles.length === 0 ? undefined : profiles.join(","))),
  protocol: ofVerdict(({ proto }) => proto),
  application: ofVerdict(({ application }) => application),
  port: ofVerdict(({ dst }) => dst.port),
  peer: ofVerdict((record) => peerOf(record).name ?? peerOf(record).ip),
  ip: ofVerdict((record) => peerOf(record).ip),
  name: ofVerdict((record) => record.dns?.name ?? peerOf(record).name),
  qtype: ofVerdict(({ dns }) => dns?.type),
  rcode: ofVerdict(({ dns }) => dns?.rcode),
} as const satisfies Record<string, Field>;

export type FieldName = keyof typeof FIELDS;
export const FIELD_NAMES = Object.keys(FIELDS) as FieldName[];

export function fieldOf(record: AgentEvent, name: FieldName): string | null {
  return FIELDS[name](record);
}

/** The script, or the executable, or what the kernel calls the process. */
export function processName({ process }: Pick<VerdictEvent, "process">): string | undefined {
  return process?.script ?? process?.path ?? process?.comm;
}

/** The end that is not the workload's. */
export function peerOf({ direction, src, dst }: Pick<VerdictEvent, "direction" | "src" | "dst">) {
  return direction === "egress" ? dst : src;
}
