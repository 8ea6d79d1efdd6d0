/**
 * What an observer of a pod asks the operator for, and gets: one JSON object is posted, JSON objects come back, one a line,
 * until either side ends it. Between the two are kubectl and the API server's proxy for Services.
 */
import type { Direction, Verdict } from "../api/reasons.ts";

export const OBSERVE_PATH = "/v1/observe";
/** Audience that an observer's token has to be for: good for nothing else, and nothing else is good for this. */
export const OBSERVE_AUDIENCE = "portcullis-observer";
/** What its user has to be allowed in the pod's namespace, by the pod's name. */
export const OBSERVE_PERMISSION = {
  group: "security.datadoghq.com",
  resource: "pods",
  subresource: "verdicts",
  verb: "get",
} as const;

export const OBSERVE_RATE_MAX = 1000;

export interface ObserveRequest {
  token: string;
  namespace: string;
  pod: string;
  verdicts: readonly Verdict[];
  /** Absent: both. */
  direction?: Direction;
  /** Executable or script; absent: all. */
  process?: string;
  container?: string;
  /** Events a second; what is beyond is counted. */
  rate: number;
}

/** The pod is looked at; again whenever what is said here changes. */
export interface ObservingRecord {
  type: "observing";
  time: string;
  namespace: string;
  pod: string;
  node: string;
  /** `namespace/name` of the profiles that select it. */
  profiles: string[];
  actions: string[];
  /** What one should know of what follows, or of why nothing follows. */
  notes: string[];
}

/** Nothing has happened: the connection lives. */
export interface AliveRecord {
  type: "alive";
  time: string;
}

/** Events that were left out: the agent's rate was exceeded, or this reader was too slow for the operator. */
export interface LeftOutRecord {
  type: "lost";
  time: string;
  where: "agent" | "operator";
  count: number;
}

/** Nothing more comes. */
export interface EndRecord {
  type: "end";
  time: string;
  message: string;
  /** The same may be asked again right away. */
  again: boolean;
}

export type ObserveRecord = ObservingRecord | AliveRecord | LeftOutRecord | EndRecord;
