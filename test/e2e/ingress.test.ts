/** Sections 3 and 4 from the other side: who answers, who listens, and on which port. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { VerdictEvent } from "../../src/flow/record.ts";
import { isVerdict } from "./harness/event-stream.ts";
import { Fixture } from "./harness/fixture.ts";
import { patiently } from "./harness/patience.ts";
import { entry, ingress, profile } from "./harness/profiles.ts";

const OUTSIDE = ["203.0.113.0/24", "198.51.100.0/24"];

const fixture = await Fixture.start("ingress", {
  apps: ["web"],
  profiles: (fixture) => [
    profile("web", [
      ingress(fixture.program("server"), {
        cidr4: OUTSIDE,
        cidr6: ["2001:db8::/32"],
        l4: {
          protocols: ["icmp"],
          protocolPorts: [
            { protocol: "tcp", port: 8080, endPort: 8090 },
            { protocol: "udp", port: 8080 },
          ],
        },
      }),
      ingress(fixture.program("worker"), {
        cidr4: OUTSIDE,
        l4: { protocolPorts: [{ protocol: "tcp", port: 8080, endPort: 8090 }] },
      }),
      entry(fixture.program("mute"), {}),
    ]),
  ],
});
const web = fixture.workload("web");
const { outside } = fixture.topology;
const server = fixture.path("bin", "server");
const worker = fixture.path("bin", "worker");
const visitor = fixture.program("visitor");
const stranger = fixture.program("stranger");

let nextPort = 8080;
/** Ports of one range that no test has used. */
function port(): number {
  return nextPort++;
}

async function visit(verbs: string): Promise<number | null> {
  return (await fixture.run(outside, visitor, `timeout ${patiently(250)} ${verbs}`)).code;
}

test("§4 ingress: the port is the local one, on which the process listens", async () => {
  const at = port();
  const listener = fixture.start(web, server, `tcp4 bind 0.0.0.0 ${at} listen echo`);
  await listener.line("listening");
  assert.equal(await visit(`tcp4 connect ${web.ipv4} ${at} send x recv`), 0);
  await listener.kill();
});

test("§4 ingress: over IPv6", async () => {
  const at = port();
  const listener = fixture.start(web, server, `tcp6 bind :: ${at} listen echo`);
  await listener.line("listening");
  assert.equal(await visit(`tcp6 connect ${web.ipv6} ${at} send x recv`), 0);
  assert.equal(await visit(`tcp4 connect ${web.ipv4} ${at} send x recv`), 0, "IPv4 at an IPv6 socket");
  await listener.kill();
});

test("§4 ingress: UDP", async () => {
  const listener = fixture.start(web, server, "udp4 bind 0.0.0.0 8080 echo");
  await listener.line("ready");
  assert.equal(await visit(`udp4 sendto ${web.ipv4} 8080 x recv`), 0);
  await listener.kill();
});

test("§4 ingress: another port of the listed process is stopped", async () => {
  const listener = fixture.start(web, server, "tcp4 bind 0.0.0.0 9000 listen echo");
  await listener.line("listening");
  const mark = fixture.agent.events.mark();
  assert.equal(await visit(`tcp4 connect ${web.ipv4} 9000`), 3);
  const event = await fixture.violation({ reason: "Port", direction: "ingress", path: server, proto: "tcp" }, mark);
  assert.equal(event.dst.port, 9000);
  assert.equal(event.src.ip, outside.ipv4);
  await listener.kill();
});

test("§4 ingress: UDP on a port that only TCP may use is stopped", async () => {
  const listener = fixture.start(web, server, "udp4 bind 0.0.0.0 8089 echo");
  await listener.line("ready");
  const mark = fixture.agent.events.mark();
  assert.equal(await visit(`udp4 sendto ${web.ipv4} 8089 x recv`), 3);
  await fixture.violation({ reason: "Port", direction: "ingress", path: server, proto: "udp" }, mark);
  await listener.kill();
});

test("§4 ingress: a direction that is absent allows nothing", async () => {
  const mute = fixture.path("bin", "mute");
  const listener = fixture.start(web, mute, "udp4 bind 0.0.0.0 8099 echo");
  await listener.line("ready");
  const mark = fixture.agent.events.mark();
  assert.equal(await visit(`udp4 sendto ${web.ipv4} 8099 x recv`), 3);
  await fixture.violation({ reason: "Peer", direction: "ingress", path: mute }, mark);
  await listener.kill();
});

test("§4 ingress: a peer that is not listed is stopped", async () => {
  const at = port();
  const listener = fixture.start(web, server, `tcp4 bind 0.0.0.0 ${at} listen echo`);
  await listener.line("listening");
  const mark = fixture.agent.events.mark();
  const node = await fixture.run(fixture.topology.node, visitor, `timeout 250 tcp4 connect ${web.ipv4} ${at}`);
  assert.equal(node.code, 3);
  await fixture.violation({ reason: "Peer", direction: "ingress", path: server }, mark);
  await listener.kill();
});

test("§4 ingress: a process that is not listed answers nobody", async () => {
  const at = port();
  const listener = fixture.start(web, stranger, `tcp4 bind 0.0.0.0 ${at} listen echo`);
  await listener.line("listening");
  const mark = fixture.agent.events.mark();
  assert.equal(await visit(`tcp4 connect ${web.ipv4} ${at}`), 3);
  await fixture.violation({ reason: "BinaryUnknown", direction: "ingress", path: stranger }, mark);
  await listener.kill();
});

