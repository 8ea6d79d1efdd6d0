/** What each node is to have: the bindings of its pods. */
import type { Binding } from "../../gen/agent_pb.js";
import { type Bindings, bindingDigest } from "../../protocol/bindings.ts";

interface Node {
  bindings: Map<string, Binding>;
  /** Somebody goes on with the map as it is: it is copied before it is changed. */
  isShared: boolean;
}

const NONE: Bindings = new Map();

export class NodeStates {
  readonly #nodes = new Map<string, Node>();
  readonly #listeners = new Set<(node: string) => void>();

  /** Calls the listener whenever a node is to have something else; returns what ends that. */
  subscribe(listener: (node: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** By the uid of their pods. The map changes with the node. */
  bindings(node: string): Bindings {
    return this.#nodes.get(node)?.bindings ?? NONE;
  }

  /** The bindings of the moment: this map never changes. */
  snapshot(name: string): Bindings {
    const node = this.#nodes.get(name);
    if (node === undefined) return NONE;
    node.isShared = true;
    return node.bindings;
  }

  /** How many nodes have pods. */
  get size(): number {
    return this.#nodes.size;
  }

  /** Nodes that have pods. */
  nodes(): Iterable<string> {
    return this.#nodes.keys();
  }

  bind(name: string, binding: Binding): void {
    const before = this.#nodes.get(name)?.bindings.get(binding.podUid);
    if (before !== undefined && bindingDigest(before) === bindingDigest(binding)) return;
    this.#toChange(name).set(binding.podUid, binding);
    this.#notify(name);
  }

  unbind(name: string, podUid: string): void {
    if (!this.#nodes.get(name)?.bindings.has(podUid)) return;
    const bindings = this.#toChange(name);
    bindings.delete(podUid);
    if (bindings.size === 0) this.#nodes.delete(name);
    this.#notify(name);
  }

  #toChange(name: string): Map<string, Binding> {
    const node = this.#nodes.get(name);
    if (node !== undefined && !node.isShared) return node.bindings;
    const bindings = new Map(node?.bindings);
    this.#nodes.set(name, { bindings, isShared: false });
    return bindings;
  }

  #notify(node: string): void {
    for (const listener of this.#listeners) listener(node);
  }
}
