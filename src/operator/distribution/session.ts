/**
 * One agent's stream. At most one revision is under way: what changes while the agent is busy is in the next one, so that a slow
 * agent makes nobody wait and costs no memory.
 */

import { create } from "@bufbuild/protobuf";
import { status as GrpcStatus, type ServerDuplexStream } from "@grpc/grpc-js";
import {
  type AgentMessage,
  CountersAcknowledgementSchema,
  type Hello,
  type OperatorMessage,
  OperatorMessageSchema,
  type Refusal,
  WelcomeSchema,
} from "../../gen/agent_pb.js";
import { stateHash } from "../../protocol/bindings.ts";
import { STATE_HASH_CODE } from "../../protocol/errors.ts";
import { checkAgentMessage } from "../../protocol/message-checks.ts";
import { PROTOCOL_VERSION } from "../../protocol/service.ts";
import { exactly, type HeldHashes, heldAfter, type NodeState, stateMessages } from "../../protocol/state-message.ts";
import { steadyNow } from "../../timing/steady-time.ts";
import { type AgentRecords, ANSWER_MS } from "./agent-records.ts";
import { StreamRefusal } from "./authentication.ts";
import { failedMessage, type MessageMeter, type MessageSource } from "./failed-message.ts";
import { checkHello, ProtocolRefusal } from "./hello.ts";
import { PacedMessages } from "./paced-messages.ts";
import { sizeOf } from "./revision.ts";
import type { Semaphore } from "./semaphore.ts";

export type AgentStream = ServerDuplexStream<AgentMessage, OperatorMessage>;

/** What a session counts. */
export interface SessionMeter extends MessageMeter {
  sent(isFull: boolean, bytes: number): void;
  acknowledged(seconds: number): void;
  refused(): void;
}

export interface SessionOptions extends MessageSource {
  version: string;
  records: AgentRecords;
  /** What the node is to have now; its bindings never change. */
  wanted: () => NodeState;
  /** Full states are large: they are under way to so many agents at a time. */
  fullStates: Semaphore;
  /** More changes are being worked out. */
  isPlanning: () => boolean;
  /** How many agents there are to be. */
  agents: () => number;
  meter: SessionMeter;
  /** The agent has said who it is, and it may be that. */
  onHello: (hello: Hello) => void;
  onEnd: () => void;
}

/** Changes that come within this many milliseconds go together. */
const COALESCE_MS = 5;
/** And those that are being worked out, as one edit of a profile may concern a thousand tables; but no longer than this. */
const PLANNING_MS = 250;
/** What the hello says of the node may change what its pods are to have. */
const HELLO_MS = 20;
/** Agents that come back a second, over all of them, should there be no operator for long; and within which bounds each waits. */
const RECONNECTS_PER_SECOND = 100;
const RECONNECT_LEAST_MS = 2_000;
const RECONNECT_MOST_MS = 30_000;
/** What an agent is asked to keep to. */
const REPORT_INTERVAL_MS = 1_000;
const VIOLATIONS_MAX = 100;
/** After a refusal the next try is a full state, after this long, doubled each time up to the longest. */
const REFUSED_MS = 1_000;
const REFUSED_LONGEST_MS = 60_000;

/** A moment after the time is up. */
const LATE_MS = 100;

const NOTHING: HeldHashes = { bindings: null, tables: new Set(), rulesets: new Set(), enforcing: null };

interface UnderWay {
  revision: bigint;
  state: NodeState;
  /** When the first of its changes was made. */
  since: number;
}

export class Session {
  readonly node: string;
  readonly #stream: AgentStream;
  readonly #options: SessionOptions;
  readonly #messages: PacedMessages<AgentMessage>;
  #instance: string | null = null;
  #held: HeldHashes = NOTHING;
  #revision = 0n;
  #underWay: UnderWay | null = null;
  /** Since when something is to be sent; null: nothing is. */
  #dirtySince: number | null = null;
  #timer: NodeJS.Timeout | null = null;
  #overdue: NodeJS.Timeout | null = null;
  #refusals = 0;
  /** Gives the place for a full state back; null: none is held or waited for. */
  #leave: (() => void) | null = null;
  #ended = false;

