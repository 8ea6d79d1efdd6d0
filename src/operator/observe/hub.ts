/**
 * Who observes which pod, and what its node's agent is asked for. Agents are asked again and again, because subscriptions end by
 * themselves: an operator that is gone leaves none behind.
 */
import { create } from "@bufbuild/protobuf";
import { causeText } from "../../api/errors.ts";
import { recordOf, type WatchedRecord } from "../../flow/message.ts";
import {
  type Observations,
  type Subscription,
  SubscriptionSchema,
  SubscriptionsSchema,
} from "../../gen/telemetry_pb.js";
import type { ObserveRequest } from "../../protocol/observe.ts";
import type { AgentObservers, ObservableAgent } from "../distribution/server.ts";
import type { PodDescription } from "./pod-description.ts";
import type { RecordStream } from "./record-stream.ts";
import { ObserveRefusal } from "./refusal.ts";

export interface ObserverHubOptions {
  /** @throws ObserveRefusal where there is nothing that could be observed */
  describe: (request: ObserveRequest) => PodDescription;
  /** Milliseconds between two looks, at each of which agents are asked again; subscriptions end after three without. */
  interval?: number;
}

const INTERVAL_MS = 5_000;
const LEASES_PER_INTERVAL = 3;
/** More observers than this make an agent busy with telling. */
const OBSERVERS_PER_NODE = 8;
const OBSERVERS_MAX = 256;
/** Characters of JSON. Agents say less of one packet. */
const RECORD_LENGTH_MAX = 16 * 1024;

/** Last words to one of many of a namespace. */
const GIVES_WAY = "others want to look at pods, and nobody has as many observers as your namespace";

interface Observer {
  id: number;
  request: ObserveRequest;
  pod: PodDescription;
  /** What was last sent to the observer. */
  lastSent: string;
  output: RecordStream;
}

export class ObserverHub implements AgentObservers {
  readonly #options: ObserverHubOptions;
  readonly #agents = new Map<string, ObservableAgent>();
  readonly #observers = new Map<number, Observer>();
  #timer: NodeJS.Timeout | null = null;
  #lastId = 0;

  constructor(options: ObserverHubOptions) {
    this.#options = options;
  }

