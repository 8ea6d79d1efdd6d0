/** One case: a workload, its policies, and what happens to it. Plain JSON, so that it can be kept. */
import type { Direction } from "../../src/api/reasons.ts";
import { validateProfile } from "../../src/api/validation/validate.ts";
import { compileTable } from "../../src/policy/compile/compile.ts";
import type { EvaluatorSettings } from "../../src/policy/reference/state.ts";
import type { RuleTable } from "../../src/policy/table/tables.ts";
import type { ProcessRef } from "../harness/classifier-harness.ts";

export interface PacketStep {
  kind: "packet";
  direction: Direction;
  /** The bytes, hex. */
  frame: string;
  process?: ProcessRef | undefined;
  creator?: ProcessRef | undefined;
  former?: ProcessRef | undefined;
  container?: string;
  socketId?: number;
  accepted?: boolean;
  connected?: boolean;
  kernel?: boolean;
  spoken?: boolean;
  connectedFor?: number;
  socketless?: boolean;
  gsoSegments?: number;
  gsoSize?: number;
  /** What it was meant to be, for people. */
  note?: string;
}

/** What the kernel may forget for want of room: see bpf/include/memory/share.h. */
export const EVICTABLE = ["flows", "fragments", "queries", "learned"] as const;
export type Evictable = (typeof EVICTABLE)[number];

export type Step =
  | PacketStep
  | { kind: "advance"; seconds: number }
  /** An exec, or a socket that changes hands: flows are judged again. */
  | { kind: "epoch" }
  /** Others of the workload's have pushed out all that it remembers of this kind. */
  | { kind: "evict"; what: Evictable }
  /** Another policy comes into force: one of the case's, by index. */
  | { kind: "policy"; index: number | "pending" | "unrestricted" };

export interface Policy {
  /** Profiles as their authors write them. */
  profiles: unknown[];
  searchDomains: string[];
}

export interface FuzzCase {
  /** What the case showed when it was found. */
  about?: string;
  addresses: string[];
  policies: Policy[];
  settings: Partial<EvaluatorSettings>;
  steps: Step[];
}

/** The rule tables of a case; null if one of its profiles is refused, or if it speaks of a policy that is not there. */
export function compileCase({ policies, steps }: FuzzCase): RuleTable[] | null {
  const isThere = (step: Step) =>
    step.kind !== "policy" || typeof step.index === "string" || step.index < policies.length;
  return steps.every(isThere) ? compilePolicies(policies) : null;
}

/** Null if one of the profiles is refused. */
export function compilePolicies(policies: Policy[]): RuleTable[] | null {
  const tables: RuleTable[] = [];
  if (policies.length === 0) return null;
  for (const { profiles, searchDomains } of policies) {
    if (!profiles?.length || searchDomains === undefined) return null;
    const validated = profiles.map((profile) => validateProfile(profile).profile);
    const valid = validated.filter((profile) => profile !== null);
    if (valid.length < validated.length) return null;
    tables.push(compileTable(valid, { searchDomains }));
  }
  return tables;
}
