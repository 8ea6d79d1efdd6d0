/** What the kernel knows of a workload beside its rules: its own addresses, of IP and hardware, and which cgroup is which container. */

import { type Container, ContainerFlag } from "../../../gen/abi.gen.ts";
import type { Workload, WorkloadContainer } from "../../discovery/workload.ts";
import type { ContainerIds } from "./container-ids.ts";
import { hardwareAddress, mappedAddress } from "./entries.ts";
import type { WorkloadMaps } from "./rule-maps.ts";

const PRESENT = 1;

export class WorkloadFacts {
  readonly #maps: WorkloadMaps;
  readonly #ids: ContainerIds;

  constructor(maps: WorkloadMaps, ids: ContainerIds) {
    this.#maps = maps;
    this.#ids = ids;
  }

  /** Adds what is new, then removes what is gone: an address that stays is never missing in between. */
  write(id: number, workload: Pick<Workload, "addresses" | "interfaces">, before: readonly string[]): void {
    for (const { mac } of workload.interfaces) {
      this.#maps.addresses.set({ workloadId: id, address: hardwareAddress(mac) }, PRESENT);
    }
    for (const address of workload.addresses) {
      this.#maps.addresses.set({ workloadId: id, address: mappedAddress(address) }, PRESENT);
    }
    const now = new Set(workload.addresses);
    this.#removeAddresses(
      id,
      before.filter((address) => !now.has(address)),
    );
  }

  /** Containers are known by their cgroup alone, so all workloads' go in one map. */
  writeContainers(workloads: readonly Pick<Workload, "containers" | "netnsInum">[]): void {
    const wanted = new Map(
      workloads.flatMap(({ containers, netnsInum }) =>
        containers.map((container) => [container.cgroupId, this.#containerValue(container, netnsInum)] as const),
      ),
    );
    for (const [cgroupId, value] of wanted) {
      // The clock may have been set since: what was first written down holds.
      const started = this.#maps.containers.get(cgroupId)?.started ?? 0n;
      this.#maps.containers.set(cgroupId, started === 0n ? value : { ...value, started });
    }
    const gone = [...this.#maps.containers.entries()].map(([cgroupId]) => cgroupId).filter((key) => !wanted.has(key));
    this.#maps.containers.deleteAll(gone);
  }

  #containerValue({ name, started, isEphemeral }: WorkloadContainer, netnsInum: number): Container {
    const flags = isEphemeral ? ContainerFlag.EPHEMERAL : 0;
    return { id: this.#ids.of(name), started: started ?? 0n, flags, netnsInum };
  }

  #removeAddresses(id: number, addresses: readonly string[]): void {
    for (const address of addresses) this.#maps.addresses.delete({ workloadId: id, address: mappedAddress(address) });
  }

  /** Removes addresses of workloads that are not among these. */
  keepWorkloads(live: ReadonlySet<number>): void {
    const gone = [...this.#maps.addresses.entries()].map(([key]) => key).filter((key) => !live.has(key.workloadId));
    this.#maps.addresses.deleteAll(gone);
  }
}
