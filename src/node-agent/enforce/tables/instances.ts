/**
 * Instances of `struct workload`: the policy of an interface is the instance that `interfaces[ifindex]` names, so that
 * one store puts a new one in force for packets of both directions.
 */

import { InternalError } from "../../../api/errors.ts";
import type { Workload as WorkloadValue } from "../../../gen/abi.gen.ts";
import { steadyNow } from "../../../timing/steady-time.ts";
import { CapacityError } from "../errors.ts";
import type { RuleMap, WorkloadMaps } from "./rule-maps.ts";
import { sameWorkloadValue } from "./workload-value.ts";

/** `interfaces` is an array of this many; larger indexes are in `interfaces_high`. */
const LOW_INTERFACES = 65536;

export class Instances {
  readonly #maps: WorkloadMaps;
  readonly #byInterface = new Map<number, number>();
  readonly #retired = new Map<number, number>();

  /** Finds what an earlier agent has put in force. */
  constructor(maps: WorkloadMaps) {
    this.#maps = maps;
    for (const map of [maps.interfaces, maps.interfacesHigh]) {
      for (const [ifindex, instance] of map.entries()) if (instance !== 0) this.#byInterface.set(ifindex, instance);
    }
  }

  /** What is in force on an interface. */
  current(ifindex: number): WorkloadValue | null {
    const instance = this.#byInterface.get(ifindex);
    return instance === undefined ? null : (this.#maps.workloads.get(instance) ?? null);
  }

  /** The number of the instance in force on an interface, 0 if there is none. */
  instanceOf(ifindex: number): number {
    return this.#byInterface.get(ifindex) ?? 0;
  }

  /** Interfaces that have an instance. */
  interfaces(): number[] {
    return [...this.#byInterface.keys()];
  }

  /** Puts a value in force on its interface, unless it is; true if something changed. @throws CapacityError */
  publish(value: WorkloadValue, now = steadyNow()): boolean {
    const { ifindex } = value;
    const current = this.current(ifindex);
    if (current !== null && sameWorkloadValue(current, value)) return false;
    const instance = this.#free();
    this.#maps.workloads.set(instance, value);
    this.#pointer(ifindex).set(ifindex, instance);
    this.#retire(ifindex, now);
    this.#byInterface.set(ifindex, instance);
    return true;
  }

  /** Says which instance stands for a network namespace, for hooks that know no interface. */
  publishNamespace(netnsInum: number, ifindex: number): void {
    const instance = this.instanceOf(ifindex);
    if (instance === 0) throw new InternalError(`interface ${ifindex} has no instance`);
    if (this.#maps.namespaces.get(netnsInum) !== instance) this.#maps.namespaces.set(netnsInum, instance);
  }

  /** An interface has no policy any more. */
  withdraw(ifindex: number, now = steadyNow()): void {
    if (ifindex < LOW_INTERFACES) this.#maps.interfaces.set(ifindex, 0);
    else this.#maps.interfacesHigh.delete(ifindex);
    this.#retire(ifindex, now);
    this.#byInterface.delete(ifindex);
  }

  /** Network namespaces that have an instance but are none of these have none any more. */
  keepNamespaces(live: ReadonlySet<number>): void {
    const gone = [...this.#maps.namespaces.entries()].map(([inum]) => inum).filter((inum) => !live.has(inum));
    this.#maps.namespaces.deleteAll(gone);
  }

  /** Instances that were replaced this long ago are free: no packet can be looking at them. */
  collect(graceMs: number, now = steadyNow()): number {
    for (const [instance, since] of this.#retired) if (now - since >= graceMs) this.#retired.delete(instance);
    return this.#retired.size;
  }

  #retire(ifindex: number, now: number): void {
    const old = this.#byInterface.get(ifindex);
    if (old !== undefined) this.#retired.set(old, now);
  }

  /** 0 means "none" in `interfaces`. */
  #free(): number {
    const used = new Set([...this.#byInterface.values(), ...this.#retired.keys()]);
    for (let instance = 1; instance < this.#maps.workloads.maxEntries; instance++) {
      if (!used.has(instance)) return instance;
    }
    const { name, maxEntries } = this.#maps.workloads;
    throw new CapacityError(name, `all ${maxEntries - 1} instances are in use`, maxEntries);
  }

  #pointer(ifindex: number): RuleMap<number, number> {
    return ifindex < LOW_INTERFACES ? this.#maps.interfaces : this.#maps.interfacesHigh;
  }
}
