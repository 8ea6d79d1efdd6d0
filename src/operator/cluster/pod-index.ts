/** Pods by namespace, and by each of their labels. */
import type { LabelSelector } from "../../api/types.ts";
import type { PodRecord } from "./pod-record.ts";

type Pods = Map<string, PodRecord>;

export class PodIndex {
  readonly #pods: Pods = new Map();
  readonly #namespaces = new Map<string, Pods>();
  /** By `namespace key=value`. */
  readonly #labels = new Map<string, Pods>();

  get size(): number {
    return this.#pods.size;
  }

  set(key: string, pod: PodRecord | null): void {
    const before = this.#pods.get(key);
    if (before !== undefined) {
      for (const [index, term] of this.#places(before)) remove(index, term, key);
      this.#pods.delete(key);
    }
    if (pod === null) return;
    this.#pods.set(key, pod);
    for (const [index, term] of this.#places(pod)) add(index, term, key, pod);
  }

  get(key: string): PodRecord | undefined {
    return this.#pods.get(key);
  }

  /** Namespaces that have pods. */
  namespaces(): Iterable<string> {
    return this.#namespaces.keys();
  }

  ofNamespace(namespace: string): Iterable<[string, PodRecord]> {
    return this.#namespaces.get(namespace) ?? [];
  }

  /** Pods of the namespace that the selector may mean: all that it does mean, and not many more. */
  candidates(namespace: string, selector: LabelSelector | undefined): Iterable<[string, PodRecord]> {
    const sets = Object.entries(selector?.matchLabels ?? {}).map(([key, value]) =>
      this.#labels.get(labelTerm(namespace, key, value)),
    );
    if (sets.length === 0) return this.ofNamespace(namespace);
    if (sets.some((set) => set === undefined)) return [];
    return sets.reduce((least, set) => ((set?.size ?? 0) < (least?.size ?? 0) ? set : least)) ?? [];
  }

  #places({ namespace, labels }: PodRecord): [Map<string, Pods>, string][] {
    return [
      [this.#namespaces, namespace],
      ...Object.entries(labels).map(([key, value]): [Map<string, Pods>, string] => [
        this.#labels,
        labelTerm(namespace, key, value),
      ]),
    ];
  }
}

function labelTerm(namespace: string, key: string, value: string): string {
  return `${namespace} ${key}=${value}`;
}

function add(index: Map<string, Pods>, term: string, key: string, pod: PodRecord): void {
  const pods = index.get(term);
  if (pods === undefined) index.set(term, new Map([[key, pod]]));
  else pods.set(key, pod);
}

function remove(index: Map<string, Pods>, term: string, key: string): void {
  const pods = index.get(term);
  pods?.delete(key);
  if (pods?.size === 0) index.delete(term);
}
