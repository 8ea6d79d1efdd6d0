/**
 * The cluster's network: a namespace for each node, joined by a bridge in a namespace of its own, with routes to each
 * other's pods.
 */
import { execFileSync } from "node:child_process";
import { NAME } from "../place.ts";

const BRIDGE = `${NAME}-net`;
/** Where the API server is, for clients in the cluster: the first Service address. */
export const KUBERNETES_SERVICE = "10.96.0.1";
export const API_PORT = 6443;

export interface NodePlace {
  /** Of the Kubernetes node: `node1`. */
  name: string;
  /** Network namespace. */
  netns: string;
  address: string;
  podSubnet: string;
  /** The same for IPv6: each pod has an address of either family, as on a cluster with two stacks. */
  address6: string;
  podSubnet6: string;
}

export function nodePlace(number: number): NodePlace {
  return {
    name: `node${number}`,
    netns: `${NAME}-node${number}`,
    address: `10.210.0.${number}`,
    podSubnet: `10.244.${number}.0/24`,
    address6: `fd00:210::${number}`,
    podSubnet6: `fd00:244:${number}::/64`,
  };
}

/** Makes the namespaces. The control plane is in the first node's. */
export function makeNetwork(nodes: readonly NodePlace[]): void {
  execFileSync("ip", ["netns", "add", BRIDGE]);
  batch(BRIDGE, ["link set lo up", "link add br0 type bridge", "link set br0 up"]);
  for (const node of nodes) {
    execFileSync("ip", ["netns", "add", node.netns]);
    batch(node.netns, [
      "link set lo up",
      `link add eth0 type veth peer name ${node.name} netns ${BRIDGE}`,
      `address add ${node.address}/24 dev eth0`,
      `address add ${node.address6}/64 dev eth0 nodad`,
      "link set eth0 up",
      "route add default via 10.210.0.254 dev eth0",
      ...nodes
        .filter((other) => other !== node)
        .flatMap((other) => [
          `route add ${other.podSubnet} via ${other.address} dev eth0`,
          `route add ${other.podSubnet6} via ${other.address6} dev eth0`,
        ]),
    ]);
    batch(BRIDGE, [`link set ${node.name} master br0 up`]);
    inNode(node, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1");
  }
}

/** An address of a Service, and where its connections go. */
export interface ServiceRoute {
  address: string;
  protocol: "tcp" | "udp";
  port: number;
  /** `address:port`; none: refused. */
  endpoints: readonly string[];
}

/** What kube-proxy would do: one table of destination NAT for each node, replaced at one stroke. */
export function routeServices(nodes: readonly NodePlace[], routes: readonly ServiceRoute[]): void {
  const rules = routes.filter(({ endpoints }) => endpoints.length > 0).map(serviceRule);
  const chain = (name: string, hook: string) =>
    [`chain ${name} {`, `type nat hook ${hook} priority -100;`, ...rules, "}"].join("\n");
  const table = ["table ip services {", chain("local", "output"), chain("pods", "prerouting"), "}"].join("\n");
  for (const node of nodes) {
    const input = `add table ip services\ndelete table ip services\n${table}\n`;
    execFileSync("nsenter", [`--net=/run/netns/${node.netns}`, "--", "nft", "-f", "-"], { input });
  }
}

function serviceRule({ address, protocol, port, endpoints }: ServiceRoute): string {
  const matched = `ip daddr ${address} ${protocol} dport ${port}`;
  if (endpoints.length === 1) return `${matched} dnat to ${endpoints[0]}`;
  const choices = endpoints.map((endpoint, index) => `${index} : ${endpoint.replace(":", " . ")}`).join(", ");
  return `${matched} dnat ip addr . port to numgen random mod ${endpoints.length} map { ${choices} }`;
}

/** Output of a command in a node's network namespace. */
export function inNode(node: NodePlace, ...command: string[]): string {
  return execFileSync("nsenter", [`--net=/run/netns/${node.netns}`, "--", ...command], { encoding: "utf8" });
}

function batch(netns: string, commands: readonly string[]): void {
  execFileSync("ip", ["-n", netns, "-batch", "-"], { input: `${commands.join("\n")}\n` });
}
