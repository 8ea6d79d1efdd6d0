/**
 * Multipath TCP sockets. Go's listeners are such sockets by default since 1.24, and slip past tools that
 * know TCP alone (landlock-lsm/go-landlock#50; checkpoint-restore/criu#2655 cannot save them). The process has a socket of protocol 262; the TCP sockets below it, which send and receive, are the
 * kernel's, so nothing that user space does creates them.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { Fixture } from "../e2e/harness/fixture.ts";
import { entry, profile } from "../e2e/harness/profiles.ts";

const OPTIONS = existsSync("/proc/sys/net/mptcp/enabled") ? {} : { skip: "this kernel has no Multipath TCP" };
const SERVER = "198.51.100.1";
const OUTSIDE = ["198.51.100.0/24", "203.0.113.0/24"];
const TCP_PORTS = { protocolPorts: [{ protocol: "tcp" as const, port: 7000 }] };

const fixture = await Fixture.start("mptcp", {
  apps: ["app"],
  profiles: (fixture) => [
    profile("app", [
      entry(fixture.program("good"), {
        egress: { cidr4: OUTSIDE, cidr6: ["2001:db8::/32"], l4: TCP_PORTS },
        ingress: { cidr4: OUTSIDE, cidr6: ["2001:db8::/32"], l4: TCP_PORTS },
      }),
    ]),
  ],
});
const app = fixture.workload("app");
const good = fixture.path("bin", "good");
const evil = fixture.program("evil");
const { outside } = fixture.topology;
const visitor = fixture.program("visitor");

test("a listed client connects by Multipath TCP, over IPv4 and IPv6", OPTIONS, async () => {
  await fixture.passes(app, good, `mptcp4 connect ${SERVER} 7000 send TAG recv`);
  await fixture.passes(app, good, "mptcp6 connect 2001:db8:1::1 7000 send TAG recv");
});

test("an executable that is not listed does not", OPTIONS, async () => {
  await fixture.stops(app, evil, `mptcp4 connect ${SERVER} 7000 send TAG recv`, { reason: "BinaryUnknown" });
  await fixture.stops(app, good, `mptcp4 connect ${SERVER} 7001 send TAG recv`, { reason: "Port" });
});

for (const visitors of ["tcp4", "mptcp4"]) {
  test(
    `a listed server with a Multipath TCP listener answers a client that comes by ${visitors}`,
    OPTIONS,
    async () => {
      const server = fixture.start(app, good, "mptcp4 bind 0.0.0.0 7000 listen echo");
      await server.line("listening");
      assert.equal((await fixture.run(outside, visitor, `${visitors} connect ${app.ipv4} 7000 send x recv`)).code, 0);
      await server.kill();
    },
  );
}

test("a server that is not listed answers nobody", OPTIONS, async () => {
  const server = fixture.start(app, evil, "mptcp4 bind 0.0.0.0 7000 listen echo");
  await server.line("listening");
  assert.equal(
    (await fixture.run(outside, visitor, `timeout 300 mptcp4 connect ${app.ipv4} 7000 send x recv`)).code,
    3,
  );
  await server.kill();
});

test("a connection handed to an executable that is not listed ends there", OPTIONS, async () => {
  await fixture.stops(app, good, `mptcp4 connect ${SERVER} 7000 send first recv exec ${evil} send TAG recv`, {
    reason: "BinaryUnknown",
    path: evil,
  });
});

test("a child that inherits the connection and executes something else is who sends", OPTIONS, async () => {
  await fixture.stops(app, good, `mptcp4 connect ${SERVER} 7000 send first recv fork exec ${evil} send TAG recv`, {
    reason: "BinaryUnknown",
    path: evil,
  });
});
