/**
 * A bridge that snoops multicast forwards to a port only the groups that were reported behind it (cilium/cilium#47645, #25460,
 * #30586). A host whose MLD reports are dropped cannot be found by its neighbours any more once its membership has run out:
 * neighbour solicitations go to a group. Without the product, the same happens to a pod whose reports nftables drops.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Fixture } from "../e2e/harness/fixture.ts";
import { patiently } from "../e2e/harness/patience.ts";
import { egress, ingress, profile } from "../e2e/harness/profiles.ts";
import { runIn } from "../e2e/harness/topology.ts";

const GROUP = "239.9.9.9";
/** Of a member that reports no more. Queries come each second. */
const MEMBERSHIP_MS = 2500;
const PORT = 8080;

const fixture = await Fixture.start("snooping", {
  apps: ["pod", "mute"],
  profiles: (fixture) => [
    profile("pod", [
      ingress(fixture.program("server"), {
        cidr6: ["fd00::/8"],
        l4: { protocolPorts: [{ protocol: "udp", port: PORT }] },
      }),
      egress(fixture.program("member"), { cidr4: ["224.0.0.0/4"], l4: { protocols: ["igmp"] } }),
    ]),
  ],
});
const { node } = fixture.topology;
/** The product has no profile for `mute`: what is dropped there, nftables drops. */
const pod = fixture.workload("pod");
const mute = fixture.workload("mute");
const MUTE_ADDRESS = "fd00:88:1::9";
const visitor = fixture.program("visitor");
const NO_REPORTS =
  "table ip6 silence { chain out { type filter hook output priority 0; icmpv6 type { 131, 143 } drop; }; }";

// One bridge for both, with the first one's gateway addresses.
const ip = (...args: string[]) => execFileSync("ip", ["-n", node.name, ...args]);
const times = { mcast_query_response_interval: 20, mcast_query_interval: 100, mcast_startup_query_interval: 100 };
const settings = Object.entries({ ...times, mcast_membership_interval: MEMBERSHIP_MS / 10 });
ip("link", "add", "br0", "type", "bridge", ...settings.flatMap(([name, value]) => [name, String(value)]));
// Afterwards: a querier waits for as long as an answer may take before it believes what it has heard.
ip("link", "set", "br0", "type", "bridge", "mcast_snooping", "1", "mcast_querier", "1");
for (const place of [pod, mute]) {
  ip("addr", "flush", "dev", place.hostInterface, "scope", "global");
  ip("link", "set", place.hostInterface, "master", "br0");
}
ip("addr", "add", "fd00:88:1::1/64", "dev", "br0", "nodad");
ip("addr", "add", "10.88.0.1/24", "dev", "br0");
ip("link", "set", "br0", "up");
runIn(mute.name, "ip", "addr", "add", `${MUTE_ADDRESS}/64`, "dev", "eth0", "nodad");
runIn(mute.name, "nft", NO_REPORTS);

const groups = () => runIn(node.name, "bridge", "mdb", "show", "dev", "br0");

test("a pod stays reachable over IPv6 after its membership would have run out, one without reports does not", async () => {
  const servers = [
    fixture.start(pod, fixture.path("bin", "server"), `udp6 bind :: ${PORT} echo`),
    fixture.start(mute, fixture.path("bin", "server"), `udp6 bind :: ${PORT} echo`),
  ];
  for (const server of servers) await server.line("ready");
  await sleep(2 * MEMBERSHIP_MS);
  const visit = async (address: string) => {
    ip("neigh", "flush", "all");
    return (await fixture.run(node, visitor, `timeout ${patiently(1000)} udp6 sendto ${address} ${PORT} x recv`)).code;
  };
  assert.notEqual(await visit(MUTE_ADDRESS), 0, "the bridge does not snoop");
  assert.equal(await visit(pod.ipv6), 0, groups());
  for (const server of servers) await server.kill();
});

const JOIN = `
import socket, sys, time
member = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(sys.argv[1]) + socket.inet_aton(sys.argv[2]))
print("joined", flush=True)
time.sleep(60)`;

test("a group stays joined where a process may speak IGMP", async () => {
  const member = fixture.start(pod, "/usr/bin/python3", ["-c", JOIN, GROUP, pod.ipv4]);
  await member.line("joined");
  await sleep(2 * MEMBERSHIP_MS);
  assert.match(groups(), new RegExp(`port ${pod.hostInterface} grp ${GROUP}`));
  await member.kill();
});
