/** For tests: named network namespaces as the pods of a node, each with one container of the same image. */
import { execFileSync, spawnSync } from "node:child_process";
import { NamedNamespaces } from "../../discovery/namespaces/named-namespaces.ts";
import type { Workload, WorkloadListener, WorkloadSnapshot, WorkloadSource } from "../../discovery/workload.ts";
import type { PodBindings } from "../pod-bindings.ts";

export interface FakePod {
  /** Of the network namespace, and of the pod. */
  name: string;
  uid: string;
  /** /24 of 10.99.x.0; the pod is .2, and nobody is .1. */
  subnet: number;
  /** It has no IPv4 address, but fd99:x::2; its node is fd99:x::1, and fd99:x::9. */
  hasIpv6Alone?: boolean;
}

/** The one container of a pod, as it runs now: one that is started again has another cgroup. */
export interface FakeContainer {
  cgroupId: bigint;
  root: string;
}

export class FakePods implements WorkloadSource {
  readonly #names: NamedNamespaces;
  readonly #bindings: PodBindings;
  readonly #uids: ReadonlyMap<string, string>;
  readonly #containerOf: (pod: string) => FakeContainer;

  constructor(pods: readonly FakePod[], bindings: PodBindings, containerOf: (pod: string) => FakeContainer) {
    const named = pods.map(({ name }) => ({ name, namespace: "default", labels: {} }));
    const onError = (error: unknown) => {
      throw error;
    };
    this.#uids = new Map(pods.map(({ name, uid }) => [name, uid]));
    this.#bindings = bindings;
    this.#containerOf = containerOf;
    this.#names = new NamedNamespaces(named, { onError });
  }

  snapshot(): WorkloadSnapshot {
    return this.#asPods(this.#names.snapshot());
  }

  refresh(): WorkloadSnapshot {
    return this.#asPods(this.#names.refresh());
  }

  subscribe(listener: WorkloadListener): () => void {
    return this.#names.subscribe((snapshot) => listener(this.#asPods(snapshot)));
  }

  close(): void {
    this.#names.close();
  }

  #asPods({ workloads, unresolved }: WorkloadSnapshot): WorkloadSnapshot {
    const asPod = (workload: Workload): Workload => {
      const podUid = this.#uids.get(workload.name) ?? "";
      const facts = this.#bindings.find(podUid);
      const known = facts === null ? { namespace: "", name: podUid } : { namespace: facts.namespace };
      return {
        ...workload,
        ...known,
        podUid,
        containers: [{ name: "main", ...this.#containerOf(workload.name) }],
      };
    };
    return {
      workloads: workloads.map(asPod),
      unresolved: unresolved.map((one) => ({ ...one, podUid: this.#uids.get(one.name) ?? "" })),
    };
  }
}

const ip = (...args: string[]) => execFileSync("ip", args, { stdio: "pipe" });

/** Makes the network namespaces, and a veth into each. */
export function makePods(pods: readonly FakePod[]): void {
  for (const { name, subnet, hasIpv6Alone = false } of pods) {
    const hostEnd = `pcca${subnet}v${process.pid % 10_000}`;
    ip("netns", "add", name);
    ip("link", "add", hostEnd, "type", "veth", "peer", "name", "eth0", "netns", name);
    if (hasIpv6Alone) {
      connectByIpv6(name, hostEnd, subnet);
      continue;
    }
    ip("-n", name, "addr", "add", `10.99.${subnet}.2/24`, "dev", "eth0");
    ip("-n", name, "link", "set", "eth0", "up");
    // Nobody is there to be asked for the address: what is sent leaves the pod all the same.
    ip(
      "-n",
      name,
      "neigh",
      "add",
      `10.99.${subnet}.1`,
      "lladdr",
      "02:00:00:00:00:01",
      "dev",
      "eth0",
      "nud",
      "permanent",
    );
    ip("link", "set", hostEnd, "up");
  }
}

function connectByIpv6(name: string, hostEnd: string, subnet: number): void {
  for (const host of [1, 9]) ip("addr", "add", `fd99:${subnet}::${host}/64`, "dev", hostEnd, "nodad");
  ip("link", "set", hostEnd, "up");
  ip("-n", name, "addr", "add", `fd99:${subnet}::2/64`, "dev", "eth0", "nodad");
  ip("-n", name, "link", "set", "eth0", "up");
}

/** Removes those that are still there. */
export function removePods(pods: readonly FakePod[]): void {
  for (const { name } of pods) spawnSync("ip", ["netns", "del", name]);
}

/** Has a pod send something that nobody answers. */
export function ping({ name, subnet }: FakePod): void {
  spawnSync("ip", ["netns", "exec", name, "ping", "-c", "2", "-W", "1", "-i", "0.2", `10.99.${subnet}.1`]);
}

/** Whether an address answers a pod. */
export function reaches({ name }: FakePod, address: string): boolean {
  return spawnSync("ip", ["netns", "exec", name, "ping", "-c", "1", "-W", "1", address]).status === 0;
}
