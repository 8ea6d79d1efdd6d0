/** What a benchmark of packets runs on: a site, an agent for some of its workloads, hooks to switch, traffic. */

import { SocketHooks } from "../hooks.ts";
import { AgentProcess, OBJECTS, PIN_ROOT } from "./agent-process.ts";
import { type BenchWorkload, PEER_ADDRESS, removeNamespaces, Site } from "./network.ts";
import { equalRules } from "./nftables.ts";
import { attachNoop } from "./noop.ts";
import { type Lane, Traffic } from "./traffic.ts";

/** The profiles of a workload, given the value of the label `bench` that they have to select. */
export type ProfilesOf = (workload: string) => object[];

export interface BedOptions {
  /** Workloads under Portcullis by name, 8 characters at most. */
  ours: Record<string, ProfilesOf>;
  /** Workloads without anything. */
  bare: readonly string[];
  /** Workloads with programs that do nothing. */
  noop?: readonly string[];
  /** Workloads behind nftables, each on a node of its own, and how many prefixes its rules have. */
  nftables?: Record<string, number>;
}

export class Bed implements Disposable {
  readonly site: Site;
  readonly traffic: Traffic;
  readonly hooks: SocketHooks;
  readonly agent: AgentProcess;
  readonly #lanes = new Map<string, Lane>();
  readonly #namespaces = new Map<string, string>();
  readonly #owned: Disposable[];

  private constructor(site: Site, agent: AgentProcess, owned: Disposable[]) {
    this.site = site;
    this.agent = agent;
    this.hooks = new SocketHooks(PIN_ROOT, OBJECTS);
    this.traffic = new Traffic();
    this.#owned = owned;
  }

  static async open({ ours, bare, noop = [], nftables = {} }: BedOptions): Promise<Bed> {
    const site = new Site("main");
    const add = (names: readonly string[]) => new Map(names.map((name) => [name, site.addWorkload(name)] as const));
    const [guarded, plain, idle] = [add(Object.keys(ours)), add(bare), add(noop)];
    const owned = [...idle.values()].map(({ hostInterface }) => attachNoop(site.node, hostInterface));
    const workloads = [...guarded].map(([name, { namespace }]) => [namespace, ours[name]?.(namespace) ?? []] as const);
    const agent = await AgentProcess.start({ node: site.node, workloads: Object.fromEntries(workloads) });
    const bed = new Bed(site, agent, owned);
    await bed.#openLanes(site, [...guarded, ...plain, ...idle]);
    for (const [name, count] of Object.entries(nftables)) await bed.#addFiltered(name, count);
    return bed;
  }

  /** The network namespace of the workload of this name. */
  namespace(name: string): string {
    const namespace = this.#namespaces.get(name);
    if (namespace === undefined) throw new RangeError(`there is no workload ${name}`);
    return namespace;
  }

  /** The lane of the workload of this name. */
  lane(name: string): Lane {
    const lane = this.#lanes.get(name);
    if (lane === undefined) throw new RangeError(`there is no workload ${name}`);
    return lane;
  }

  /** A lane from a workload to an address, with its DNS answered there. */
  async addLane(name: string, workload: BenchWorkload, site: Site, address: string): Promise<void> {
    const { namespace: client } = workload;
    this.#namespaces.set(name, client);
    this.#lanes.set(name, await this.traffic.openLane({ client, server: site.peer, address }));
  }

  [Symbol.dispose](): void {
    this.traffic[Symbol.dispose]();
    this.hooks[Symbol.dispose]();
    this.agent[Symbol.dispose]();
    for (const owned of this.#owned) owned[Symbol.dispose]();
    removeNamespaces();
  }

  async #openLanes(site: Site, workloads: (readonly [string, BenchWorkload])[]): Promise<void> {
    for (const [name, workload] of workloads) await this.addLane(name, workload, site, PEER_ADDRESS);
  }

  async #addFiltered(name: string, prefixes: number): Promise<void> {
    const site = new Site(name);
    equalRules(site.node, prefixes);
    await this.addLane(name, site.addWorkload(name), site, PEER_ADDRESS);
  }
}