  /** Nodes whose agents send telemetry. */
  get sources(): ReadonlySet<string> {
    return new Set(this.#agents.keys());
  }

  /** How many look at pods now. */
  get size(): number {
    return this.#observers.size;
  }

  /**
   * Whether somebody can look at this pod now.
   * @throws ObserveRefusal
   */
  check(request: ObserveRequest): PodDescription {
    const pod = this.#options.describe(request);
    if (!this.#agents.has(pod.node)) throw new ObserveRefusal("ServiceUnavailable", noAgent(pod.node));
    const full = this.#fullFor(pod.node);
    if (full === null || greediest(full, request.namespace) !== null) return pod;
    const beside = this.#beside(pod.node).length;
    const message = `${beside} others look at pods of node ${pod.node}, ${this.size} at all nodes'; that is as many as may`;
    throw new ObserveRefusal("TooManyRequests", message);
  }

  /**
   * Somebody looks at a pod from now on, until the stream ends.
   * @returns what is to be called when it has
   * @throws ObserveRefusal
   */
  observe(request: ObserveRequest, output: RecordStream): () => void {
    const pod = this.check(request);
    greediest(this.#fullFor(pod.node) ?? [], request.namespace)?.output.end(GIVES_WAY, false);
    this.#lastId += 1;
    const observer = { id: this.#lastId, request, pod, lastSent: "", output };
    this.#observers.set(observer.id, observer);
    this.#sendDescription(observer);
    this.#renew(pod.node);
    this.#timer ??= setInterval(() => this.#renewAll(), this.#options.interval ?? INTERVAL_MS);
    return () => {
      if (this.#observers.delete(observer.id)) this.#renew(observer.pod.node);
      if (this.#observers.size === 0) this.#stop();
    };
  }

  /** Those of whom one has to go, if somebody else is to look at a pod of the node; null: there is room. */
  #fullFor(node: string): Observer[] | null {
    const beside = this.#beside(node);
    if (beside.length >= OBSERVERS_PER_NODE) return beside;
    return this.#observers.size < OBSERVERS_MAX ? null : [...this.#observers.values()];
  }

  #beside(node: string): Observer[] {
    return [...this.#observers.values()].filter(({ pod }) => pod.node === node);
  }

  /** Lets all observers go. */
  endAll(message: string): void {
    for (const { output } of [...this.#observers.values()]) output.end(message, true);
    this.#stop();
  }

  connected(node: string, agent: ObservableAgent): void {
    this.#agents.set(node, agent);
    this.#refresh(node);
    if (this.#of(node).length > 0) this.#renew(node);
  }

  disconnected(node: string): void {
    this.#agents.delete(node);
    this.#refresh(node);
  }

  /** An agent is believed about what is observed on its own node only. */
  observed(node: string, { observations, lost }: Observations): void {
    for (const { subscriptions, record: message } of observations) {
      const record = message === undefined ? null : recordOf(message);
      const text = JSON.stringify(record);
      const isGood = record !== null && text.length <= RECORD_LENGTH_MAX;
      for (const id of subscriptions) {
        const observer = this.#observerOn(node, id);
        if (observer === null) continue;
        if (isGood && concerns(record, observer.pod)) observer.output.event(text);
        else sendLost(observer, 1);
      }
    }
    for (const { subscription, count } of lost) {
      const observer = this.#observerOn(node, subscription);
      if (observer !== null) sendLost(observer, Number(count));
    }
  }

  #observerOn(node: string, id: number): Observer | null {
    const observer = this.#observers.get(id);
    return observer?.pod.node === node ? observer : null;
  }

  #of(node: string): Observer[] {
    return [...this.#observers.values()].filter(({ pod }) => pod.node === node);
  }

  #renewAll(): void {
    const nodes = new Set([...this.#observers.values()].map(({ pod }) => pod.node));
    for (const node of nodes) {
      this.#refresh(node);
      if (this.#of(node).length > 0) this.#renew(node);
    }
  }

  /** What has become of the pods that are looked at on a node. */
  #refresh(node: string): void {
    for (const observer of this.#of(node)) {
      try {
        const pod = this.#options.describe(observer.request);
        const isSame = pod.uid === observer.pod.uid && pod.node === node;
        if (!isSame) observer.output.end(`pod ${observer.request.pod} was replaced by another of its name`, true);
        else Object.assign(observer, { pod });
        this.#sendDescription(observer);
      } catch (cause) {
        observer.output.end(causeText(cause), false);
      }
    }
  }

  #sendDescription(observer: Observer): void {
    const { request, pod, output } = observer;
    const { uid: _, ...words } = pod;
    const notes = this.#agents.has(pod.node) ? pod.notes : [noAgent(pod.node), ...pod.notes];
    const text = JSON.stringify([words, notes]);
    if (text === observer.lastSent) return;
    observer.lastSent = text;
    const { namespace, pod: name } = request;
    output.record({ type: "observing", time: new Date().toISOString(), namespace, pod: name, ...words, notes });
  }

  #renew(node: string): void {
    const leaseMilliseconds = (this.#options.interval ?? INTERVAL_MS) * LEASES_PER_INTERVAL;
    const subscriptions = this.#of(node).map(subscriptionOf);
    this.#agents.get(node)?.subscribe(create(SubscriptionsSchema, { subscriptions, leaseMilliseconds }));
  }

  #stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }
}

function subscriptionOf({ id, request, pod }: Observer): Subscription {
  const { verdicts, direction = "", process: path = "", container = "", rate } = request;
  return create(SubscriptionSchema, { id, podUid: pod.uid, verdicts: [...verdicts], direction, path, container, rate });
}

function sendLost({ output }: Observer, count: number): void {
  output.record({ type: "lost", time: new Date().toISOString(), where: "agent", count });
}

/** What the kernel has lost concerns everybody. */
function concerns(record: WatchedRecord, { uid }: PodDescription): boolean {
  return record.type === "lost" || record.workload.uid === uid;
}

function noAgent(node: string): string {
  return (
    `no agent of node ${node} sends records to the operator: it is not connected, or older than the operator. ` +
    "What is in force there stays so, but nothing can be shown; see `kubectl portcullis status`"
  );
}

/** Who makes room for an observer of another namespace: the latest of the namespace that has most, if it would still have as many. */
function greediest(observers: readonly Observer[], namespace: string): Observer | null {
  const shares = Map.groupBy(observers, ({ request }) => request.namespace);
  const most = [...shares.values()].reduce((left, right) => (right.length > left.length ? right : left), []);
  const own = shares.get(namespace)?.length ?? 0;
  return most.length > own + 1 ? (most.at(-1) ?? null) : null;
}
