/**
 * Which records somebody wants: each criterion is a file of its own here. Of a criterion's values one has to hold, and all criteria that
 * are named have to; those of an end, without a side, of one and the same end. What meets all that is denied is left out again.
 */
import type { WorkloadReference } from "../record.ts";
import { hasContainer } from "./container.ts";
import { hasDirection } from "./direction.ts";
import { type EndTest, endsOf, type Side } from "./ends/end.ts";
import { hasName } from "./ends/fqdn.ts";
import { hasAddress } from "./ends/ip.ts";
import { hasLabels } from "./ends/label.ts";
import { isOfNamespace } from "./ends/namespace.ts";
import { isOfPod, isPodOf } from "./ends/pod.ts";
import { hasPort } from "./ends/port.ts";
import { FilterError } from "./error.ts";
import { hasFailure } from "./failure.ts";
import { hasRoundTrip } from "./min-rtt.ts";
import { isOfNode } from "./node-name.ts";
import { isOfPodUid } from "./pod-uid.ts";
import { isOfProcess } from "./process.ts";
import { hasProfile } from "./profile.ts";
import { hasProtocol } from "./protocol.ts";
import { hasReason } from "./reason.ts";
import type { RecordFilter } from "./record-filter.ts";
import { hasType } from "./type.ts";
import { hasVerdict } from "./verdict.ts";

/** What each criterion of a whole record makes of its values. They throw FilterError for a value that they cannot have. */
const RECORD_CRITERIA = {
  type: hasType,
  verdict: hasVerdict,
  reason: hasReason,
  direction: hasDirection,
  protocol: hasProtocol,
  process: isOfProcess,
  container: hasContainer,
  profile: hasProfile,
  failure: hasFailure,
  minRtt: hasRoundTrip,
  podUid: isOfPodUid,
  nodeName: isOfNode,
} as const satisfies Record<string, (values: readonly string[]) => RecordFilter>;

/** What each criterion of an end makes of its values: `pod` is of either end, `fromPod` of who sends, `toPod` of who receives. */
const END_CRITERIA = {
  pod: isOfPod,
  namespace: isOfNamespace,
  label: hasLabels,
  fqdn: hasName,
  ip: hasAddress,
  port: hasPort,
} as const satisfies Record<string, (values: readonly string[]) => EndTest>;

type EndCriterion = keyof typeof END_CRITERIA;
type SidedCriterion = `${"from" | "to"}${Capitalize<EndCriterion>}`;
export type Criterion = keyof typeof RECORD_CRITERIA | EndCriterion | SidedCriterion;

const SIDES: readonly Side[] = ["either", "from", "to"];
const END_NAMES = Object.keys(END_CRITERIA) as EndCriterion[];

/** `pod`, `fromPod` or `toPod`. */
function sided(side: Side, name: EndCriterion): EndCriterion | SidedCriterion {
  if (side === "either") return name;
  return `${side}${name.charAt(0).toUpperCase()}${name.slice(1)}` as SidedCriterion;
}

export const CRITERION_NAMES: readonly Criterion[] = [
  ...(Object.keys(RECORD_CRITERIA) as (keyof typeof RECORD_CRITERIA)[]),
  ...END_NAMES.flatMap((name) => SIDES.map((side) => sided(side, name))),
];

/** Absent: any. */
export type FilterCriteria = Partial<Readonly<Record<Criterion, readonly string[]>>>;

/** Which records are wanted, as it is sent: those that meet one of what is allowed, and none of what is denied. */
export interface RecordSelection {
  /** Empty: all. */
  allow: readonly FilterCriteria[];
  /** Empty: none are left out. */
  deny: readonly FilterCriteria[];
}

export const EVERY_RECORD: RecordSelection = { allow: [], deny: [] };

/** A filter that takes the records which meet all criteria. @throws FilterError */
export function recordFilter(criteria: FilterCriteria): RecordFilter {
  const filters = Object.entries(RECORD_CRITERIA).flatMap(([name, make]) => {
    const values = criteria[name as keyof typeof RECORD_CRITERIA];
    return values === undefined ? [] : [make(values)];
  });
  for (const side of SIDES) {
    const tests = endTests(criteria, side);
    if (tests.length > 0)
      filters.push((record) => endsOf(record, side).some((end) => tests.every((test) => test(end))));
  }
  return (record) => filters.every((filter) => filter(record));
}

/** @throws FilterError */
function endTests(criteria: FilterCriteria, side: Side): EndTest[] {
  if (side === "either") checkOneEnd(criteria);
  return END_NAMES.flatMap((name) => {
    const values = criteria[sided(side, name)];
    return values === undefined ? [] : [END_CRITERIA[name](values)];
  });
}

/**
 * A record has one pod, and names and addresses of others are its peers': of one end, both would hold of next to none.
 * @throws FilterError
 */
function checkOneEnd(criteria: FilterCriteria): void {
  const pod = (["pod", "namespace", "label"] as const).find((name) => criteria[name] !== undefined);
  const peer = (["fqdn", "ip"] as const).find((name) => criteria[name] !== undefined);
  if (pod === undefined || peer === undefined) return;
  throw new FilterError(
    peer,
    criteria[peer]?.[0] ?? "",
    `beside ${pod}, say which end each is of: who sends (from-${pod}, from-${peer}), or who receives (to-${pod}, to-${peer})`,
  );
}

/** A filter that takes what is allowed and not denied. @throws FilterError */
export function selectionFilter({ allow, deny }: RecordSelection): RecordFilter {
  const allowed = allow.map(recordFilter);
  const denied = deny.map(recordFilter);
  return (record) =>
    (allowed.length === 0 || allowed.some((filter) => filter(record))) && !denied.some((filter) => filter(record));
}

type WorkloadFilter = (workload: Pick<WorkloadReference, "namespace" | "name">) => boolean;

const POD_CRITERIA: readonly Criterion[] = ["pod", "fromPod", "toPod"];
const NAMESPACE_CRITERIA: readonly Criterion[] = ["namespace", "fromNamespace", "toNamespace"];

/** Whether records of a workload can be among those that are allowed: false spares a reader to look at them. */
export function workloadFilter({ allow }: Pick<RecordSelection, "allow">): WorkloadFilter {
  const filters = allow.map(workloadCriteria);
  return (workload) => filters.length === 0 || filters.some((filter) => filter(workload));
}

function workloadCriteria(criteria: FilterCriteria): WorkloadFilter {
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
