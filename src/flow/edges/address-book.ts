/**
 * Which workload has an address, as the records themselves show it: each has the address of its own pod. An address that two
 * workloads had, one after the other, is nobody's: a wrong join would be worse than none.
 */
import ipaddr from "ipaddr.js";
import { type EdgeWorkload, workloadText } from "./edge.ts";

/** Addresses that are kept; those of further pods stay addresses. */
const ADDRESSES_MAX = 100_000;
/** What no host has for itself: groups, and addresses that each has. */
const SHARED = new Set<string>(["unspecified", "broadcast", "multicast", "linkLocal", "loopback"]);

export class AddressBook {
  /** Null: of several. */
  readonly #owners = new Map<string, EdgeWorkload | null>();

  add(address: string, workload: EdgeWorkload): void {
    const known = this.#owners.get(address);
    if (known === undefined) {
      if (this.#owners.size < ADDRESSES_MAX && isOfOneHost(address)) this.#owners.set(address, workload);
    } else if (known !== null && workloadText(known) !== workloadText(workload)) {
      this.#owners.set(address, null);
    }
  }

  /** The workload that has all of these addresses; null: none has. */
  ownerOf(addresses: readonly string[]): EdgeWorkload | null {
    const [first, ...others] = addresses.map((address) => this.#owners.get(address) ?? null);
    if (first === undefined || first === null) return null;
    return others.every((owner) => owner !== null && workloadText(owner) === workloadText(first)) ? first : null;
  }

  /** Addresses that more than one workload had. */
  get ambiguous(): number {
    return [...this.#owners.values()].filter((owner) => owner === null).length;
  }
}

function isOfOneHost(address: string): boolean {
  return ipaddr.isValid(address) && !SHARED.has(ipaddr.process(address).range());
}
