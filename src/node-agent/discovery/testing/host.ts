/**
 * For tests: a fake host. Its network namespace is joined by a veth pair to another one, the outside, where
 * servers can be started; it has a resolv.conf of its own; and it is on no network that matters.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { inNetworkNamespace } from "../../ffi/namespaces.ts";
import { addAddress } from "../../netlink/addresses.ts";
import { RouteConnection } from "../../netlink/connection.ts";
import { createVethPair, findLink, setLinkUp } from "../../netlink/links.ts";
import { addDefaultRoute } from "../../netlink/routes.ts";
import { addBoundNamespace, removeBoundNamespace } from "../namespaces/bound-namespaces.ts";

export const HOST_ADDRESS = "10.77.0.1";
export const OUTSIDE_ADDRESS = "10.77.0.2";
const MTU = 1400;
const DRIVER = join(import.meta.dirname, "driver.ts");

/** What the driver tells when its command has been started. */
export interface Started {
  id: number;
  pid: number;
  workload: { netnsInum: number; nsid: number; addresses: string[]; interfaces: { hostIfname: string; mac: string }[] };
  resolvers: string[];
  collected: number[];
  warnings: string[];
  error?: string;
}

/** A command that runs in a private namespace of the fake host. */
export interface Running {
  child: ChildProcess;
  started: Promise<Started>;
  /** Output, diagnostics and exit code at its end. */
  ended: Promise<{ stdout: string; stderr: string; code: number | null }>;
}

export class TestHost implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), "pc-wl-"));
  readonly slots = join(this.folder, "private");
  readonly #names: { host: string; outside: string };
  readonly #host: number;
  readonly #outside: number;
  readonly #children: ChildProcess[] = [];

  constructor(name: string, nameserver = OUTSIDE_ADDRESS) {
    this.#names = { host: `${name}-host`, outside: `${name}-out` };
    for (const namespace of Object.values(this.#names)) removeBoundNamespace(namespace);
    this.#host = openSync(addBoundNamespace(this.#names.host), "r");
    this.#outside = openSync(addBoundNamespace(this.#names.outside), "r");
    writeFileSync(join(this.folder, "resolv.conf"), `nameserver ${nameserver}\nsearch corp.example\n`);
    this.#connect();
  }

  #connect(): void {
    using host = new RouteConnection(`/run/netns/${this.#names.host}`);
    using outside = new RouteConnection(`/run/netns/${this.#names.outside}`);
    createVethPair(host, { name: "up0", peerName: "eth0", peerNamespaceFd: this.#outside, mtu: MTU });
    configure(host, "up0", HOST_ADDRESS);
    configure(outside, "eth0", OUTSIDE_ADDRESS);
    addDefaultRoute(host, OUTSIDE_ADDRESS, findLink(host, "up0")?.index ?? 0);
  }

  /** Runs a function in the fake host's network namespace. */
  inside<T>(work: () => T): T {
    return inNetworkNamespace(this.#host, work);
  }

  /** Output of a command that ends by itself, in the host's network namespace. */
  command(name: string, ...args: string[]): string {
    return output(this.#host, name, args);
  }

  /** Output of a command that ends by itself, outside of the host. */
  outside(name: string, ...args: string[]): string {
    return output(this.#outside, name, args);
  }

  /** Starts a Node script that prints a line when it is ready. */
  async serve(where: "host" | "outside", script: string): Promise<void> {
    const namespace = where === "host" ? this.#host : this.#outside;
    const child = inNetworkNamespace(namespace, () =>
      spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] }),
    );
    this.#children.push(child);
    await once(child.stdout, "data");
  }

  /** Starts a command in a private namespace. */
  run(...command: string[]): Running {
    const resolvConf = `mount --bind ${this.folder}/resolv.conf "$(readlink -f /etc/resolv.conf)"`;
    // Names of private namespaces must not meet those of real ones.
    const script = `${resolvConf} && mount -t tmpfs none /run/netns && exec "$@"`;
    const driver = ["sh", "-c", script, "sh", process.execPath, DRIVER, this.slots, ...command];
    const child = this.inside(() =>
      spawn("unshare", ["--mount", "--propagation", "slave", ...driver], { stdio: ["ignore", "pipe", "pipe", "pipe"] }),
    );
    this.#children.push(child);
    const ended = Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
    return {
      child,
      started: firstLine(child.stdio[3] as Readable).then((line) => JSON.parse(line) as Started),
      ended: ended.then(([stdout, stderr, [code]]) => ({ stdout, stderr, code: code as number | null })),
    };
  }

  /** What private namespaces have left on the host: files, interfaces, tables, settings. */
  traces(): { files: string[]; interfaces: string[]; tables: string; forwarding: string } {
    return {
      files: existsSync(this.slots) ? readdirSync(this.slots).sort() : [],
      interfaces: this.inside(() => {
        using own = new RouteConnection();
        return ["pcr0", "pcr1", "pcr2"].filter((name) => findLink(own, name) !== null);
      }),
      tables: this.command("nft", "list", "tables"),
      forwarding: this.command("cat", "/proc/sys/net/ipv4/conf/up0/forwarding").trim(),
    };
  }

  [Symbol.dispose](): void {
    for (const child of this.#children) child.kill("SIGKILL");
    closeSync(this.#host);
    closeSync(this.#outside);
    for (const namespace of Object.values(this.#names)) removeBoundNamespace(namespace);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function output(namespace: number, name: string, args: string[]): string {
  const { stdout, stderr, status } = inNetworkNamespace(namespace, () => spawnSync(name, args, { encoding: "utf8" }));
  if (status !== 0) throw new Error(`${name} ${args.join(" ")}: ${stderr}`);
  return stdout;
}

function configure(connection: RouteConnection, name: string, address: string): void {
  const lo = findLink(connection, "lo");
  const link = findLink(connection, name);
  if (link === null || lo === null) throw new Error(`no interface ${name}`);
  setLinkUp(connection, lo.index);
  addAddress(connection, { linkIndex: link.index, address, prefixLength: 24 });
  setLinkUp(connection, link.index);
}

async function text(stream: Readable | null): Promise<string> {
  let result = "";
  for await (const chunk of stream ?? []) result += String(chunk);
  return result;
}

async function firstLine(stream: Readable): Promise<string> {
  for await (const line of createInterface({ input: stream })) return line;
  throw new Error("the driver ended before its command was started");
}
