/** Records as flows of Hubble. What Hubble has no field for (the process, the reason, how many) is in `extensions`, as a Struct. */
import { isIPv6 } from "node:net";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { anyPack, StructSchema, type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { dnsRcodeNumber } from "../flow/protocols.ts";
import type { Endpoint, LostEvent, VerdictEvent, WorkloadReference } from "../flow/record.ts";
import {
  DropReason,
  type EndpointSchema,
  type Flow,
  FlowSchema,
  FlowType,
  IPVersion,
  L7FlowType,
  type Layer4Schema,
  type Layer7Schema,
  LostEventSchema,
  LostEventSource,
  type LostEvent as LostMessage,
  type PolicySchema,
  TrafficDirection,
  Verdict,
} from "../gen/observer_pb.js";
import { DROP_EVENT, L7_EVENT, TRACE_EVENT } from "./event-types.ts";

const VERDICTS: Readonly<Record<VerdictEvent["verdict"], Verdict>> = {
  allowed: Verdict.FORWARDED,
  counted: Verdict.FORWARDED,
  alerted: Verdict.AUDIT,
  dropped: Verdict.DROPPED,
};
const POLICY_KIND = "SecurityProfile";

export function flowOf(record: VerdictEvent): Flow {
  const { verdict, direction, workload, src, dst, dns, type } = record;
  const isEgress = direction === "egress";
  const isDropped = verdict === "dropped";
  return create(FlowSchema, {
    time: timeOf(record),
    verdict: VERDICTS[verdict],
    ...(isDropped ? { dropReason: DropReason.POLICY_DENIED, dropReasonDesc: DropReason.POLICY_DENIED } : {}),
    IP: { source: src.ip, destination: dst.ip, ipVersion: isIPv6(src.ip) ? IPVersion.IPv6 : IPVersion.IPv4 },
    ...layer4(record),
    ...(isEgress ? { source: endpoint(workload) } : { destination: endpoint(workload) }),
    Type: type === "dns" ? FlowType.L7 : FlowType.L3_L4,
    nodeName: record.node ?? "",
    sourceNames: namesOf(src),
    destinationNames: namesOf(dst),
    ...(dns === undefined ? {} : { l7: layer7(dns) }),
    eventType:
      type !== "dns" && isDropped
        ? { type: DROP_EVENT, subType: DropReason.POLICY_DENIED }
        : { type: type === "dns" ? L7_EVENT : TRACE_EVENT },
    trafficDirection: isEgress ? TrafficDirection.EGRESS : TrafficDirection.INGRESS,
    isReply: false,
    Summary: summary(record),
    extensions: anyPack(StructSchema, create(StructSchema, extensions(record))),
    ...policies(record),
  });
}

export function lostOf({ where, count }: Pick<LostEvent, "where" | "count">): LostMessage {
  const source = where === "kernel" ? LostEventSource.PERF_EVENT_RING_BUFFER : LostEventSource.OBSERVER_EVENTS_QUEUE;
  return create(LostEventSchema, { source, numEventsLost: BigInt(count) });
}

export function timeOf({ time }: { time: string }): Timestamp {
  return timestampFromMs(Date.parse(time));
}

function endpoint({ namespace, name, labels }: WorkloadReference): MessageInitShape<typeof EndpointSchema> {
  return { namespace, podName: name, labels: Object.entries(labels).map(([key, value]) => `k8s:${key}=${value}`) };
}

function namesOf({ name }: Endpoint): string[] {
  return name === undefined ? [] : [name];
}

function layer4({ proto, src, dst }: VerdictEvent): { l4?: MessageInitShape<typeof Layer4Schema> } {
  const ports = { sourcePort: src.port ?? 0, destinationPort: dst.port ?? 0 };
  if (proto === "tcp") return { l4: { protocol: { case: "TCP", value: ports } } };
  if (proto === "udp") return { l4: { protocol: { case: "UDP", value: ports } } };
  if (proto === "sctp") return { l4: { protocol: { case: "SCTP", value: ports } } };
  if (proto === "icmp") return { l4: { protocol: { case: "ICMPv4", value: {} } } };
  if (proto === "icmpv6") return { l4: { protocol: { case: "ICMPv6", value: {} } } };
  return {};
}

function layer7({ name, type, rcode }: NonNullable<VerdictEvent["dns"]>): MessageInitShape<typeof Layer7Schema> {
  const value = { query: `${name}.`, qtypes: [type], rcode: rcode === undefined ? 0 : dnsRcodeNumber(rcode) };
  return { type: rcode === undefined ? L7FlowType.REQUEST : L7FlowType.RESPONSE, record: { case: "dns", value } };
}

type PolicyField = "egressAllowedBy" | "egressDeniedBy" | "ingressAllowedBy" | "ingressDeniedBy";

function policies({
  profiles,
  direction,
  verdict,
}: VerdictEvent): Partial<Record<PolicyField, MessageInitShape<typeof PolicySchema>[]>> {
  const all = profiles.map((profile): MessageInitShape<typeof PolicySchema> => {
    const slash = profile.indexOf("/");
    return { namespace: profile.slice(0, Math.max(slash, 0)), name: profile.slice(slash + 1), kind: POLICY_KIND };
  });
  const isAllowed = verdict === "allowed" || verdict === "counted";
  if (direction === "egress") return isAllowed ? { egressAllowedBy: all } : { egressDeniedBy: all };
  return isAllowed ? { ingressAllowedBy: all } : { ingressDeniedBy: all };
}

function summary({ proto, process, reason, dns }: VerdictEvent): string {
  const asked =
    dns === undefined ? "" : ` ${dns.rcode === undefined ? "Query" : `Answer ${dns.rcode}`} ${dns.name} ${dns.type}`;
  const who =
    process === null
      ? "no process"
      : `${process.script ?? process.path ?? "unknown"}${process.pid === undefined ? "" : `[${process.pid}]`}`;
  return `${proto.toUpperCase()}${asked}; ${who}; ${reason}`;
}

/** What there is no field for. Absent parts are left out. */
function extensions({
  process,
  reason,
  count,
  application,
  malformed,
}: VerdictEvent): MessageInitShape<typeof StructSchema> {
  const { parent, ...own } = process ?? {};
  const parts = {
    reason,
    count,
    application,
    ...own,
    parent: parent?.path,
    parentPid: parent?.pid,
    fault: malformed?.fault,
  };
  const fields: NonNullable<MessageInitShape<typeof StructSchema>["fields"]> = {};
  for (const [name, value] of Object.entries(parts)) {
    if (typeof value === "string") fields[name] = { kind: { case: "stringValue", value } };
    else if (typeof value === "number") fields[name] = { kind: { case: "numberValue", value } };
    else if (typeof value === "boolean") fields[name] = { kind: { case: "boolValue", value } };
  }
  return { fields };
}