test("§4 ingress: a port on which nobody has listened yet belongs to nobody", async () => {
  const mark = fixture.agent.events.mark();
  assert.equal(await visit(`tcp4 connect ${web.ipv4} 8090`), 3);
  await fixture.violation({ reason: "Unattributed", direction: "ingress", path: null }, mark);
});

test("§4 policy is stateful: who may be visited does not thereby get to visit", async () => {
  await fixture.stops(web, server, "tcp4 connect 198.51.100.1 7000 send TAG", { reason: "Peer", direction: "egress" });
});

test("§3 accept workers: the parent listens, a child accepts", async () => {
  const at = port();
  const listener = fixture.start(web, server, `timeout 8000 tcp4 bind 0.0.0.0 ${at} listen fork accept echo`);
  await listener.line("listening");
  assert.equal(await visit(`tcp4 connect ${web.ipv4} ${at} send x recv`), 0);
  await listener.kill();
});

test("§3 accept workers: a listed executable that takes the connection over by exec", async () => {
  const at = port();
  const listener = fixture.start(web, server, `timeout 8000 tcp4 bind 0.0.0.0 ${at} listen accept exec ${worker} echo`);
  await listener.line("listening");
  assert.equal(await visit(`tcp4 connect ${web.ipv4} ${at} send x recv`), 0);
  await listener.kill();
});

test("§3 accept workers: an executable that is not listed says nothing over a connection it took over", async () => {
  const at = port();
  const mark = fixture.agent.events.mark();
  const verbs = `timeout 8000 tcp4 bind 0.0.0.0 ${at} listen accept exec ${stranger} send leak sleep 400`;
  const listener = fixture.start(web, server, verbs);
  await listener.line("listening");
  assert.equal(await visit(`tcp4 connect ${web.ipv4} ${at} recv`), 3);
  await fixture.violation({ reason: "BinaryUnknown", path: stranger }, mark);
  await listener.kill();
});

test("§3 SO_REUSEPORT: of two listeners on one port each is judged as what it is", async () => {
  const at = port();
  const shared = `tcp4 reuseport bind 0.0.0.0 ${at} listen`;
  const good = fixture.start(web, server, `${shared} echo`);
  const bad = fixture.start(web, stranger, `timeout 20000 ${shared} accept print accepted`);
  await Promise.all([good.line("listening"), bad.line("listening")]);
  const codes = await Promise.all(
    Array.from({ length: 16 }, () => visit(`tcp4 connect ${web.ipv4} ${at} send x recv`)),
  );
  assert.ok(codes.includes(0), "some connections go to the listed process");
  assert.ok(codes.includes(3), "those to the other one are stopped");
  assert.ok(!bad.stdout.includes("accepted"));
  await Promise.all([good.kill(), bad.kill()]);
});

test("§3 a listener that gives its socket away: its child connections are judged by who made it too", async () => {
  const at = port();
  const listener = fixture.start(web, stranger, `tcp4 bind 0.0.0.0 ${at} exec ${server} listen echo`);
  await listener.line("listening");
  assert.equal(await visit(`tcp4 connect ${web.ipv4} ${at} send x recv`), 3);
  await listener.kill();
});

function listens(path: string, at: number) {
  return (event: { type: string }): event is VerdictEvent =>
    isVerdict(event as VerdictEvent) &&
    event.type === "listen" &&
    (event as VerdictEvent).process?.path === path &&
    (event as VerdictEvent).dst.port === at;
}

test("§4 listening is judged at listen: a port that the ingress does not allow is reported", async () => {
  const mark = fixture.agent.events.mark();
  const listener = fixture.start(web, server, "tcp4 bind 0.0.0.0 9001 listen echo");
  await listener.line("listening");
  const event = await fixture.agent.events.waitFor("listen 9001", listens(server, 9001), { from: mark });
  assert.equal(event.reason, "Listen");
  assert.equal(event.verdict, "alerted", "there is nothing to drop");
  assert.equal(event.direction, "ingress");
  assert.equal(event.proto, "tcp");
  await listener.kill();
});

test("§4 listening is judged at bind for UDP, and for processes that no profile lists", async () => {
  const mark = fixture.agent.events.mark();
  const listener = fixture.start(web, stranger, "udp4 bind 0.0.0.0 9002 echo");
  await listener.line("ready");
  const event = await fixture.agent.events.waitFor("listen 9002", listens(stranger, 9002), { from: mark });
  assert.equal(event.proto, "udp");
  await listener.kill();
});

test("§4 listening on an allowed port is not reported", async () => {
  const mark = fixture.agent.events.mark();
  const listener = fixture.start(web, server, "tcp4 bind 0.0.0.0 8090 listen echo");
  await listener.line("listening");
  const other = fixture.start(web, server, "tcp4 bind 0.0.0.0 9003 listen echo");
  await fixture.agent.events.waitFor("listen 9003", listens(server, 9003), { from: mark });
  assert.deepEqual(fixture.agent.events.since(mark, listens(server, 8090)), []);
  await Promise.all([listener.kill(), other.kill()]);
});
