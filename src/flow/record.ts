/**
 * What the agent prints: one object for each thing that happened. Parts that do not apply to an event are left out,
 * but for `process`, which is null where a packet belongs to no process.
 */

import type { Direction, DnsFault, Reason, Verdict } from "../api/reasons.ts";
import type { Effect } from "../api/types.ts";

export interface WorkloadReference {
  name: string;
  namespace: string;
  labels: Record<string, string>;
  /** Of the pod, which tells it from others of its name; absent for named network namespaces. */
  uid?: string;
}

export interface ProcessReference {
  /** Boot of the node, number and start: no other process of any node or time has it. Absent where one of these is not known. */
  key?: string;
  /** In the agent's PID namespace; absent where the event stands for several processes of one path. */
  pid?: number;
  /** The executable; absent where the kernel could not tell it. */
  path?: string;
  /** What was executed, where that is a script and `path` its interpreter. */
  script?: string;
  comm?: string;
  /** RFC 3339. */
  startTime?: string;
  /** Created or changed after its container started, deleted, or a memfd. */
  modified?: boolean;
  /** Name of the container, where the profile tells containers apart. */
  container?: string;
  parent?: { pid: number; path?: string };
}

export interface Endpoint {
  ip: string;
  /** Absent for protocols without ports. */
  port?: number;
  /** The name that the address was learned under, for the workload's peer. */
  name?: string;
}

export interface DnsPart {
  name: string;
  /** `A`, `AAAA`, `TXT`, ... or `TYPE65280`. */
  type: string;
  /** `NOERROR`, `NXDOMAIN`, ...; answers only. */
  rcode?: string;
  /** `NOTIFY`, `UPDATE`, ...; absent for a query. */
  opcode?: string;
}

/** What was wrong with a message on a DNS port. */
export interface DnsMalformedPart {
  fault: DnsFault;
  /** Byte of the message, or of its segment, at which it was seen. */
  offset: number;
}

/** What every record has. */
interface Common {
  /** RFC 3339. */
  time: string;
  /** Name of the node that it is of; where records are of one node, it is left out. */
  node?: string;
}

/** A packet, or `count` packets of one kind, and how they were judged. */
export interface VerdictEvent extends Common {
  /** `dns` under trace-dns: a question or an answer. `listen`: a process listens where its profile allows no such port. */
  type: "verdict" | "dns" | "listen";
  verdict: Verdict;
  reason: Reason;
  direction: Direction;
  workload: WorkloadReference;
  /** `namespace/name` of those that allowed it; for a violation, of those that were asked. */
  profiles: string[];
  process: ProcessReference | null;
  /** `tcp`, `udp`, `icmp`, `icmpv6`, `sctp`, `igmp`, `arp`, or a number: of IP, or of Ethernet with `0x`. */
  proto: string;
  src: Endpoint;
  dst: Endpoint;
  /** Recognised by its bytes: `dns`, `http` or `tls`. */
  application?: string;
  dns?: DnsPart;
  /** With the reason `DnsMalformed`. */
  malformed?: DnsMalformedPart;
  /** How many packets this event stands for. */
  count: number;
}

/** Something that goes both ways between a workload and its peer. */
export interface Ways<T> {
  sent: T;
  received: T;
}

/** Why nothing more is counted of a flow: TCP closed it or gave it up, it was silent, or the kernel had to forget it. */
export const FLOW_ENDS = ["closed", "reset", "failed", "idle", "replaced", "evicted", "removed"] as const;
export type FlowEnd = (typeof FLOW_ENDS)[number];

/** Why a connection failed, as its process got to know it, or, for `denied`, why not. */
export const TCP_FAILURES = ["refused", "timeout", "reset", "unreachable", "abandoned", "denied"] as const;
export type TcpFailure = (typeof TCP_FAILURES)[number];

/** Of a connection's socket, by RFC 9293, 3.3.2. */
export const TCP_STATES = [
  "established",
  "syn-sent",
  "syn-received",
  "fin-wait-1",
  "fin-wait-2",
  "time-wait",
  "closed",
  "close-wait",
  "last-ack",
  "listen",
  "closing",
] as const;
export type TcpState = (typeof TCP_STATES)[number];

/** What the TCP of the workload's side knew of a connection. All but `handshakeNs` is known once its socket is closed. */
export interface TcpFigures {
  /** From the first segment until the connection stood. */
  handshakeNs?: number;
  /** The last state before it was closed. */
  state?: TcpState;
  rtt?: { minNs?: number; smoothedNs: number };
  /** Segments that were sent again, that were taken for lost, and that came out of order. */
  retransmits?: number;
  lost?: number;
  outOfOrder?: number;
  resetBy?: "local" | "remote";
  failure?: TcpFailure;
}

