/** Violations as Kubernetes Events on the pods that they are of. */
import { API_VERSION, KIND } from "../../api/types.ts";
import type { Violation } from "../../gen/telemetry_pb.js";
import type { EventRecorder, ObjectReference } from "../../kube/event-recorder.ts";
import { splitKey } from "../../kube/resources.ts";
import type { StoredProfile } from "../profiles/stored-profile.ts";
import { remoteText } from "./totals.ts";

export interface ViolatingPod {
  namespace: string;
  name: string;
  uid: string;
}

/** Reason of the events; `kubectl get events --field-selector reason=PolicyViolation`. */
export const VIOLATION_REASON = "PolicyViolation";

/** Reason of events and conditions of profiles that are too much for their namespace. */
export const OVER_BUDGET = "OverBudget";

/** Records one violation on its pod. `profile` is the first of those that were asked, if it is known; `node` says so. */
export function recordViolation(
  recorder: EventRecorder,
  violation: Violation,
  pod: ViolatingPod,
  profile: StoredProfile | undefined,
  node: string,
): void {
  recorder.record({
    source: node,
    regarding: { apiVersion: "v1", kind: "Pod", ...pod },
    ...(profile === undefined ? {} : { related: profileReference(profile) }),
    type: "Warning",
    reason: VIOLATION_REASON,
    action: violation.verdict === "dropped" ? "Drop" : "Alert",
    note: violationText(violation),
    count: Math.max(1, Number(violation.count)),
  });
}

/** A pod that a profile selects, and that nothing is known to judge. */
export function recordUnjudged(recorder: EventRecorder, pod: ViolatingPod, node: string, message: string): void {
  recorder.record({
    source: node,
    regarding: { apiVersion: "v1", kind: "Pod", ...pod },
    type: "Warning",
    reason: "NotJudged",
    action: "Wait",
    note: message,
  });
}

/** A profile that is not valid, on the profile itself. */
export function recordInvalid(recorder: EventRecorder, profile: StoredProfile, errors: readonly string[]): void {
  recorder.record({
    regarding: profileReference(profile),
    type: "Warning",
    reason: "Invalid",
    action: "Validate",
    note: `generation ${profile.generation} is not taken: ${errors.join(". ")}`,
  });
}

/** A profile that has disappeared and stays in force: on its namespace, as nothing else of it is left. */
export function recordHeld(recorder: EventRecorder, key: string, why: string): void {
  const { namespace, name } = splitKey(key);
  recorder.record({
    regarding: { apiVersion: "v1", kind: "Namespace", namespace, name: namespace, uid: "" },
    type: "Warning",
    reason: "ProfilesHeld",
    action: "Hold",
    note: `SecurityProfile ${name} has disappeared and stays in force, because ${why}; bring it back, or set holdDeletions of the operator to false`,
  });
}

/** A profile that its namespace's budget has no room for, on the profile itself. */
export function recordOverBudget(recorder: EventRecorder, profile: StoredProfile, words: string): void {
  recorder.record({
    regarding: profileReference(profile),
    type: "Warning",
    reason: OVER_BUDGET,
    action: "Validate",
    note: `generation ${profile.generation} is not taken: ${words}`,
  });
}

/** E.g. `dropped egress of /bin/wget to 192.0.2.1 port 80/tcp: Peer (profile web/shop)`. */
export function violationText(violation: Violation): string {
  const { verdict, direction, path, container, reason, profiles, question } = violation;
  const who = path === "" ? "" : ` of ${path}${container === "" ? "" : ` (container ${container})`}`;
  const way = question !== "" ? "" : direction === "ingress" ? " from" : " to";
  const whose =
    profiles.length === 0 ? "" : ` (${profiles.length === 1 ? "profile" : "profiles"} ${profiles.join(", ")})`;
  return `${verdict} ${direction}${who}${way === "" ? ":" : way} ${remoteText(violation)}: ${reason}${whose}`;
}

function profileReference({ namespace, name, uid }: StoredProfile): ObjectReference {
  return { apiVersion: API_VERSION, kind: KIND, namespace, name, uid };
}
