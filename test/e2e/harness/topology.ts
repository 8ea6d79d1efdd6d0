/**
 * A node with workloads, and the world outside, each in a network namespace of its own:
 *
 *     workload eth0 10.88.N.2 -- wN 10.88.N.1 [node] up0 203.0.113.1 -- eth0 203.0.113.2 [outside] 198.51.100.0/24
 */
import { execFileSync } from "node:child_process";
import { DNS_ADDRESSES, OUTSIDE_ADDRESSES } from "../../tools/servers/protocol.ts";

/** One network namespace of the fixture. */
export interface Place {
  /** As in `ip netns`. */
  name: string;
  ipv4: string;
  ipv6: string;
}

export interface WorkloadPlace extends Place {
  /** What its label `app` says, and tests call it. */
  app: string;
  /** Interface in the node's namespace. */
  hostInterface: string;
  gateway4: string;
  gateway6: string;
}

export interface Topology {
  node: Place;
  outside: Place;
  workloads: WorkloadPlace[];
}

const UPLINK_ROUTE4 = "198.51.100.0/24";
const UPLINK_ROUTE6 = "2001:db8:1::/64";

/** Makes the namespaces of a fixture, whose name they begin with. */
export function makeTopology(fixture: string, apps: readonly string[]): Topology {
  const node: Place = { name: `${fixture}-node`, ipv4: "203.0.113.1", ipv6: "2001:db8:2::1" };
  const outside: Place = { name: `${fixture}-outside`, ipv4: "203.0.113.2", ipv6: "2001:db8:2::2" };
  const topology: Topology = { node, outside, workloads: [] };
  for (const { name } of [node, outside]) addNamespace(name);
  batch(node.name, [
    `link add up0 type veth peer name eth0 netns ${outside.name}`,
    ...interfaceUp("up0", `${node.ipv4}/24`, `${node.ipv6}/64`),
    `route add ${UPLINK_ROUTE4} via ${outside.ipv4}`,
    `route add ${UPLINK_ROUTE6} via ${outside.ipv6}`,
  ]);
  batch(outside.name, [
    ...interfaceUp("eth0", `${outside.ipv4}/24`, `${outside.ipv6}/64`),
    ...[...OUTSIDE_ADDRESSES, ...DNS_ADDRESSES].map((address) => `address add ${address} dev lo`),
    `route add default via ${node.ipv4}`,
    `route add ::/0 via ${node.ipv6}`,
  ]);
  for (const app of apps) addWorkload(topology, fixture, app);
  return topology;
}

/** One more workload, with its veth to the node. */
export function addWorkload(topology: Topology, fixture: string, app: string): WorkloadPlace {
  const number = topology.workloads.length;
  const workload: WorkloadPlace = {
    app,
    name: `${fixture}-${app}`,
    ipv4: `10.88.${number}.2`,
    ipv6: `fd00:88:${number + 1}::2`,
    hostInterface: `w${number}`,
    gateway4: `10.88.${number}.1`,
    gateway6: `fd00:88:${number + 1}::1`,
  };
  addNamespace(workload.name);
  connectWorkload(topology, workload);
  topology.workloads.push(workload);
  return workload;
}

/** The veth between a workload and the node; also after the old one was removed. */
export function connectWorkload({ node }: Topology, workload: WorkloadPlace): void {
  const { name, hostInterface, ipv4, ipv6, gateway4, gateway6 } = workload;
  batch(node.name, [
    `link add ${hostInterface} type veth peer name eth0 netns ${name}`,
    ...interfaceUp(hostInterface, `${gateway4}/24`, `${gateway6}/64`),
  ]);
  batch(name, [
    ...interfaceUp("eth0", `${ipv4}/24`, `${ipv6}/64`),
    `route add default via ${gateway4}`,
    `route add ::/0 via ${gateway6}`,
  ]);
}

/** Output of a command that ends by itself, in a namespace. */
export function runIn(namespace: string, program: string, ...args: string[]): string {
  return execFileSync("nsenter", [`--net=/run/netns/${namespace}`, "--", program, ...args], { encoding: "utf8" });
}

/** Hardware address of an interface. */
export function macOf(place: Place, name: string): string {
  const output = execFileSync("ip", ["-n", place.name, "-j", "link", "show", name], { encoding: "utf8" });
  const [link] = JSON.parse(output) as { address: string }[];
  if (link === undefined) throw new Error(`${place.name} has no interface ${name}`);
  return link.address;
}

function addNamespace(name: string): void {
  execFileSync("ip", ["netns", "add", name]);
  const settings = {
    "net/ipv4/ip_forward": "1",
    "net/ipv6/conf/all/forwarding": "1",
    "net/ipv6/conf/default/accept_dad": "0",
    "net/ipv4/ping_group_range": "0 2147483647",
  };
  const script = Object.entries(settings).map(([key, value]) => `echo ${value} > /proc/sys/${key}`);
  runIn(name, "sh", "-ec", script.join("; "));
  batch(name, ["link set lo up"]);
}

function interfaceUp(name: string, ipv4: string, ipv6: string): string[] {
  return [`address add ${ipv4} dev ${name}`, `address add ${ipv6} dev ${name} nodad`, `link set ${name} up`];
}

function batch(namespace: string, commands: string[]): void {
  execFileSync("ip", ["-n", namespace, "-batch", "-"], { input: `${commands.join("\n")}\n`, encoding: "utf8" });
}