/**
 * How long answers took to begin, seen from this node: from the last payload of the side that began to the first of the other. At the server
 * that is its process's time; at the client, with a round trip.
 */
export interface ResponseFigures {
  count: number;
  firstByteNs: { sum: number; max: number };
  /** Answers that took less than 2^7 microseconds, less than 2^8 and so on; the last one has all others. Zeros at the end are left out. */
  histogram: number[];
}

/**
 * A flow, and all that has passed of it since it began: a later record of the same id takes the place of an earlier one, and
 * one that comes twice is the same. Its time is when the flow was seen last.
 */
export interface FlowEvent extends Common {
  type: "flow";
  state: "update" | "end";
  /** With `state` `end`. */
  end?: FlowEnd;
  /** No other flow of any node or time has it. */
  id: string;
  start: string;
  durationNs: number;
  verdict: Verdict;
  reason: Reason;
  /** Who began. */
  direction: Direction;
  workload: WorkloadReference;
  profiles: string[];
  process: ProcessReference | null;
  proto: string;
  src: Endpoint;
  dst: Endpoint;
  application?: string;
  packets: Ways<number>;
  /** With the headers of the link layer, as interfaces count. */
  bytes: Ways<number>;
  /** Nanoseconds from the start to the first bytes of payload; absent: none so far. */
  firstPayloadNs?: Partial<Ways<number>>;
  /** Flags of all its segments so far, by their first letters: `SAPF`. */
  tcpFlags?: Ways<string>;
  tcp?: TcpFigures;
  response?: ResponseFigures;
}

/** Every workload named on the command line is in force. */
export interface ReadyEvent extends Common {
  type: "ready";
  workloads: string[];
}

/** What is wrong in a profile; as `portcullis validate` says it. */
export interface RevisionError {
  source: string;
  /** Empty where the file as a whole is meant. */
  field: string;
  message: string;
}

/** A change of the profiles is in force, or was refused. */
export interface RevisionEvent extends Common {
  type: "revision";
  /** Content hash, hex. */
  revision: string;
  refused: boolean;
  profiles: string[];
  errors: RevisionError[];
  /** What changed for whom, in words. */
  changes: { workload: string; changes: string[] }[];
}

/** A workload came under care, changed, went, or cannot be protected as asked. */
export interface WorkloadEvent extends Common {
  type: "workload";
  workload: WorkloadReference;
  state: Effect | "partly" | "unrestricted" | "pending" | "gone" | "failed";
  interfaces: string[];
  profiles: string[];
  error?: { code: string; message: string };
}

/** Kinds of records that the kernel has a buffer of its own for: violations, first packets of allowed flows, traced DNS messages, flows that it forgets. */
export const RECORD_KINDS = ["violation", "allowed", "dns", "flow"] as const;
export type RecordKind = (typeof RECORD_KINDS)[number];

/**
 * Where events are lost: the kernel could not hand them over (a buffer was full); whoever reads the output was too slow; the
 * agent's thread that keeps records was; the disk did not take them; the destination of an export did not.
 */
export const LOSS_PLACES = ["kernel", "output", "queue", "disk", "export"] as const;
export type LossPlace = (typeof LOSS_PLACES)[number];

/** Events that are missing. */
export interface LostEvent extends Common {
  type: "lost";
  where: LossPlace;
  /** Of one kind, where the kernel lost them. */
  kind?: RecordKind;
  count: number;
}

export type AgentEvent = VerdictEvent | FlowEvent | ReadyEvent | RevisionEvent | WorkloadEvent | LostEvent;

export const RECORD_TYPES = [
  "verdict",
  "dns",
  "listen",
  "flow",
  "ready",
  "revision",
  "workload",
  "lost",
] as const satisfies AgentEvent["type"][];

/** Whether a record is of packets, or of what a process is about to receive. */
export function isVerdict(record: AgentEvent): record is VerdictEvent {
  return record.type === "verdict" || record.type === "dns" || record.type === "listen";
}

/** What was judged, and has two ends: packets, or a flow. */
export type TrafficEvent = VerdictEvent | FlowEvent;

export function isTraffic(record: AgentEvent): record is TrafficEvent {
  return record.type === "flow" || isVerdict(record);
}
