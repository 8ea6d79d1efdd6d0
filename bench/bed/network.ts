/**
 * Network namespaces for the benchmarks. A site is a node with a peer behind it and workloads in front of it:
 *
 *   workload (10.1.N.2) --veth-- (10.1.N.1) node (10.128.0.1) --veth-- peer (10.128.0.2, and all of 10.128.0.0/9)
 *
 * Everything is called pc-bench-*, so that what a killed run has left is found, and removed, by the next one.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { causeText } from "../../src/api/errors.ts";
import { BenchError } from "../errors.ts";

const PREFIX = "pc-bench-";
const FOLDER = "/run/netns";

export const PEER_ADDRESS = "10.128.0.2";
/** All of it is the peer's: destinations for first packets. */
export const PEER_NETWORK = "10.128.0.0/9";

/** A workload of a site. */
export interface BenchWorkload {
  /** Name of its network namespace. */
  namespace: string;
  /** Interface on the node's side. */
  hostInterface: string;
  /** The node's address on it. */
  gateway: string;
}

export class Site {
  readonly node: string;
  readonly peer: string;
  readonly #name: string;
  #workloads = 0;

  constructor(name: string) {
    this.#name = name;
    this.node = `${PREFIX}${name}`;
    this.peer = `${PREFIX}${name}-peer`;
    for (const namespace of [this.node, this.peer]) addNamespace(namespace);
    command("ip", "-n", this.node, "link", "add", "peer", "type", "veth", "peer", "name", "eth0", "netns", this.peer);
    batch(this.node, [
      "address add 10.128.0.1/24 dev peer",
      "link set peer up",
      `route add ${PEER_NETWORK} via ${PEER_ADDRESS}`,
    ]);
    batch(this.peer, [
      `address add ${PEER_ADDRESS}/24 dev eth0`,
      "link set eth0 up",
      `route add local ${PEER_NETWORK} dev lo`,
      "route add default via 10.128.0.1",
    ]);
    inNamespace(this.node, "sysctl", "-qw", "net.ipv4.ip_forward=1");
  }

  /** @param name unique in the site; at most 8 characters */
  addWorkload(name: string): BenchWorkload {
    this.#workloads += 1;
    const namespace = `${PREFIX}${this.#name}-${name}`;
    const gateway = `10.1.${this.#workloads}.1`;
    const hostInterface = `w-${name}`;
    addNamespace(namespace);
    command(
      "ip",
      "-n",
      this.node,
      "link",
      "add",
      hostInterface,
      "type",
      "veth",
      "peer",
      "name",
      "eth0",
      "netns",
      namespace,
    );
    batch(this.node, [`address add ${gateway}/24 dev ${hostInterface}`, `link set ${hostInterface} up`]);
    batch(namespace, [
      `address add 10.1.${this.#workloads}.2/24 dev eth0`,
      "link set eth0 up",
      `route add default via ${gateway}`,
    ]);
    return { namespace, hostInterface, gateway };
  }
}

export function namespaceFile(name: string): string {
  return `${FOLDER}/${name}`;
}

/** Arguments for spawning a command in a network namespace, so that it ends when this process does. */
export function enterCommand(namespace: string): string[] {
  return ["nsenter", `--net=${namespaceFile(namespace)}`, "setpriv", "--pdeathsig=KILL"];
}

/** Runs a command to its end. @throws BenchError with what it said */
export function inNamespace(namespace: string, name: string, ...args: string[]): string {
  return command("nsenter", `--net=${namespaceFile(namespace)}`, name, ...args);
}

/** Feeds a command with text, in a namespace. */
export function feedInNamespace(namespace: string, input: string, name: string, ...args: string[]): void {
  run("nsenter", [`--net=${namespaceFile(namespace)}`, name, ...args], input);
}

/** Removes every namespace of this and earlier runs. */
export function removeNamespaces(): void {
  if (!existsSync(FOLDER)) return;
  for (const name of readdirSync(FOLDER)) if (name.startsWith(PREFIX)) command("ip", "netns", "delete", name);
}

/** IPv6 is off: its neighbour discovery would be noise. Reverse-path filters would drop what the peer's many addresses send. */
function addNamespace(name: string): void {
  command("ip", "netns", "add", name);
  const settings = [
    "ipv6.conf.all.disable_ipv6=1",
    "ipv6.conf.default.disable_ipv6=1",
    "ipv4.conf.all.rp_filter=0",
    "ipv4.conf.default.rp_filter=0",
  ];
  inNamespace(name, "sysctl", "-qw", ...settings.map((setting) => `net.${setting}`));
  batch(name, ["link set lo up"]);
}

function batch(namespace: string, lines: string[]): void {
  run("ip", ["-n", namespace, "-batch", "-"], `${lines.join("\n")}\n`);
}

function command(name: string, ...args: string[]): string {
  return run(name, args, "");
}

function run(name: string, args: string[], input: string): string {
  try {
    return execFileSync(name, args, { input, encoding: "utf8", stdio: ["pipe", "pipe", "pipe"] });
  } catch (cause) {
    throw new BenchError(`${name} ${args.join(" ")} failed: ${causeText(cause)}`, { cause });
  }
}
