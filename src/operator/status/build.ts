/** The status of one profile, from everything that is known of it. Pure. */

import { WEAKNESSES, type Weakness, weaknessText } from "../../api/pods/weaknesses.ts";
import { printable } from "../../api/printable.ts";
import { MAX_FAILING_NODES } from "../../api/schema/schema-status.ts";
import type { Action } from "../../api/types.ts";
import {
  CONDITION_TYPES,
  type Condition,
  type ConditionType,
  type FailingNode,
  type ProcessStatus,
  type ProfileStatus,
} from "../profiles/profile-status.ts";
import type { AcceptedRevision, StoredProfile } from "../profiles/stored-profile.ts";
import type { Folded } from "./fold.ts";
import { type Totals, wholeSeconds } from "./totals.ts";
import { OVER_BUDGET } from "./violation-events.ts";

/** A condition before it is known since when it holds. */
type State = Pick<Condition, "status" | "reason" | "message">;

const WEAKNESS_ORDER = Object.keys(WEAKNESSES) as Weakness[];
const MAX_SHARED = 32;
const MAX_PATH = 1024;
const MAX_PROCESSES = 256;
const MAX_MESSAGE = 4096;

/** @param previous the status that was written last, from which conditions keep their times */
export function buildStatus(
  profile: StoredProfile,
  folded: Folded,
  totals: Totals,
  previous: Partial<ProfileStatus>,
  now: Date,
): ProfileStatus {
  const states: Record<ConditionType, State> = {
    Accepted: acceptedState(profile),
    Programmed: programmedState(profile, folded),
    Enforced: enforcedState(profile, folded),
    Hardened: hardenedState(folded),
  };
  const { pods, nodes } = folded;
  return {
    observedGeneration: profile.generation,
    mode: modeText(profile.accepted?.actions ?? []),
    conditions: CONDITION_TYPES.map((type) => condition(type, states[type], profile, previous, now)),
    pods: { ...pods, text: `${pods.enforced}/${pods.selected}` },
    nodes: { total: nodes.total, ready: nodes.ready, text: `${nodes.ready}/${nodes.total}` },
    dropped: totals.dropped,
    alerted: totals.alerted,
    ...(totals.lastViolation === null ? {} : { lastViolation: totals.lastViolation }),
    failingNodes: folded.failing.slice(0, MAX_FAILING_NODES).map(shortened),
    processes: processStatus(profile.accepted, totals, folded),
  };
}

/** What follows from a violation, in the words of `kubectl get`. */
export function modeText(actions: readonly Action[]): string {
  if (actions.includes("enforce")) return actions.includes("alert") ? "Enforce+Alert" : "Enforce";
  if (actions.includes("alert")) return "Alert";
  return actions.includes("learn") ? "Learn" : "Count";
}

function acceptedState({ errors, warnings, overBudget }: StoredProfile): State {
  if (overBudget !== null) {
    const remedy =
      "make less of it, split it over namespaces, or have the budget raised (operator.budget of the chart)";
    return { status: "False", reason: OVER_BUDGET, message: shortText(`${overBudget}; ${remedy}`) };
  }
  if (errors.count === 0) {
    const message = ["the profile is valid", ...warnings.texts.map((text) => `warning: ${text}`)].join(". ");
    return { status: "True", reason: "Valid", message: shortText(message) };
  }
  const more = errors.count > errors.texts.length ? ` (and ${errors.count - errors.texts.length} more)` : "";
  return { status: "False", reason: "Invalid", message: shortText(errors.texts.join(". ")) + more };
}

function programmedState(profile: StoredProfile, { nodes, failing, compileFailure }: Folded): State {
  const early = unusable(profile) ?? fromFailure(compileFailure);
  if (early !== null) return early;
  if (nodes.total === 0) return { status: "True", reason: "NoNodes", message: "no node has a pod to protect" };
  const count = `${nodes.programmed} of ${nodes.total} nodes have taken the profile`;
  if (nodes.programmed === nodes.total) return { status: "True", reason: "Programmed", message: count };
  if (failing.length === 0) return { status: "False", reason: "Progressing", message: count };
  return { status: "False", reason: "NodesFailing", message: `${count}; ${nodesText(failing)}` };
}

