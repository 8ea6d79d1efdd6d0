/**
 * Section 4: where nobody listens, the kernel's refusal is an answer to an attempt that ingress rules allow: a client that
 * meets a server while it restarts hears so at once.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fixture } from "./harness/fixture.ts";
import { patiently } from "./harness/patience.ts";
import { ingress, profile } from "./harness/profiles.ts";

const PORT = 8080;
const SERVER = "198.51.100.1";
const SERVER6 = "2001:db8:1::1";
/** Exit statuses of the test client. */
const TIMED_OUT = 3;
const REFUSED = 4;

const fixture = await Fixture.start("refusals", {
  apps: ["web"],
  profiles: (fixture) => [
    profile("web", [
      ingress(fixture.program("server"), {
        cidr4: ["203.0.113.0/24"],
        cidr6: ["2001:db8:2::/64"],
        l4: {
          protocolPorts: [
            { protocol: "tcp", port: PORT },
            { protocol: "udp", port: PORT },
          ],
        },
      }),
    ]),
  ],
});
const web = fixture.workload("web");
const { outside } = fixture.topology;
const visitor = fixture.program("visitor");
const stranger = fixture.program("stranger");

for (const [family, own, any, notAllowed, number] of [
  ["IPv4", web.ipv4, "0.0.0.0", SERVER, "4"],
  ["IPv6", web.ipv6, "::", SERVER6, "6"],
] as const) {
  const listenOn = (protocol: string, port: number) =>
    `${protocol}${number} bind ${any} ${port} ${protocol === "tcp" ? "listen " : ""}wait`;
  const call = (protocol: string, port: number, from = "") => {
    const bind = from === "" ? "" : `bind ${from} 0 `;
    const connect = `${protocol}${number} ${bind}connect ${own} ${port}`;
    return fixture.run(
      outside,
      visitor,
      `timeout ${patiently(400)} ${connect}${protocol === "udp" ? " send x recv" : ""}`,
    );
  };
  const listenedOnce = async (program: string, protocol: string, port: number) => {
    const listener = fixture.start(web, program, listenOn(protocol, port));
    await listener.line("waiting");
    await listener.kill();
  };

  for (const protocol of ["tcp", "udp"] as const) {
    test(`§4 ${family}, ${protocol}: a client hears that a server is not there`, async () => {
      await listenedOnce(fixture.path("bin", "server"), protocol, PORT);
      assert.equal((await call(protocol, PORT)).code, REFUSED);
      assert.equal((await call(protocol, PORT)).code, REFUSED, "again");
    });

    test(`§4 ${family}, ${protocol}: nobody else hears anything, of this port or another`, async () => {
      await listenedOnce(fixture.path("bin", "server"), protocol, PORT);
      assert.equal((await call(protocol, PORT, notAllowed)).code, TIMED_OUT, "a peer that no rule allows");
      await listenedOnce(fixture.path("bin", "server"), protocol, PORT + 1);
      assert.equal((await call(protocol, PORT + 1)).code, TIMED_OUT, "a port that no rule allows");
      await listenedOnce(stranger, protocol, PORT + 2);
      assert.equal((await call(protocol, PORT + 2)).code, TIMED_OUT, "a program that no rule allows");
    });

    test(`§4 ${family}, ${protocol}: who listens there now is judged, not who did`, async () => {
      await listenedOnce(fixture.path("bin", "server"), protocol, PORT);
      const listener = fixture.start(web, stranger, listenOn(protocol, PORT));
      await listener.line("waiting");
      const mark = fixture.agent.events.mark();
      assert.equal((await call(protocol, PORT)).code, TIMED_OUT);
      await fixture.violation({ reason: "BinaryUnknown", direction: "ingress", path: stranger }, mark);
      await listener.kill();
    });
  }
}
