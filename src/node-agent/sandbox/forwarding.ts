/**
 * IPv4 forwarding for private namespaces, only where it is needed: on the host's end of the link, which goes with it,
 * and on the interfaces by which answers come back. The host's general switch (ip_forward) is never touched: if it is
 * on when we are done, somebody else has begun to need forwarding, and it stays.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Link } from "../netlink/links.ts";
import type { Route } from "../netlink/routes.ts";
import { HOST_INTERFACE_PREFIX } from "./private-ruleset.ts";

/** Reads or writes one IPv4 setting of an interface (`all` for the general one) in this thread's namespace. */
function settingPath(name: string, setting: string): string {
  return `/proc/sys/net/ipv4/conf/${name}/${setting}`;
}

/** Sets `/proc/sys/net/ipv4/conf/NAME/SETTING`. @throws Node's error */
export function writeIpv4Setting(name: string, setting: string, value: number): void {
  writeFileSync(settingPath(name, setting), `${value}\n`);
}

/** Sets `/proc/sys/net/ipv6/conf/NAME/SETTING`. @throws Node's error */
export function writeIpv6Setting(name: string, setting: string, value: number): void {
  writeFileSync(`/proc/sys/net/ipv6/conf/${name}/${setting}`, `${value}\n`);
}

function forwards(name: string): boolean {
  return readFileSync(settingPath(name, "forwarding"), "utf8").trim() !== "0";
}

/** True where the host forwards IPv6 between all of its interfaces. */
export function forwardsIpv6(): boolean {
  const path = "/proc/sys/net/ipv6/conf/all/forwarding";
  return existsSync(path) && readFileSync(path, "utf8").trim() !== "0";
}

/** Interfaces, other than private namespaces' and loopback, that routes lead to. Pure. */
export function uplinks(links: readonly Link[], routes: readonly Route[]): string[] {
  const indexes = new Set(routes.filter(({ unicast }) => unicast).flatMap(({ linkIndexes }) => linkIndexes));
  return links
    .filter(({ index, loopback, name }) => indexes.has(index) && !loopback && !name.startsWith(HOST_INTERFACE_PREFIX))
    .map(({ name }) => name);
}

/** What was opened in which network namespace, so that whoever leaves last can close it. */
interface OpenedRecord {
  netnsInum: number;
  interfaces: string[];
}

/** Opening and closing are done under the lock of the private namespaces (see private-slots.ts). */
export class Forwarding {
  readonly #file: string;
  readonly #netnsInum: number;

  /** @param file where to note what was opened @param netnsInum of the host's network namespace */
  constructor(file: string, netnsInum: number) {
    this.#file = file;
    this.#netnsInum = netnsInum;
  }

  /** Turns forwarding on for the interfaces that do not forward; all that are open because of us, by name. */
  open(names: readonly string[]): string[] {
    const opened = this.#read();
    const closed = names.filter((name) => !forwards(name));
    const interfaces = [...new Set([...opened, ...closed])].sort();
    // Noted before it is done: whoever finds a note of something that was not done has nothing to undo.
    if (closed.length > 0) this.#write(interfaces);
    for (const name of closed) writeIpv4Setting(name, "forwarding", 1);
    return interfaces;
  }

  /** Turns off what `open` turned on, unless the whole host forwards by now. */
  close(): void {
    const general = forwards("all");
    for (const name of this.#read()) {
      if (!general && existsSync(settingPath(name, "forwarding"))) writeIpv4Setting(name, "forwarding", 0);
    }
    rmSync(this.#file, { force: true });
  }

  #read(): string[] {
    if (!existsSync(this.#file)) return [];
    const record = JSON.parse(readFileSync(this.#file, "utf8")) as OpenedRecord;
    return record.netnsInum === this.#netnsInum ? record.interfaces : [];
  }

  #write(interfaces: string[]): void {
    const record: OpenedRecord = { netnsInum: this.#netnsInum, interfaces };
    writeFileSync(this.#file, JSON.stringify(record), { mode: 0o600 });
  }
}
