/**
 * Which records somebody wants: each criterion is a file of its own here. Of a criterion's values one has to hold, and all criteria that
 * are named have to. What meets all that is denied is left out again.
 */
import type { AgentEvent, WorkloadReference } from "../record.ts";
import { hasContainer } from "./container.ts";
import { hasDirection } from "./direction.ts";
import { hasName } from "./ends/fqdn.ts";
import { hasAddress } from "./ends/ip.ts";
import { hasLabels } from "./ends/label.ts";
import { isOfNamespace } from "./ends/namespace.ts";
import { isOfPod, isPodOf } from "./ends/pod.ts";
import { hasPort } from "./ends/port.ts";
import { isOfNode } from "./node-name.ts";
import { isOfPodUid } from "./pod-uid.ts";
import { isOfProcess } from "./process.ts";
import { hasProfile } from "./profile.ts";
import { hasProtocol } from "./protocol.ts";
import { hasReason } from "./reason.ts";
import { hasType } from "./type.ts";
import { hasVerdict } from "./verdict.ts";

export type RecordFilter = (record: AgentEvent) => boolean;

/** What each criterion makes of its values. They throw FilterError for a value that they cannot have. */
const CRITERIA = {
  type: hasType,
  verdict: hasVerdict,
  reason: hasReason,
  direction: hasDirection,
  protocol: hasProtocol,
  process: isOfProcess,
  container: hasContainer,
  profile: hasProfile,
  podUid: isOfPodUid,
  nodeName: isOfNode,
  pod: isOfPod("either"),
  fromPod: isOfPod("from"),
  toPod: isOfPod("to"),
  namespace: isOfNamespace("either"),
  fromNamespace: isOfNamespace("from"),
  toNamespace: isOfNamespace("to"),
  label: hasLabels("either"),
  fromLabel: hasLabels("from"),
  toLabel: hasLabels("to"),
  fqdn: hasName("either"),
  fromFqdn: hasName("from"),
  toFqdn: hasName("to"),
  ip: hasAddress("either"),
  fromIp: hasAddress("from"),
  toIp: hasAddress("to"),
  port: hasPort("either"),
  fromPort: hasPort("from"),
  toPort: hasPort("to"),
} as const satisfies Record<string, (values: readonly string[]) => RecordFilter>;

export type Criterion = keyof typeof CRITERIA;
export const CRITERION_NAMES = Object.keys(CRITERIA) as Criterion[];

/** Absent: any. */
export type FilterCriteria = Partial<Readonly<Record<Criterion, readonly string[]>>>;

/** Which records are wanted, as it is sent. */
export interface RecordSelection {
  allow: FilterCriteria;
  /** Empty: none are left out. */
  deny: FilterCriteria;
}

/** A filter that takes the records which meet all criteria. @throws FilterError */
export function recordFilter(criteria: FilterCriteria): RecordFilter {
  const filters = given(criteria).map(([criterion, values]) => CRITERIA[criterion](values));
  return (record) => filters.every((filter) => filter(record));
}

/** A filter that takes what is allowed and not denied. @throws FilterError */
export function selectionFilter({ allow, deny }: RecordSelection): RecordFilter {
  const allowed = recordFilter(allow);
  if (given(deny).length === 0) return allowed;
  const denied = recordFilter(deny);
  return (record) => allowed(record) && !denied(record);
}

type WorkloadFilter = (workload: Pick<WorkloadReference, "namespace" | "name">) => boolean;

const POD_CRITERIA: readonly Criterion[] = ["pod", "fromPod", "toPod"];
const NAMESPACE_CRITERIA: readonly Criterion[] = ["namespace", "fromNamespace", "toNamespace"];

/** Whether records of a workload can be among those that meet the criteria: false spares a reader to look at them. */
export function workloadFilter(criteria: FilterCriteria): WorkloadFilter {
  const filters = given(criteria).flatMap(([criterion, values]): WorkloadFilter[] => {
    if (POD_CRITERIA.includes(criterion)) return [(workload) => values.some((prefix) => isPodOf(prefix, workload))];
    if (NAMESPACE_CRITERIA.includes(criterion)) return [({ namespace }) => values.includes(namespace)];
    return [];
  });
  return (workload) => filters.every((filter) => filter(workload));
}

function given(criteria: FilterCriteria): [Criterion, readonly string[]][] {
  return Object.entries(criteria) as [Criterion, readonly string[]][];
}
