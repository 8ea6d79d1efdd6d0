/** What an observer should know of the pod: where it is, what selects it, and why perhaps nothing will be seen. */

import { PolicyKind } from "../../gen/agent_pb.js";
import type { ObserveRequest } from "../../protocol/observe.ts";
import { steadyNow } from "../../timing/steady-time.ts";
import type { AgentRecords } from "../distribution/agent-records.ts";
import type { Plan } from "../plan/plan.ts";
import { judgePod } from "../status/pod-verdicts.ts";
import { ObserveRefusal } from "./refusal.ts";

export interface PodDescription {
  uid: string;
  node: string;
  profiles: string[];
  actions: string[];
  notes: string[];
}

export interface DescriptionSources {
  plan: Pick<Plan, "pods" | "planner">;
  records: Pick<AgentRecords, "get">;
  leadership: { readonly servingSince: number | null };
}

/** @throws ObserveRefusal where there is nothing that could be observed */
export function describePod(
  request: ObserveRequest,
  { plan, records, leadership }: DescriptionSources,
): PodDescription {
  const { namespace, pod: name } = request;
  const key = `${namespace}/${name}`;
  const pod = plan.pods.get(key);
  if (pod === undefined)
    throw new ObserveRefusal("NotFound", `there is no running pod ${name} in namespace ${namespace}`);
  const planned = plan.planner.plan(key);
  if (pod.nodeName === "" || planned === undefined) {
    throw new ObserveRefusal("Conflict", `pod ${name} is on no node yet; there is nothing to be seen of it`);
  }
  const agent = records.get(pod.nodeName);
  const { protectable, failure } = judgePod(planned, agent, {
    now: steadyNow(),
    servingSince: leadership.servingSince ?? steadyNow(),
  });
  if (!protectable && failure !== null) throw new ObserveRefusal("Conflict", failure.message);
  const { policy, binding } = planned;
  const actions = policy?.table?.actions ?? [];
  const isSelected = planned.profiles.length > 0;
  return {
    uid: pod.uid,
    node: pod.nodeName,
    profiles: [...planned.profiles],
    actions: [...actions],
    notes: [
      ...(binding?.policy === PolicyKind.UNRESTRICTED && !isSelected ? [UNSELECTED] : []),
      ...(isSelected && failure !== null ? [`not all is in force as asked: ${failure.message}`] : []),
      ...(isSelected ? filterNotes(request, actions, new Set(planned.table?.containers)) : []),
    ],
  };
}

const UNSELECTED =
  "no SecurityProfile selects this pod: its packets are not judged, and nothing is shown until a profile does";

/** Why what was asked for may not be seen although it happens. */
function filterNotes(
  { verdicts, container }: ObserveRequest,
  actions: readonly string[],
  containers: Set<string>,
): string[] {
  const asksForRefused = verdicts.some((verdict) => verdict !== "allowed");
  const names = [...containers].sort().join(", ") || "none";
  return [
    ...(asksForRefused && !actions.includes("alert")
      ? ["the pod's profiles have no action alert: what they refuse is counted, but not reported"]
      : []),
    ...(container !== undefined && !containers.has(container)
      ? [
          `the pod's profiles tell these containers apart: ${names}; what others do is not shown under a container's name`,
        ]
      : []),
  ];
}
