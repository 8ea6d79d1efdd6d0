/**
 * Section 4, layer 2: a packet that names further stops goes on from the address in its header to others, so that the header
 * does not say where it ends up. `asker` may talk to its gateway, and sends by way of it to hosts that nothing lists.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type IpEnds, ipv4, ipv6, segmentRouting, sourceRoute } from "../packets/ip.ts";
import { udp } from "../packets/transport.ts";
import { Fixture } from "./harness/fixture.ts";
import { egress, profile } from "./harness/profiles.ts";
import { leaves } from "./harness/sniffing.ts";
import { runIn, type WorkloadPlace } from "./harness/topology.ts";

const SERVER = "198.51.100.1";
const SERVER6 = "2001:db8:1::1";
const PORT = 7000;

const fixture = await Fixture.start("routes", {
  apps: ["shop", "free"],
  profiles: (fixture) => {
    const { gateway4, gateway6 } = fixture.workload("shop");
    const gateways = { cidr4: [`${gateway4}/32`], cidr6: [`${gateway6}/128`] };
    return [profile("shop", [egress(fixture.program("asker"), { ...gateways, l4: { protocols: ["udp"] } })])];
  },
});
const shop = fixture.workload("shop");
/** No profile selects it: what is sent from there shows that the attack itself works. */
const free = fixture.workload("free");
const asker = fixture.path("bin", "asker");
const { node } = fixture.topology;

// Kernels take part in either only if they are told to, and many nodes are.
for (const name of ["all", shop.hostInterface, free.hostInterface]) {
  runIn(node.name, "sysctl", "-qw", `net.ipv4.conf.${name}.accept_source_route=1`);
  runIn(node.name, "sysctl", "-qw", `net.ipv6.conf.${name}.seg6_enabled=1`);
}

const DETOURS: Record<string, (from: WorkloadPlace, text: string) => number[]> = {
  "IPv4, a loose source route": (from, text) => detour4(from, text, 131),
  "IPv4, a strict source route, behind another option": (from, text) => detour4(from, text, 137),
  "IPv6, a segment routing header": ({ ipv6: own, gateway6 }, text) => {
    const ends: IpEnds = { from: own, to: gateway6 };
    return ipv6({ ...ends, extensions: [segmentRouting([gateway6, SERVER6])] }, udp({ from: PORT, to: PORT }, text));
  },
};

function detour4({ ipv4: own, gateway4 }: WorkloadPlace, text: string, kind: number): number[] {
  // A strict route needs a host on the node's own link.
  const last = kind === 137 ? fixture.topology.outside.ipv4 : SERVER;
  const options = [...(kind === 137 ? [1] : []), ...sourceRoute(kind, [last])];
  const padded = [...options, ...Array(-options.length & 3).fill(0)];
  return ipv4({ from: own, to: gateway4, options: padded }, udp({ from: PORT, to: PORT }, text));
}

for (const [what, detour] of Object.entries(DETOURS)) {
  test(`§4 ${what}: a peer that is listed is no way to one that is not`, async () => {
    const send = (from: WorkloadPlace) => (text: string) =>
      fixture.run(from, asker, `packet ${Buffer.from(detour(from, text)).toString("hex")}`);
    assert.ok(await leaves(fixture, asker, send(free)), "without the product it arrives");
    const mark = fixture.agent.events.mark();
    assert.equal(await leaves(fixture, asker, send(shop)), false);
    await fixture.violation({ reason: "Malformed", direction: "egress", path: null }, mark);
  });
}
