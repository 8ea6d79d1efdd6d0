/**
 * Veth pairs as the programs of bpf/devices.bpf.c have seen them: a second source beside rtnetlink, which is not lossy,
 * and knows the network namespace of either end. What the two say has to agree.
 */

import type { DeviceKey, VethEnd } from "../../../gen/abi.gen.ts";
import { VethFlag } from "../../../gen/abi.gen.ts";
import { type Workload, workloadName } from "../../discovery/workload.ts";
import { UPDATE } from "../../ffi/bpf.ts";
import { ERRNO, isKernelError } from "../../ffi/errno.ts";
import type { Maps } from "../../kernel/typed-maps.ts";
import { RouteConnection } from "../../netlink/connection.ts";
import { type Link, listLinks } from "../../netlink/links.ts";

type VethMaps = Pick<Maps, "devices" | "deviceChanges">;

/** The sources are not asked at the same instant: what they disagree on counts if it stays so for this long. */
const SETTLED_MS = 1000;

export class VethPairs {
  readonly #maps: VethMaps;
  readonly #netnsInum: number;
  readonly #suspects = new Map<string, { since: number; reported: boolean }>();
  #changes: bigint;
  #disagreements = 0;

  /**
   * Tells the kernel of the pairs that are older than its programs, which are attached by now.
   * @param netnsInum inode number of the network namespace that the agent works in, and the thread is in
   * @throws KernelError
   */
  constructor(maps: VethMaps, netnsInum: number) {
    this.#maps = maps;
    this.#netnsInum = netnsInum;
    this.#changes = this.#readChanges();
    using connection = new RouteConnection();
    this.#enterOlder(listLinks(connection));
    this.#removeGone(listLinks(connection));
  }

  /** How often the two sources have disagreed so far. */
  get disagreements(): number {
    return this.#disagreements;
  }

  /** Whether some pair was made, moved or removed since the last call. */
  changed(): boolean {
    const before = this.#changes;
    this.#changes = this.#readChanges();
    return this.#changes !== before;
  }

  /**
   * Compares the pairs found by rtnetlink with those that the kernel's programs have seen.
   * @returns what they have begun to disagree on, for people; `settled` is false if it is worth to ask again soon
   */
  compare(workloads: readonly Workload[], now = performance.now()): { disagreements: string[]; settled: boolean } {
    const found = new Set(workloads.flatMap((workload) => this.#differences(workload)));
    for (const text of this.#suspects.keys()) if (!found.has(text)) this.#suspects.delete(text);
    const disagreements: string[] = [];
    for (const text of found) {
      const suspect = this.#suspects.get(text) ?? { since: now, reported: false };
      this.#suspects.set(text, suspect);
      if (suspect.reported || now - suspect.since < SETTLED_MS) continue;
      suspect.reported = true;
      disagreements.push(text);
    }
    this.#disagreements += disagreements.length;
    return { disagreements, settled: [...this.#suspects.values()].every(({ reported }) => reported) };
  }

  #differences(workload: Workload): string[] {
    const name = workloadName(workload);
    const missing = workload.interfaces.flatMap(({ hostIfindex, hostIfname }) => {
      const end = this.#maps.devices.get(this.#keyOf(hostIfindex));
      if (end === undefined) return [`${hostIfname} (${hostIfindex}) of ${name} is known from rtnetlink alone`];
      this.#completeOlder(hostIfindex, end, workload);
      const peer = end.peer.netnsInum;
      if (peer === 0 || peer === workload.netnsInum) return [];
      return [`${hostIfname} (${hostIfindex}) leads to ${name} for rtnetlink, and to namespace ${peer} for the kernel`];
    });
    return [...missing, ...this.#unseen(workload)];
  }

  /** Ends here whose other ends are in the workload, and which rtnetlink has not shown. */
  #unseen(workload: Workload): string[] {
    const known = new Set(workload.interfaces.map(({ hostIfindex }) => hostIfindex));
    return [...this.#maps.devices.entries()]
      .filter(([{ netnsInum, ifindex }]) => netnsInum === this.#netnsInum && !known.has(ifindex))
      .filter(([, { peer }]) => peer.netnsInum === workload.netnsInum)
      .map(([{ ifindex }]) => `interface ${ifindex} of ${workloadName(workload)} is known from the kernel alone`);
  }

  #enterOlder(links: readonly Link[]): void {
    for (const { index, kind, peerIndex, peerNsid } of links) {
      if (kind !== "veth") continue;
      const here = peerNsid === null && peerIndex !== null;
      const peer = here ? this.#keyOf(peerIndex) : { netnsInum: 0, ifindex: 0 };
      this.#maps.devices.add(this.#keyOf(index), { changed: 0n, peer, flags: VethFlag.FOUND });
    }
  }

  /** A pair that was removed between being listed and being entered was removed unseen. */
  #removeGone(links: readonly Link[]): void {
    const there = new Set(links.map(({ index }) => index));
    const here = [...this.#maps.devices.keys()].filter(({ netnsInum }) => netnsInum === this.#netnsInum);
    this.#maps.devices.deleteAll(here.filter(({ ifindex }) => !there.has(ifindex)));
  }

  /** The other end of an older pair becomes known with its workload. */
  #completeOlder(hostIfindex: number, end: VethEnd, { netnsInum }: Workload): void {
    if ((end.flags & VethFlag.FOUND) === 0 || end.peer.netnsInum !== 0) return;
    end.peer = { netnsInum, ifindex: 0 };
    try {
      this.#maps.devices.set(this.#keyOf(hostIfindex), end, UPDATE.EXIST);
    } catch (error) {
      // It was removed just now.
      if (!isKernelError(error, ERRNO.ENOENT)) throw error;
    }
  }

  #keyOf(ifindex: number): DeviceKey {
    return { netnsInum: this.#netnsInum, ifindex };
  }

  #readChanges(): bigint {
    return this.#maps.deviceChanges.get(0) ?? 0n;
  }
}
