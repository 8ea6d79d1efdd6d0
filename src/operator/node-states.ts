/** What each node is to have: the bindings of its pods. */
import type { Binding } from "../protocol/agent_pb.js";
import { type Bindings, bindingText } from "../protocol/bindings.ts";

const NONE: Bindings = new Map();

export class NodeStates {
  readonly #nodes = new Map<string, Map<string, Binding>>();
  readonly #listeners = new Set<(node: string) => void>();

  /** Calls the listener whenever a node is to have something else; returns what ends that. */
  subscribe(listener: (node: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** By the uid of their pods. The map changes with the node. */
  bindings(node: string): Bindings {
    return this.#nodes.get(node) ?? NONE;
  }

  /** Nodes that have pods. */
  nodes(): Iterable<string> {
    return this.#nodes.keys();
  }

  bind(node: string, binding: Binding): void {
    const bindings = this.#nodes.get(node) ?? new Map<string, Binding>();
    this.#nodes.set(node, bindings);
    const before = bindings.get(binding.podUid);
    if (before !== undefined && bindingText(before) === bindingText(binding)) return;
    bindings.set(binding.podUid, binding);
    this.#tell(node);
  }

  unbind(node: string, podUid: string): void {
    const bindings = this.#nodes.get(node);
    if (!bindings?.delete(podUid)) return;
    if (bindings.size === 0) this.#nodes.delete(node);
    this.#tell(node);
  }

  #tell(node: string): void {
    for (const listener of this.#listeners) listener(node);
  }
}
