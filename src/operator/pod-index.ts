/** Pods by namespace. */
import type { PodRecord } from "./pod-record.ts";

export class PodIndex {
  readonly #namespaces = new Map<string, Map<string, PodRecord>>();
  readonly #pods = new Map<string, PodRecord>();

  get size(): number {
    return this.#pods.size;
  }

  set(key: string, pod: PodRecord | null): void {
    const before = this.#pods.get(key);
    const namespace = pod?.namespace ?? before?.namespace;
    if (namespace === undefined) return;
    const pods = this.#namespaces.get(namespace) ?? new Map<string, PodRecord>();
    if (pod === null) {
      this.#pods.delete(key);
      pods.delete(key);
    } else {
      this.#pods.set(key, pod);
      pods.set(key, pod);
    }
    if (pods.size === 0) this.#namespaces.delete(namespace);
    else this.#namespaces.set(namespace, pods);
  }

  get(key: string): PodRecord | undefined {
    return this.#pods.get(key);
  }

  /** All pods. */
  all(): Iterable<[string, PodRecord]> {
    return this.#pods;
  }

  ofNamespace(namespace: string): Iterable<[string, PodRecord]> {
    return this.#namespaces.get(namespace) ?? [];
  }
}
