/** Which workloads a profile selects (docs/profiles.md, Selecting pods). */
import { selectingLabels } from "../../api/labels.ts";
import { DEFAULT_NAMESPACE } from "../../api/normalize.ts";
import type { LabelSelector, LabelSelectorRequirement, SecurityProfile } from "../../api/types.ts";

/** A pod, or what stands for one on a machine without Kubernetes. */
export interface SelectableWorkload {
  namespace: string;
  labels: Record<string, string>;
}

/** Whether a profile selects a workload, and in words why, or why not. */
export interface Selection {
  selected: boolean;
  reason: string;
}

/** The selector in force: `spec.labelSelector`, else the profile's own labels; null where there is no usable label. */
export function effectiveSelector(profile: SecurityProfile): LabelSelector | null {
  const own = profile.spec.labelSelector;
  if (own !== undefined) return isEmptySelector(own) ? null : own;
  const matchLabels = selectingLabels(profile.metadata.labels);
  return Object.keys(matchLabels).length === 0 ? null : { matchLabels };
}

/** Says whether the profile selects the workload. A profile without a usable label selects nothing, never everything. */
export function selects(profile: SecurityProfile, workload: SelectableWorkload): Selection {
  const namespace = profile.metadata.namespace ?? DEFAULT_NAMESPACE;
  if (namespace !== workload.namespace) {
    return no(`the profile is in namespace ${namespace}, the workload in ${workload.namespace}`);
  }
  const selector = effectiveSelector(profile);
  if (selector === null) {
    return no("the profile has no usable label to select by; set spec.labelSelector or metadata.labels");
  }
  const failed = firstMismatch(selector, workload.labels);
  return failed === null ? { selected: true, reason: `labels match ${describeSelector(selector)}` } : no(failed);
}

/** The profiles that select a workload, in their order. */
export function selectProfiles(profiles: SecurityProfile[], workload: SelectableWorkload): SecurityProfile[] {
  return profiles.filter((profile) => selects(profile, workload).selected);
}

/** Whether labels satisfy a selector, as the Kubernetes API has it: all terms must hold. */
export function matchesSelector(selector: LabelSelector, labels: Record<string, string>): boolean {
  return firstMismatch(selector, labels) === null;
}

/** The selector in kubectl's notation: `app=ping,tier in (web, db),!legacy`. */
export function describeSelector(selector: LabelSelector): string {
  const equals = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
  return [...equals, ...(selector.matchExpressions ?? []).map(describeRequirement)].join(",");
}

function isEmptySelector(selector: LabelSelector): boolean {
  return Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0;
}

function firstMismatch(selector: LabelSelector, labels: Record<string, string>): string | null {
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) {
    if (labelOf(labels, key) !== value) return `label ${key} is ${labelOf(labels, key) ?? "not set"}, not ${value}`;
  }
  const failed = (selector.matchExpressions ?? []).find((requirement) => !holds(requirement, labels));
  return failed ? `labels do not satisfy ${describeRequirement(failed)}` : null;
}

/** NotIn holds for a label that is not set, as in Kubernetes. */
function holds(requirement: LabelSelectorRequirement, labels: Record<string, string>): boolean {
  const value = labelOf(labels, requirement.key);
  const listed = value !== undefined && (requirement.values ?? []).includes(value);
  switch (requirement.operator) {
    case "In":
      return listed;
    case "NotIn":
      return !listed;
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
  }
}

function describeRequirement({ key, operator, values }: LabelSelectorRequirement): string {
  if (operator === "Exists") return key;
  if (operator === "DoesNotExist") return `!${key}`;
  return `${key} ${operator === "In" ? "in" : "notin"} (${(values ?? []).join(", ")})`;
}

/** Own properties only: no label is ever called "constructor" by inheritance. */
function labelOf(labels: Record<string, string>, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}

function no(reason: string): Selection {
  return { selected: false, reason };
}