  constructor(stream: AgentStream, options: SessionOptions) {
    this.node = options.node;
    this.#stream = stream;
    this.#options = options;
    this.#messages = new PacedMessages(stream, (message) => this.#take(message));
    stream.on("error", () => this.#end());
    stream.on("cancelled", () => this.#end());
    stream.on("end", () => {
      stream.end();
      this.#end();
    });
  }

  /** The node is to have something else. */
  notify(): void {
    if (this.#ended || this.#instance === null) return;
    this.#dirtySince ??= steadyNow();
    this.#sendLater(COALESCE_MS);
  }

  /** Ends the stream with an error that the agent sees. */
  refuse(refusal: StreamRefusal): void {
    if (this.#ended) return;
    this.#stream.emit("error", { code: refusal.status, details: refusal.message });
    this.#end();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#leave?.();
    this.#messages.end();
    for (const timer of [this.#timer, this.#overdue]) if (timer !== null) clearTimeout(timer);
    this.#options.onEnd();
  }

  /** What one agent has sent ends its own stream, whatever is wrong with it. */
  #take(message: AgentMessage): void {
    try {
      checkAgentMessage(message);
      this.#handle(message);
    } catch (cause) {
      if (cause instanceof ProtocolRefusal) this.#options.records.turnedAway(this.node, cause.message);
      this.refuse(failedMessage(this.#options, message.message.case ?? "unknown", cause));
    }
  }

  #handle({ message }: AgentMessage): void {
    const { records } = this.#options;
    if (message.case === "hello") {
      this.#hello(message.value);
      return;
    }
    const instance = this.#instance;
    if (instance === null) throw new StreamRefusal(GrpcStatus.FAILED_PRECONDITION, "the first message has to be hello");
    switch (message.case) {
      case "acknowledgement":
        this.#acknowledged(message.value.revision);
        return;
      case "refusal":
        this.#refused(message.value);
        return;
      case "podStates":
        records.podStates(this.node, message.value);
        return;
      case "nodeProblems":
        records.problems(this.node, message.value);
        return;
      case "counters": {
        records.counters(this.node, instance, message.value);
        const { sequence } = message.value;
        const acknowledgement = create(CountersAcknowledgementSchema, { sequence });
        this.#write({ case: "countersAcknowledgement", value: acknowledgement });
        return;
      }
      default:
        // Of a newer protocol. What matters is agreed on by its version.
        return;
    }
  }

  #hello(hello: Hello): void {
    const { node, version, records } = this.#options;
    if (this.#instance !== null) throw new StreamRefusal(GrpcStatus.FAILED_PRECONDITION, "hello was said already");
    checkHello(hello, node);
    this.#instance = hello.instance;
    this.#held = this.#heldBy(hello);
    records.connect(node, hello);
    const welcome = create(WelcomeSchema, {
      protocol: PROTOCOL_VERSION,
      version,
      reportIntervalMilliseconds: REPORT_INTERVAL_MS,
      violationsMax: VIOLATIONS_MAX,
      reconnectLongestMilliseconds: reconnectLongest(this.#options.agents()),
    });
    this.#write({ case: "welcome", value: welcome });
    this.#options.onHello(hello);
    this.#dirtySince = steadyNow();
    this.#sendLater(HELLO_MS);
  }

  /** An agent that comes back with just what it is to have need not get it again. */
  #heldBy({ stateHash: hash, tables, rulesets }: Hello): HeldHashes {
    const wanted = this.#options.wanted();
    if (hash !== "" && hash === stateHash(wanted.bindings)) return { ...heldAfter(exactly(wanted)), enforcing: null };
    return { bindings: null, tables: new Set(tables), rulesets: new Set(rulesets), enforcing: null };
  }

  #acknowledged(revision: bigint): void {
    if (this.#underWay?.revision !== revision) return;
    const { state, since } = this.#underWay;
    this.#answered();
    this.#refusals = 0;
    this.#held = heldAfter(state);
    this.#options.meter.acknowledged((steadyNow() - since) / 1000);
    this.#options.records.acknowledged(this.node, state.bindings);
    if (this.#dirtySince !== null) this.#sendLater(0);
  }

  #refused(refusal: Refusal): void {
    if (this.#underWay?.revision !== refusal.revision) return;
    this.#answered();
    this.#held = NOTHING;
    this.#dirtySince ??= steadyNow();
    this.#options.meter.refused();
    // The two sides disagree on what is held: that is mended by a full state, and no fault of anybody's profile.
    const isDisagreement = refusal.code === STATE_HASH_CODE && this.#refusals === 0;
    if (!isDisagreement) this.#options.records.refused(this.node, refusal);
    const delay = isDisagreement ? 0 : Math.min(REFUSED_LONGEST_MS, REFUSED_MS * 2 ** Math.min(this.#refusals, 10));
    this.#refusals += 1;
    this.#sendLater(delay);
  }

  #answered(): void {
    this.#underWay = null;
    this.#leave?.();
    this.#leave = null;
  }

  #sendLater(delay: number): void {
    if (this.#timer !== null || this.#underWay !== null || this.#ended) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      const isFresh = this.#dirtySince !== null && steadyNow() - this.#dirtySince < PLANNING_MS;
      if (isFresh && this.#options.isPlanning()) this.#sendLater(COALESCE_MS);
      else if (this.#held.bindings === null) this.#leave ??= this.#options.fullStates.enter(() => this.#send());
      else this.#send();
    }, delay);
  }

  #send(): void {
    if (this.#ended || this.#underWay !== null || this.#dirtySince === null) return;
    const { wanted, meter, records } = this.#options;
    // The tables of the moment: they may be forgotten while this is under way.
    const state = exactly(wanted());
    this.#revision += 1n;
    const messages = stateMessages(this.#held, state, this.#revision);
    this.#underWay = { revision: this.#revision, state, since: this.#dirtySince };
    this.#dirtySince = null;
    const record = records.get(this.node);
    if (record !== undefined) record.waitingSince = steadyNow();
    if (this.#overdue !== null) clearTimeout(this.#overdue);
    this.#overdue = setTimeout(() => records.overdue(this.node), ANSWER_MS + LATE_MS);
    for (const message of messages) this.#write({ case: "state", value: message });
    meter.sent(
      this.#held.bindings === null,
      messages.reduce((sum, message) => sum + sizeOf(message), 0),
    );
  }

  #write(message: OperatorMessage["message"]): void {
    if (!this.#ended) this.#stream.write(create(OperatorMessageSchema, { message }));
  }
}

/** Milliseconds that each of so many agents may wait at most between two tries. */
function reconnectLongest(agents: number): number {
  const spread = (agents * 1000) / RECONNECTS_PER_SECOND;
  return Math.round(Math.min(RECONNECT_MOST_MS, Math.max(RECONNECT_LEAST_MS, spread)));
}
