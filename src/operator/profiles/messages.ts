/**
 * What the operator's main thread and the profiles' thread say to each other. All of it is copied, or, where it is bytes, handed
 * over: nothing here may grow with what a profile says, but bytes.
 */
import type { ConnectionOrigin } from "../../kube/connection.ts";
import type { RulesetDelta } from "../../protocol/state-message.ts";
import type { BudgetLimits } from "./budget.ts";
import type { ProfileStatus } from "./profile-status.ts";
import type { StoredProfile } from "./stored-profile.ts";

/** What the thread is started with. */
export interface ProfileThreadData {
  origin: ConnectionOrigin;
  budget: BudgetLimits;
}

/** A table to be compiled. */
export interface CompileOrder {
  /** Of the policy that the table is for; what was compiled for it before is remembered by it. */
  policy: string;
  /** Keys. */
  profiles: readonly string[];
  searchDomains: readonly string[];
  /** Addresses of peers, one text with spaces, by the key of their set. */
  peers: ReadonlyMap<string, string>;
  /** Rule sets whose bytes are there already, by hash. */
  held: readonly string[];
}

export interface CompiledRuleset {
  hash: string;
  /** Null: it is one of those that are held. */
  content: Uint8Array<ArrayBuffer> | null;
  delta: RulesetDelta | null;
}

export interface CompiledContent {
  hash: string;
  /** Keys. */
  profiles: string[];
  actions: string[];
  /** Names of containers that the table tells apart. */
  containers: string[];
  content: Uint8Array<ArrayBuffer>;
  rulesets: CompiledRuleset[];
}

export interface CompileResult {
  /** Of the profiles as they were compiled, in the order of the order; "" for one without a valid revision. */
  digests: string[];
  /** Null: it could not be compiled. */
  table: CompiledContent | null;
  /** Why not, with its code; null where there is no valid revision of some profile. */
  error: { code: string; message: string } | null;
  seconds: number;
}

export interface InformerState {
  size: number;
  isSynced: boolean;
  /** Milliseconds since the API server was last heard of; infinite before that. */
  age: number;
  problem: string | null;
}

/** The status that an object has at the API server. */
export interface ReadStatus {
  uid: string;
  status: Partial<ProfileStatus>;
}

export type ToProfileThread =
  | { type: "compile"; id: number; order: CompileOrder }
  | { type: "forget"; policy: string }
  | { type: "letGo"; key: string }
  | { type: "status"; id: number; key: string }
  | { type: "stop" };

export type FromProfileThread =
  | { type: "profile"; key: string; profile: StoredProfile | null }
  | { type: "compiled"; id: number; result: CompileResult }
  | { type: "status"; id: number; status: ReadStatus | null }
  | { type: "failed"; id: number; message: string }
  | { type: "state"; state: InformerState }
  | { type: "watchBroke" }
  | { type: "wentBack" }
  | { type: "log"; line: string };
