/** The status of a SecurityProfile as it is written; the schema is in src/api/schema/schema-status.ts. */
import type { Reason } from "../../api/reasons.ts";

export const CONDITION_TYPES = ["Accepted", "Programmed", "Enforced", "Hardened"] as const;
export type ConditionType = (typeof CONDITION_TYPES)[number];

/** Reason of conditions that nobody looks after, because no operator is at work: their status is Unknown. */
export const OPERATOR_AWAY = "OperatorAway";

/** As metav1.Condition. */
export interface Condition {
  type: ConditionType;
  status: "True" | "False" | "Unknown";
  observedGeneration: number;
  /** RFC 3339, whole seconds. */
  lastTransitionTime: string;
  reason: string;
  message: string;
}

export interface FailingNode {
  name: string;
  reason: string;
  message: string;
  pods: number;
}

export interface ProcessStatus {
  path: string;
  container?: string;
  allowed: number;
  dropped: number;
  alerted: number;
  sharedWith?: string[];
}

export interface LastViolation {
  time: string;
  node: string;
  pod: string;
  process: string;
  reason: Reason | string;
  remote: string;
}

export interface ProfileStatus {
  observedGeneration: number;
  mode: string;
  conditions: Condition[];
  pods: { selected: number; enforced: number; unprotected: number; text: string };
  nodes: { total: number; ready: number; text: string };
  dropped: number;
  alerted: number;
  lastViolation?: LastViolation;
  failingNodes: FailingNode[];
  processes: ProcessStatus[];
}
