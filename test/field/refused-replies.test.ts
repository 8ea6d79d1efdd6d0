/**
 * A server without an ingress rule under `alert`: what is wrong is that clients reach it, once for its port. Its replies belong to
 * that; reported as egress, they would be one violation for each client's port. Version 0.1.0 of this tool reported them so.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { VerdictEvent } from "../../src/flow/record.ts";
import { isVerdict } from "../e2e/harness/event-stream.ts";
import { Fixture } from "../e2e/harness/fixture.ts";
import { entry, profile } from "../e2e/harness/profiles.ts";

const CLIENTS = 5;

const fixture = await Fixture.start("replies", {
  apps: ["web"],
  profiles: (fixture) => [profile("web", [entry(fixture.program("server"), {})], { actions: ["alert"] })],
});
const web = fixture.workload("web");
const server = fixture.path("bin", "server");
const visitor = fixture.program("visitor");

const cases = [
  {
    kind: "TCP",
    serve: "tcp4 bind 0.0.0.0 8080 listen echo",
    ready: "listening",
    ask: `tcp4 connect ${web.ipv4} 8080 send x recv`,
  },
  { kind: "UDP", serve: "udp4 bind 0.0.0.0 8081 echo", ready: "ready", ask: `udp4 sendto ${web.ipv4} 8081 x recv` },
];

for (const { kind, serve, ready, ask } of cases) {
  test(`${kind}: replies of a flow that was refused are no violations of their own`, async () => {
    const listener = fixture.start(web, server, serve);
    await listener.line(ready);
    const mark = fixture.agent.events.mark();
    for (let client = 0; client < CLIENTS; client++) {
      assert.equal((await fixture.run(fixture.topology.outside, visitor, ask)).code, 0, "alert drops nothing");
    }
    await fixture.violation({ reason: "Peer", verdict: "alerted", direction: "ingress", path: server }, mark);
    await new Promise((settle) => setTimeout(settle, 300));
    const events = fixture.agent.events.since(mark, isVerdict) as VerdictEvent[];
    const replies = events.filter(({ direction, proto }) => direction === "egress" && proto !== "icmpv6");
    assert.deepEqual(replies, []);
    await listener.kill();
  });
}
