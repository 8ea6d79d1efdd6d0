/**
 * What is known of the node's pods: what the operator says, and for pods that it has not described yet, or while it is
 * away, what the kubelet writes into the names of folders.
 */
import { readdirSync } from "node:fs";
import { causeCode } from "../../api/errors.ts";
import { type Binding, PolicyKind } from "../../gen/agent_pb.js";
import { HeldState } from "../../protocol/held-state.ts";
import { POD_LOGS, type PodDirectory, type PodFacts } from "../discovery/pods/pod-facts.ts";

/** Uids of pods that the kubelet has from a file: a hash, and not that of the pod which stands for it at the API server. */
const STATIC_POD_UID = /^[0-9a-f]{32}$/;

/** A generated suffix: of a ReplicaSet's, DaemonSet's or Job's pod, or a StatefulSet's number. */
const GENERATED_SUFFIX = /-(?:[bcdfghjklmnpqrstvwxz2456789]{5}|\d+)$/;

export class PodBindings implements PodDirectory {
  readonly #podLogs: string;
  readonly #listeners = new Set<() => void>();
  /** Names by uid, as the kubelet has them. They never change. */
  readonly #names = new Map<string, { namespace: string; name: string }>();
  #held: HeldState;

  constructor(held: HeldState = HeldState.EMPTY, podLogs = POD_LOGS) {
    this.#held = held;
    this.#podLogs = podLogs;
  }

  get held(): HeldState {
    return this.#held;
  }

  /** Takes another state; listeners are notified. */
  take(held: HeldState): void {
    this.#held = held;
    for (const listener of [...this.#listeners]) listener();
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  find(uid: string): PodFacts | null {
    const binding = this.bindingOf(uid);
    if (binding !== null) return factsOf(uid, binding);
    const named = this.#nameOf(uid);
    if (named === null) return null;
    const labels = this.lastKnown(uid)?.labels ?? {};
    return { uid, ...named, labels, containers: [], hostNetwork: false };
  }

  /** What the operator says of a pod; null if it has not said anything of this one. */
  bindingOf(uid: string): Binding | null {
    const binding = this.#held.bindings.get(uid);
    if (binding !== undefined) return binding;
    if (!STATIC_POD_UID.test(uid)) return null;
    const named = this.#nameOf(uid);
    return named === null ? null : this.#byName(named.namespace, named.name);
  }

  /**
   * The last thing said of such a pod: of one that had its name, else of one that was made from the same template (a
   * name that differs in the generated suffix alone). Null if none is known.
   */
  lastKnown(uid: string): Binding | null {
    const named = this.#held.bindings.get(uid) ?? this.#nameOf(uid);
    if (named === null) return null;
    const same = this.#byName(named.namespace, named.name);
    if (same !== null && isPolicy(same)) return same;
    const stem = named.name.replace(GENERATED_SUFFIX, "");
    if (stem === named.name) return null;
    const alike = [...this.#held.bindings.values()].filter(
      ({ namespace, name }) => namespace === named.namespace && name.replace(GENERATED_SUFFIX, "") === stem,
    );
    return alike.find(isPolicy) ?? null;
  }

  /**
   * Namespaces that had an enforcing profile when the operator was last heard of; of an operator that does not tell, those that had one
   * on this node.
   */
  enforcingNamespaces(): ReadonlySet<string> {
    const { enforcing, bindings, tables } = this.#held;
    if (enforcing !== null) return new Set(enforcing);
    const bound = [...bindings.values()].filter(({ tableHash }) => tables.get(tableHash)?.actions.includes("enforce"));
    return new Set(bound.map(({ namespace }) => namespace));
  }

  #byName(namespace: string, name: string): Binding | null {
    for (const binding of this.#held.bindings.values()) {
      if (binding.namespace === namespace && binding.name === name) return binding;
    }
    return null;
  }

  #nameOf(uid: string): { namespace: string; name: string } | null {
    if (!this.#names.has(uid)) this.#readNames();
    return this.#names.get(uid) ?? null;
  }

  #readNames(): void {
    const present = new Set<string>();
    for (const folder of listFolder(this.#podLogs)) {
      const [namespace, name, uid, ...rest] = folder.split("_");
      if (namespace === undefined || name === undefined || uid === undefined || rest.length > 0) continue;
      present.add(uid);
      this.#names.set(uid, { namespace, name });
    }
    for (const uid of this.#names.keys()) if (!present.has(uid)) this.#names.delete(uid);
  }
}

function factsOf(uid: string, { podUid: apiUid, namespace, name, labels, containers, policy }: Binding): PodFacts {
  const hostNetwork = policy === PolicyKind.HOST_NETWORK;
  return { uid, apiUid, namespace, name, labels, containers, hostNetwork };
}

function isPolicy({ policy }: Binding): boolean {
  return policy === PolicyKind.TABLE || policy === PolicyKind.UNRESTRICTED;
}

function listFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (cause) {
    if (causeCode(cause) === "ENOENT") return [];
    throw cause;
  }
}
