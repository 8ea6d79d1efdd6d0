/** Hubble's filters of flows as criteria of records. A filter of what records do not have is refused by its name, and not answered with nothing. */
import { isIPv6 } from "node:net";
import { UsageError } from "../api/errors.ts";
import type { Verdict as RecordVerdict } from "../api/reasons.ts";
import type { FilterCriteria } from "../flow/filters/filter.ts";
import {
  DropReason,
  type EventTypeFilter,
  type FlowFilter,
  FlowFilterSchema,
  IPVersion,
  TrafficDirection,
  Verdict,
} from "../gen/observer_pb.js";
import { DROP_EVENT, L7_EVENT, TRACE_EVENT } from "./event-types.ts";

/** Types of records that are flows. */
const FLOW_TYPES = ["verdict", "dns"];
/** Lists that say the same as a criterion. */
const SAME = {
  sourceIp: "fromIp",
  destinationIp: "toIp",
  sourcePod: "fromPod",
  destinationPod: "toPod",
  sourceFqdn: "fromFqdn",
  destinationFqdn: "toFqdn",
  sourcePort: "fromPort",
  destinationPort: "toPort",
  protocol: "protocol",
} as const;
const KNOWN: ReadonlySet<string> = new Set([
  ...Object.keys(SAME),
  ...["sourceLabel", "destinationLabel", "verdict", "eventType", "reply", "nodeName", "ipVersion"],
  ...["trafficDirection", "dropReasonDesc"],
]);
const VERDICTS: ReadonlyMap<Verdict, readonly RecordVerdict[]> = new Map([
  [Verdict.FORWARDED, ["allowed", "counted"]],
  [Verdict.DROPPED, ["dropped"]],
  [Verdict.AUDIT, ["alerted"]],
]);
const EVERY_ADDRESS: ReadonlyMap<IPVersion, string> = new Map([
  [IPVersion.IPv4, "0.0.0.0/0"],
  [IPVersion.IPv6, "::/0"],
]);

/** Of a request's filters, one of which has to be met. @throws UsageError */
export function criteriaOf(filters: readonly FlowFilter[]): FilterCriteria[] {
  return filters.flatMap(oneFilter);
}

/** Several, where event types are named: each is other criteria. */
function oneFilter(filter: FlowFilter): FilterCriteria[] {
  refuseUnknown(filter);
  const criteria: Record<string, readonly string[]> = {};
  for (const [field, criterion] of Object.entries(SAME)) {
    const values = filter[field as keyof typeof SAME];
    if (values.length > 0) criteria[criterion] = values;
  }
  const lists: [string, readonly string[]][] = [
    ["fromLabel", filter.sourceLabel.map(plainLabel)],
    ["toLabel", filter.destinationLabel.map(plainLabel)],
    ["nodeName", filter.nodeName.map((name) => name.slice(name.indexOf("/") + 1))],
    ["direction", filter.trafficDirection.map((one) => (one === TrafficDirection.INGRESS ? "ingress" : "egress"))],
  ];
  for (const [criterion, values] of lists) if (values.length > 0) criteria[criterion] = values;
  if (filter.ipVersion.length > 0) criteria.fromIp = ofVersions(filter.ipVersion, criteria.fromIp);
  const verdicts = verdictsOf(filter);
  if (filter.eventType.length === 0) return [withVerdicts({ type: FLOW_TYPES, ...criteria }, verdicts)];
  return filter.eventType.map((one) => {
    const { type, verdicts: those } = ofEvent(one);
    return withVerdicts({ ...criteria, type }, both(verdicts, those));
  });
}

function refuseUnknown(filter: FlowFilter): void {
  for (const { localName, name } of FlowFilterSchema.fields) {
    const value: unknown = filter[localName as keyof FlowFilter];
    const isGiven = (Array.isArray(value) || value instanceof Uint8Array) && value.length > 0;
    if (isGiven && !KNOWN.has(localName)) {
      throw new UsageError(`the filter ${name} cannot be answered: records do not have what it asks for`);
    }
  }
}

/** Hubble's labels say where they are from. */
function plainLabel(label: string): string {
  return label.replace(/^k8s:/, "");
}

/** Addresses of these versions among those that are wanted; of all, where none are named. */
function ofVersions(versions: readonly IPVersion[], wanted: readonly string[] | undefined): string[] {
  if (wanted === undefined) return versions.flatMap((one) => EVERY_ADDRESS.get(one) ?? []);
  return wanted.filter((one) => versions.includes(isIPv6(one.replace(/\/.*/, "")) ? IPVersion.IPv6 : IPVersion.IPv4));
}

/** Null: any. */
type Verdicts = readonly RecordVerdict[] | null;

function verdictsOf({ verdict, dropReasonDesc, reply }: FlowFilter): Verdicts {
  const named = verdict.length === 0 ? null : verdict.flatMap((one) => VERDICTS.get(one) ?? []);
  const dropped: Verdicts = dropReasonDesc.includes(DropReason.POLICY_DENIED) ? ["dropped"] : [];
  // Records are of who began: none is a reply.
  const replies: Verdicts = reply.length === 0 || reply.includes(false) ? null : [];
  return both(both(named, dropReasonDesc.length === 0 ? null : dropped), replies);
}

function both(one: Verdicts, other: Verdicts): Verdicts {
  if (one === null || other === null) return one ?? other;
  return one.filter((verdict) => other.includes(verdict));
}

function withVerdicts(criteria: FilterCriteria, verdicts: Verdicts): FilterCriteria {
  return verdicts === null ? criteria : { ...criteria, verdict: verdicts };
}

function ofEvent({ type, matchSubType, subType }: EventTypeFilter): { type: readonly string[]; verdicts: Verdicts } {
  if (matchSubType && subType !== (type === DROP_EVENT ? DropReason.POLICY_DENIED : 0))
    return { type: [], verdicts: null };
  if (type === L7_EVENT) return { type: ["dns"], verdicts: null };
  if (type === DROP_EVENT) return { type: ["verdict"], verdicts: ["dropped"] };
  return type === TRACE_EVENT
    ? { type: ["verdict"], verdicts: ["allowed", "alerted", "counted"] }
    : { type: [], verdicts: null };
}
