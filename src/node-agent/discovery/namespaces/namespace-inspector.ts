/** One named network namespace, looked at from outside: its interfaces, their other ends, its addresses. */
import { closeSync, openSync } from "node:fs";
import ipaddr from "ipaddr.js";
import { ROUTE_GROUP } from "../../ffi/sockets.ts";
import { listAddresses } from "../../netlink/addresses.ts";
import { RouteConnection, RouteWatch } from "../../netlink/connection.ts";
import { WorkloadError } from "../../netlink/errors.ts";
import { type Link, listLinks } from "../../netlink/links.ts";
import { ensureNamespaceId } from "../../netlink/namespace-ids.ts";
import { matchInterfaces } from "../interfaces.ts";
import type { WorkloadInterface } from "../workload.ts";

/** What was seen of a namespace at one moment. */
export interface NamespaceInspection {
  nsid: number;
  interfaces: WorkloadInterface[];
  addresses: string[];
  problems: WorkloadError[];
}

const WATCHED = ROUTE_GROUP.LINK | ROUTE_GROUP.IPV4_ADDRESS | ROUTE_GROUP.IPV6_ADDRESS;

/** Holds sockets in a namespace, which keep it alive until `close`. */
export class NamespaceInspector {
  readonly inum: number;
  readonly #name: string;
  readonly #namespaceFd: number;
  readonly #opened: Disposable[] = [];
  readonly #connection: RouteConnection;
  readonly #watch: RouteWatch;

  /**
   * @param inum inode number of the namespace that was found at `path`
   * @throws KernelError, or Node's error where the namespace cannot be opened or entered
   */
  constructor(name: string, path: string, inum: number) {
    this.#name = name;
    this.inum = inum;
    this.#namespaceFd = openSync(path, "r");
    const entrance = `/proc/self/fd/${this.#namespaceFd}`;
    try {
      // First the watch: what changes between the two is seen at least by it.
      this.#watch = new RouteWatch(entrance, WATCHED);
      this.#opened.push(this.#watch);
      this.#connection = new RouteConnection(entrance);
      this.#opened.push(this.#connection);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** True if links or addresses in there have changed since the last call. */
  changed(): boolean {
    return this.#watch.changed();
  }

  /**
   * Looks at the namespace.
   *
   * @param own a connection in the agent's namespace
   * @param ownLinks the interfaces there; the kernel has given every namespace that one of them leads to an id
   * @throws KernelError
   */
  inspect(own: RouteConnection, ownLinks: readonly Link[]): NamespaceInspection {
    const nsid = ensureNamespaceId(own, this.#namespaceFd);
    const inside = listLinks(this.#connection);
    const { guarded, unguarded } = matchInterfaces(inside, ownLinks, nsid);
    const addresses = listAddresses(this.#connection).map(({ address }) => address);
    return {
      nsid,
      interfaces: guarded,
      addresses: [...new Set(addresses.filter((address) => !isLoopback(address)))].sort(),
      problems:
        guarded.length === 0 ? [withoutVeth(this.#name, inside)] : unguarded.map((link) => beside(this.#name, link)),
    };
  }

  close(): void {
    for (const opened of this.#opened.splice(0)) opened[Symbol.dispose]();
    closeSync(this.#namespaceFd);
  }
}

function isLoopback(address: string): boolean {
  return ipaddr.parse(address).range() === "loopback";
}

function describe(link: Link): string {
  return `${link.name} (${link.kind ?? "hardware"})`;
}

function withoutVeth(name: string, inside: readonly Link[]): WorkloadError {
  const others = inside.filter((link) => !link.loopback).map(describe);
  return new WorkloadError(
    "PC_NETNS_WITHOUT_VETH",
    `network namespace ${name} has no veth whose other end is in the agent's network namespace, so none of its packets is ` +
      `judged; it has ${others.length === 0 ? "no interface but loopback" : others.join(", ")}. Connect it by a veth ` +
      "pair, or run the agent in the network namespace that has the other end",
  );
}

function beside(name: string, link: Link): WorkloadError {
  return new WorkloadError(
    "PC_INTERFACE_UNGUARDED",
    `interface ${describe(link)} of network namespace ${name} leads out of it without a veth in the agent's network ` +
      "namespace: what it carries is not guarded. Take it away, or put a veth pair in its place",
  );
}
