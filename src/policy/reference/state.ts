/** What the reference evaluator remembers about one workload: the kernel's maps, as plain collections. */
import type { Direction, Reason } from "../../api/reasons.ts";
import { type Address, formatIp } from "../table/addresses.ts";
import type { Subject } from "../table/subject.ts";
import type { BlockMask, Ruleset } from "../table/tables.ts";
import type { Application } from "./applications.ts";

/** Which rules judge a subject, and which of their blocks still allow the flow. */
export interface Rights {
  subject: Subject | null;
  /** The path that counts: the script's if the table lists it. */
  path: string | null;
  /** 0: judged by `default`. */
  binaryId: number;
  /** The condition that keeps a listed process from its rules. */
  unmet: "Ancestry" | "User" | null;
  ruleset: Ruleset;
  mask: BlockMask;
}

export interface Flow {
  /** Who began. */
  direction: Direction;
  /** The socket that the workload sends from, null until it has sent. */
  socket: string | null;
  rights: Rights[];
  tableHash: string;
  /** Null: to be judged anew by the next packet. */
  epoch: number | null;
  /** `Allowed`, or why not. */
  reason: Reason;
  /** A name that was good then is good for as long as the flow is open. */
  allowedSince: number;
  /** It is on a DNS port: every message is judged by itself. */
  isDns: boolean;
  /** TCP: which way a FIN has gone; a reset counts for both. */
  ended: Record<Direction, boolean>;
  /** Its first payload is still to come. */
  awaitsPayload: boolean;
  /** What may stand before the first payload has come, at these sequence numbers by direction. */
  preface: Record<Direction, number> | null;
  /** Its first payload was refused, which nothing but other rules can change. */
  payloadRefused: boolean;
  /** Undecided until the first payload. */
  application: Application | "none" | "undecided";
  lastSeen: number;
  /** DNS over TCP, by direction of the packets. Null before the first payload. */
  dnsStream: Record<Direction, StreamPosition | null>;
}

/** A question, outstanding until its time is up, however many answers have come. */
export interface Query {
  name: string;
  type: number;
  /** When it was asked, in seconds. */
  asked: number;
  /** Keys of `learned` without the address: those who asked, and have a rule that connects to the name. */
  learners: string[];
}

/** A place in a stream of DNS messages over TCP. */
export interface StreamPosition {
  /** Sequence number of the next byte. */
  next: number;
  /** Of the message that it belongs to; 0 if the next message's length prefix comes there. */
  length: number;
  /** What has come of a message of which the rest is awaited; of its length, if `length` is 0. */
  held: Uint8Array;
  /** What has come behind bytes that are missing, from this sequence number on. */
  ahead: { from: number; bytes: Uint8Array } | null;
}

/** A name that an address was an answer to, until `expires`. */
export interface LearnedName {
  name: string;
  expires: number;
}

/** Times in seconds, as the agent's options of the same names. */
export interface EvaluatorSettings {
  dnsPorts: number[];
  fqdnMinTtl: number;
  fqdnMaxTtl: number;
  fqdnGrace: number;
  udpIdle: number;
}

export const DEFAULT_EVALUATOR_SETTINGS: EvaluatorSettings = {
  dnsPorts: [53],
  fqdnMinTtl: 60,
  fqdnMaxTtl: 3600,
  fqdnGrace: 30,
  udpIdle: 120,
};

/** Pending: profiles not known yet. Unrestricted: known, and none selects it. */
export type PolicyState = "pending" | "restricted" | "unrestricted";

export interface EvaluatorState {
  policyState: PolicyState;
  addresses: Set<Address>;
  /** Of the interfaces inside the workload; lower-case text with colons. */
  macs: Set<string>;
  settings: EvaluatorSettings;
  /** Raised by an exec or a socket that changes hands: flows judged before are judged again. */
  epoch: number;
  flows: Map<string, Flow>;
  /** Verdicts of datagrams' first fragments; `seen` in seconds, `end` in bytes. */
  fragments: Map<string, { tableHash: string; reason: Reason; seen: number; end: number }>;
  /** ICMP requests that the kernel may reply to, and when they came, in seconds. */
  requests: Map<string, number>;
  queries: Map<string, Query>;
  learned: Map<string, LearnedName[]>;
}

/** A workload of which nothing has been seen yet. */
export function createState(workload: {
  addresses: Address[];
  macs: string[];
  policyState?: PolicyState;
  settings?: Partial<EvaluatorSettings>;
}): EvaluatorState {
  return {
    policyState: workload.policyState ?? "restricted",
    addresses: new Set(workload.addresses),
    macs: new Set(workload.macs),
    settings: { ...DEFAULT_EVALUATOR_SETTINGS, ...workload.settings },
    epoch: 0,
    flows: new Map(),
    fragments: new Map(),
    requests: new Map(),
    queries: new Map(),
    learned: new Map(),
  };
}

/** Key of what a subject learns, without the address: nobody else profits from it. */
export function learnerKey(rights: Rights): string {
  return `${rights.path ?? ""} ${rights.subject?.modified ?? false} ${rights.subject?.container ?? ""}`;
}

/** Key of `learned`. */
export function learnedKey(learner: string, address: Address): string {
  return `${learner} ${formatIp(address)}`;
}

/** Names per address that are remembered: `LEARNED_NAMES_MAX` of the kernel. */
export const LEARNED_NAMES_MAX = 4;

/** Remembers that `name` resolved to `address`: in its own slot, a free one, or that of the name that expires first. */
export function learn(state: EvaluatorState, learner: string, address: Address, fresh: LearnedName): void {
  // The root has no addresses.
  if (fresh.name === "") return;
  const key = learnedKey(learner, address);
  const names = (state.learned.get(key) ?? []).filter((known) => known.name !== fresh.name);
  if (names.length === LEARNED_NAMES_MAX) names.splice(earliest(names), 1);
  state.learned.set(key, [...names, { ...fresh }]);
}

/** Names are in the order in which they were learned; of those that expire at one time, the first has to go. */
function earliest(names: LearnedName[]): number {
  const first = Math.min(...names.map((known) => known.expires));
  return names.findIndex((known) => known.expires === first);
}
