/** Test data: how a case of a refused profile is written; the cases are in refused-profiles.ts and refused-rules.ts. */
import { API_VERSION, KIND } from "../types.ts";

export interface RefusedProfile {
  /** What is wrong. */
  what: string;
  object: unknown;
  /** The field that must be named, and the code. */
  field: string;
  code: string;
  /** Part of the remedy. */
  remedy: RegExp;
  /** Whether the CRD's schema and CEL refuse it too; the others are refused by kubectl's strictness or the operator. */
  atApply: boolean;
}

/** A profile with this spec and otherwise nothing wrong. */
export function profileWith(spec: unknown, metadata: Record<string, unknown> = {}): Record<string, unknown> {
  return { apiVersion: API_VERSION, kind: KIND, metadata: { name: "a", labels: { app: "a" }, ...metadata }, spec };
}

/** A profile with one process, with this as its egress, or ingress. */
export function profileWithEgress(egress: unknown): Record<string, unknown> {
  return profileWith({ processes: [{ path: "/bin/app", network: { egress } }] });
}

export function profileWithIngress(ingress: unknown): Record<string, unknown> {
  return profileWith({ processes: [{ path: "/bin/app", network: { ingress } }] });
}

export function refused(what: string, object: unknown, field: string, code: string, remedy: RegExp): RefusedProfile {
  return { what, object, field, code, remedy, atApply: true };
}

/** One that the CRD alone lets through. */
export function refusedLater(...parameters: Parameters<typeof refused>): RefusedProfile {
  return { ...refused(...parameters), atApply: false };
}
