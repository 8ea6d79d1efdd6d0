/** Fields of records that they can be grouped by. A record that has no such field gives null. */

import { ownerName } from "../owner.ts";
import { type AgentEvent, isTraffic, isVerdict, type TrafficEvent, type VerdictEvent } from "../record.ts";

type Field = (record: AgentEvent) => string | null;

/** Of packets and flows. */
function ofTraffic(read: (record: TrafficEvent) => string | number | undefined): Field {
  return (record) => {
    const value = isTraffic(record) ? read(record) : undefined;
    return value === undefined ? null : String(value);
  };
}

function ofVerdict(read: (record: VerdictEvent) => string | undefined): Field {
  return (record) => (isVerdict(record) ? (read(record) ?? null) : null);
}

const FIELDS = {
  type: ({ type }) => type,
  node: ({ node }) => node ?? null,
  namespace: (record) => ("workload" in record ? record.workload.namespace : null),
  pod: (record) => ("workload" in record ? `${record.workload.namespace}/${record.workload.name}` : null),
  workload: (record) => ("workload" in record ? `${record.workload.namespace}/${ownerName(record.workload)}` : null),
  container: ofTraffic(({ process }) => process?.container),
  process: ofTraffic(processName),
  verdict: ofTraffic(({ verdict }) => verdict),
  reason: ofTraffic(({ reason }) => reason),
  direction: ofTraffic(({ direction }) => direction),
  profile: ofTraffic(({ profiles }) => (profiles.length === 0 ? undefined : profiles.join(","))),
  protocol: ofTraffic(({ proto }) => proto),
  application: ofTraffic(({ application }) => application),
  port: ofTraffic(({ dst }) => dst.port),
  service: ofTraffic(serviceOf),
  peer: ofTraffic((record) => peerOf(record).name ?? peerOf(record).ip),
  ip: ofTraffic((record) => peerOf(record).ip),
  name: ofTraffic((record) => ("dns" in record ? record.dns?.name : undefined) ?? peerOf(record).name),
  qtype: ofVerdict(({ dns }) => dns?.type),
  rcode: ofVerdict(({ dns }) => dns?.rcode),
} as const satisfies Record<string, Field>;

export type FieldName = keyof typeof FIELDS;
export const FIELD_NAMES = Object.keys(FIELDS) as FieldName[];

export function fieldOf(record: AgentEvent, name: FieldName): string | null {
  return FIELDS[name](record);
}

/** `443/tcp`: of an answer to a question, that of the server too. */
export function serviceOf(record: TrafficEvent): string {
  const isAnswer = "dns" in record && record.dns?.rcode !== undefined;
  const { port } = isAnswer ? record.src : record.dst;
  return port === undefined ? record.proto : `${port}/${record.proto}`;
}

/** The script, or the executable, or what the kernel calls the process. */
export function processName({ process }: Pick<TrafficEvent, "process">): string | undefined {
  return process?.script ?? process?.path ?? process?.comm;
}

/** The end that is not the workload's. */
export function peerOf({ direction, src, dst }: Pick<TrafficEvent, "direction" | "src" | "dst">) {
  return direction === "egress" ? dst : src;
}