function enforcedState(profile: StoredProfile, folded: Folded): State {
  const { pods, failing, limited, unprotected, letThrough, compileFailure } = folded;
  const early = unusable(profile) ?? fromFailure(compileFailure);
  if (early !== null) return early;
  if (pods.selected === 0) return { status: "True", reason: "NoPods", message: "no pod is selected at the moment" };
  const before =
    letThrough.length === 0 ? "" : `; ${letThrough.length} were let through first, ${letThrough[0]} for one`;
  const count = `in force on ${pods.enforced} of ${pods.selected} pods${before}`;
  if (failing.length > 0)
    return { status: "False", reason: "NodesFailing", message: `${count}; ${nodesText(failing)}` };
  if (unprotected !== null) {
    const message = `${count}; ${pods.unprotected} cannot be protected, ${unprotected.pod} first: ${unprotected.message}`;
    return { status: "False", reason: "PodsUnprotected", message };
  }
  if (pods.enforced < pods.selected) return { status: "False", reason: "Progressing", message: count };
  if (limited.length === 0) return { status: "True", reason: "Enforced", message: count };
  return { status: "True", reason: "EnforcedWithLimits", message: `${count}; ${nodesText(limited)}` };
}

/** What pods have beyond their need makes promises weaker, and keeps nothing from being in force. */
function hardenedState({ pods, weaknesses }: Folded): State {
  if (weaknesses.size === 0)
    return { status: "True", reason: "Hardened", message: "no pod has rights beyond its need" };
  const texts = WEAKNESS_ORDER.flatMap((weakness) => {
    const found = weaknesses.get(weakness);
    if (found === undefined) return [];
    return [`${found.pods} of ${pods.selected} pods (${found.first} first) have ${weaknessText(weakness)}`];
  });
  return { status: "False", reason: "PodsHaveMoreThanNeeded", message: texts.join(". ") };
}

/** The profile itself stands in the way. */
function unusable(profile: StoredProfile): State | null {
  const { accepted, errors, generation, overBudget } = profile;
  if (errors.count > 0 || overBudget !== null) {
    const fault = errors.count > 0 ? "is not valid" : "is not taken";
    const message =
      accepted === null
        ? `the profile ${fault}; see Accepted`
        : `generation ${generation} ${fault}, see Accepted; generation ${accepted.generation} stays in force`;
    return { status: "False", reason: "NotAccepted", message };
  }
  if (accepted !== null && accepted.selector !== null) return null;
  const message =
    "the profile has no label to select pods by; set spec.labelSelector, or the pods' labels on the profile";
  return { status: "False", reason: "SelectsNothing", message };
}

function fromFailure(failure: Folded["compileFailure"]): State | null {
  if (failure === null) return null;
  const message = `${failure.message}. What was in force before stays in force`;
  return { status: "False", reason: failure.reason, message: message.slice(0, MAX_MESSAGE) };
}

function shortText(text: string): string {
  return text.slice(0, MAX_MESSAGE);
}

const SHOWN_NODES = 3;

function nodesText(nodes: readonly FailingNode[]): string {
  const shown = nodes.slice(0, SHOWN_NODES).map(({ name, reason, message }) => `node ${name}: ${reason}: ${message}`);
  const more = nodes.length > SHOWN_NODES ? [`and ${nodes.length - SHOWN_NODES} more nodes`] : [];
  return [...shown, ...more].join("; ").slice(0, MAX_MESSAGE);
}

function shortened(node: FailingNode): FailingNode {
  return {
    ...node,
    reason: printable(node.reason).slice(0, 256),
    message: printable(node.message).slice(0, MAX_MESSAGE),
  };
}

function condition(
  type: ConditionType,
  state: State,
  profile: StoredProfile,
  previous: Partial<ProfileStatus>,
  now: Date,
): Condition {
  const before = (previous.conditions ?? []).find((item) => item.type === type);
  const lastTransitionTime = before?.status === state.status ? before.lastTransitionTime : wholeSeconds(now);
  return {
    type,
    ...state,
    message: printable(state.message),
    observedGeneration: profile.generation,
    lastTransitionTime,
  };
}

/** Every listed process, with counts or without, then what else was counted. */
function processStatus(accepted: AcceptedRevision | null, totals: Totals, { sharedWith }: Folded): ProcessStatus[] {
  const counted = new Map(totals.processes);
  const listed = (accepted?.listed ?? []).map(({ path, container }) => {
    const key = `${path} ${container ?? ""}`;
    const { allowed = 0, dropped = 0, alerted = 0 } = counted.get(key) ?? {};
    counted.delete(key);
    const names = [...(sharedWith.get(path) ?? [])]
      .map(printable)
      .filter((name) => name.length <= MAX_PATH)
      .sort()
      .slice(0, MAX_SHARED);
    return {
      path,
      ...(container === undefined ? {} : { container }),
      ...{ allowed, dropped, alerted },
      ...(names.length === 0 ? {} : { sharedWith: names }),
    };
  });
  const others = [...counted.values()]
    .filter(({ path }) => path === "")
    .map(({ allowed, dropped, alerted }) => ({ path: "", allowed, dropped, alerted }));
  return [...listed, ...others].slice(0, MAX_PROCESSES);
}
