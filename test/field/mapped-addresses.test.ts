/**
 * IPv4 over IPv6 sockets, as Java and Go make them by default: the socket's family is IPv6, its peer ::ffff:a.b.c.d, its packets are IPv4
 * (evilsocket/opensnitch#206: such connections were not noticed).
 */
import { test } from "node:test";
import { Fixture } from "../e2e/harness/fixture.ts";
import { entry, profile } from "../e2e/harness/profiles.ts";

const OUTSIDE = { cidr4: ["198.51.100.0/24"] };
const PORTS = { protocolPorts: (["tcp", "udp"] as const).map((protocol) => ({ protocol, port: 7000 })) };

const fixture = await Fixture.start("mapped", {
  apps: ["app"],
  profiles: (fixture) => [profile("app", [entry(fixture.program("good"), { egress: { ...OUTSIDE, l4: PORTS } })])],
});
const app = fixture.workload("app");
const good = fixture.path("bin", "good");
const evil = fixture.program("evil");

for (const kind of ["tcp6", "udp6"]) {
  test(`${kind}: a listed program reaches a listed IPv4 peer`, async () => {
    await fixture.passes(app, good, `${kind} connect ::ffff:198.51.100.1 7000 send TAG recv`);
  });
  test(`${kind}: other ports and other programs are refused`, async () => {
    await fixture.stops(app, good, `${kind} connect ::ffff:198.51.100.1 7001 send TAG recv`, { reason: "Port" });
    await fixture.stops(app, evil, `${kind} connect ::ffff:198.51.100.1 7000 send TAG recv`, {
      reason: "BinaryUnknown",
    });
  });
}

test("udp6: a datagram without a connection", async () => {
  await fixture.passes(app, good, "udp6 sendto ::ffff:198.51.100.1 7000 TAG recv");
});
