/**
 * Section 3: what leaves by a tunnel of a workload's own (CAP_NET_ADMIN) is the process's that sent it. The packet that
 * arrives is the tunnel's: from the workload, to the tunnel's far end. `owner` may talk to that over any protocol; `stranger` is listed
 * nowhere.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { after, test } from "node:test";
import { Fixture } from "./harness/fixture.ts";
import { egress, profile, toServer } from "./harness/profiles.ts";
import { leaves } from "./harness/sniffing.ts";
import type { WorkloadPlace } from "./harness/topology.ts";

const SERVER = "198.51.100.1";
const SERVER6 = "2001:db8:1::1";
/** What is at the far end of the tunnel, and in it nowhere: its route leads into the tunnel (RFC 5737, RFC 3849). */
const BEHIND = "192.0.2.77";
const BEHIND6 = "2001:db8:77::77";
const TUNNEL = "tunnel9";

const fixture = await Fixture.start("tunnels", {
  apps: ["shop", "free"],
  profiles: (fixture) => [profile("shop", [egress(fixture.program("owner"), toServer({ protocols: ["any"] }))])],
});
const shop = fixture.workload("shop");
/** No profile selects it: what leaves from there shows that the attack itself works. */
const free = fixture.workload("free");
const owner = fixture.path("bin", "owner");
const stranger = fixture.program("stranger");

const L2TP = (own: string, far: string, how: string) => [
  `l2tp add tunnel tunnel_id 9 peer_tunnel_id 9 local ${own} remote ${far} ${how}`,
  `l2tp add session name ${TUNNEL} tunnel_id 9 session_id 9 peer_session_id 9`,
];
const PORTS = "encap udp udp_sport 1701 udp_dport 1701";

/** How each is made (ip(8)), between two addresses of its own family. */
const TUNNELS: Record<string, { family: 4 | 6; make: (own: string, far: string) => string[] }> = {
  "IP in IP": { family: 4, make: (own, far) => [`link add ${TUNNEL} type ipip local ${own} remote ${far}`] },
  "IPv6 in IP": { family: 4, make: (own, far) => [`link add ${TUNNEL} type sit local ${own} remote ${far}`] },
  GRE: { family: 4, make: (own, far) => [`link add ${TUNNEL} type gre local ${own} remote ${far}`] },
  "Ethernet in GRE": { family: 4, make: (own, far) => [`link add ${TUNNEL} type gretap local ${own} remote ${far}`] },
  VXLAN: {
    family: 4,
    make: (own, far) => [`link add ${TUNNEL} type vxlan id 9 local ${own} remote ${far} dstport 4789`],
  },
  Geneve: { family: 4, make: (_, far) => [`link add ${TUNNEL} type geneve id 9 remote ${far}`] },
  "L2TP in UDP": { family: 4, make: (own, far) => L2TP(own, far, PORTS) },
  "L2TP in IP": { family: 4, make: (own, far) => L2TP(own, far, "encap ip") },
  "IP in IPv6": {
    family: 6,
    make: (own, far) => [`link add ${TUNNEL} type ip6tnl mode any local ${own} remote ${far}`],
  },
  "GRE over IPv6": { family: 6, make: (own, far) => [`link add ${TUNNEL} type ip6gre local ${own} remote ${far}`] },
  "VXLAN over IPv6": {
    family: 6,
    make: (own, far) => [`link add ${TUNNEL} type vxlan id 9 local ${own} remote ${far} dstport 4789 udp6zerocsumtx`],
  },
  "L2TP in UDP over IPv6": { family: 6, make: (own, far) => L2TP(own, far, PORTS) },
};

const ip = (place: WorkloadPlace, command: string) =>
  spawnSync("ip", ["-n", place.name, ...command.split(" ")], { encoding: "utf8" });

function remove(place: WorkloadPlace): void {
  ip(place, `link delete ${TUNNEL}`);
  ip(place, "l2tp delete tunnel tunnel_id 9");
}

after(() => [shop, free].forEach(remove));

/** @returns what is missing, if the kernel has no such tunnel */
function make(place: WorkloadPlace, commands: string[]): string | undefined {
  remove(place);
  for (const command of commands) {
    const { status, stderr } = ip(place, command);
    if (status !== 0) return stderr.trim();
  }
  for (const command of [
    `link set ${TUNNEL} up mtu 1280`,
    `-4 route replace ${BEHIND}/32 dev ${TUNNEL} src ${place.ipv4}`,
    `-6 route replace ${BEHIND6}/128 dev ${TUNNEL} src ${place.ipv6}`,
    // Tunnels of Ethernet frames look for a neighbour; those of packets have none, and say so.
    `-4 neighbor replace ${BEHIND} lladdr 02:00:00:00:00:09 dev ${TUNNEL} nud permanent`,
    `-6 neighbor replace ${BEHIND6} lladdr 02:00:00:00:00:09 dev ${TUNNEL} nud permanent`,
  ]) {
    ip(place, command);
  }
  return undefined;
}

for (const [what, { family, make: commands }] of Object.entries(TUNNELS)) {
  test(`§3 what leaves by a tunnel is its sender's: ${what}`, async (context) => {
    for (const place of [shop, free]) {
      const [own, far] = family === 4 ? [place.ipv4, SERVER] : [place.ipv6, SERVER6];
      const missing = make(place, commands(own, far));
      if (missing !== undefined) return context.skip(`this kernel has no such tunnel: ${missing}`);
    }
    const by = (place: WorkloadPlace, program: string) => (text: string) =>
      fixture.run(
        place,
        program,
        what === "IPv6 in IP" ? `udp6 sendto ${BEHIND6} 7000 ${text}` : `udp4 sendto ${BEHIND} 7000 ${text}`,
      );
    assert.ok(await leaves(fixture, stranger, by(free, stranger)), "it leaves without a profile");
    assert.ok(await leaves(fixture, stranger, by(shop, owner)), "a listed process's leaves");
    const mark = fixture.agent.events.mark();
    assert.equal(await leaves(fixture, stranger, by(shop, stranger)), false);
    await fixture.violation({ reason: "BinaryUnknown", path: stranger }, mark, shop);
  });
}
