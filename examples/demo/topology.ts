/**
 * The demo's network: a node with a bridge, three pods on it, a resolver, and a web server that no profile knows. All of it is
 * in network namespaces of the demo's own; the machine's own network is not touched.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { must, run } from "./command.ts";

export const PREFIX = "pc-demo-";
export const NODE = `${PREFIX}node`;

export const PODS = ["ping", "pong", "attacker"] as const;
export type Pod = (typeof PODS)[number];

export const ADDRESS: Record<Pod, string> = { ping: "10.244.1.10", pong: "10.244.1.20", attacker: "10.244.1.66" };
const GATEWAY = "10.244.1.1";
/** As in examples/ping.yaml. */
export const RESOLVER = "10.96.0.10";
/** Somewhere in the world, RFC 5737. */
export const OUTSIDE = "203.0.113.7";

export const PONG_NAME = "pong.default.svc.cluster.local";
export const OUTSIDE_NAME = "payload.example.com";

/** Where `ip netns` keeps the names of namespaces. */
const NETNS_FOLDER = "/run/netns";

/** A chain for rules that rewrite source addresses; empty at first. */
const DISGUISE = `
table ip disguise {
  chain out { type nat hook postrouting priority srcnat; }
}`;

/** The network namespace of a pod, as `ip netns` and `--netns` name it. */
export function netnsOf(pod: Pod): string {
  return `${PREFIX}${pod}`;
}

/** `nsenter` into a network namespace. `ip netns exec` would mount another /sys, without the one bpffs. */
export function enter(namespace: string): string[] {
  return ["nsenter", `--net=${NETNS_FOLDER}/${namespace}`];
}

/** Makes the namespaces, the bridge and the veths. @throws DemoSetupError */
export async function buildNetwork(): Promise<void> {
  for (const namespace of [NODE, ...PODS.map(netnsOf)]) await must(["ip", "netns", "add", namespace]);
  // One address family is enough to look at; without this, IPv6 starts to look for routers and neighbours.
  for (const namespace of [NODE, ...PODS.map(netnsOf)]) await sysctl(namespace, "ipv6.conf.all.disable_ipv6", "1");
  await batch(NODE, [
    "link set lo up",
    `address add ${RESOLVER}/32 dev lo`,
    `address add ${OUTSIDE}/32 dev lo`,
    "link add br0 type bridge",
    `address add ${GATEWAY}/24 dev br0`,
    "link set br0 up",
    ...PODS.flatMap((pod) => [
      `link add veth-${pod} type veth peer name eth0 netns ${netnsOf(pod)}`,
      `link set veth-${pod} master br0 up`,
    ]),
  ]);
  for (const pod of PODS) {
    await batch(netnsOf(pod), [
      "link set lo up",
      "link set eth0 up",
      `address add ${ADDRESS[pod]}/24 dev eth0`,
      `route add default via ${GATEWAY}`,
    ]);
  }
  // What a privileged container can do: use addresses that are not its own, and rewrite those of what it sends.
  await sysctl(netnsOf("attacker"), "ipv4.ip_nonlocal_bind", "1");
  await must([...enter(netnsOf("attacker")), "nft", "-f", "-"], { input: DISGUISE });
}

/** Commands of `ip` in a namespace, all in one process. */
async function batch(namespace: string, lines: readonly string[]): Promise<void> {
  await must(["ip", "-netns", namespace, "-batch", "-"], { input: `${lines.join("\n")}\n` });
}

/** Sets net.NAME in a namespace; /proc/sys/net is that of the reader. */
async function sysctl(namespace: string, name: string, value: string): Promise<void> {
  await must([...enter(namespace), "sh", "-c", `echo ${value} > /proc/sys/net/${name.replaceAll(".", "/")}`]);
}

/** What was left of the demo, now or by one that was killed: names of network namespaces. */
export function remainingNamespaces(): string[] {
  try {
    return readdirSync(NETNS_FOLDER).filter((name) => name.startsWith(PREFIX));
  } catch (error) {
    // Nobody has ever named a namespace here.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** Ends what runs in the demo's namespaces and removes them; the veths go with them. */
export async function removeNetwork(): Promise<void> {
  for (const namespace of remainingNamespaces()) {
    const { stdout } = await run(["ip", "netns", "pids", namespace]);
    for (const pid of stdout.split("\n").filter((line) => line !== "")) endProcess(Number(pid));
    await must(["ip", "netns", "delete", namespace]);
  }
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    // It ended by itself.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** A process of the stage, which ends with the demo, however that ends. */
export function spawnStage(command: readonly string[]): ChildProcess {
  return spawn("setpriv", ["--pdeathsig", "KILL", ...command], { stdio: ["ignore", "pipe", "pipe"], detached: true });
}
