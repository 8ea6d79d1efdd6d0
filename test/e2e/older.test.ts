/** Section 3: processes and sockets that were there before the agent are found and bound, without a restart. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { text as bytesOf } from "../packets/bytes.ts";
import { ip } from "../packets/ip.ts";
import { icmp, udp } from "../packets/transport.ts";
import { Fixture } from "./harness/fixture.ts";
import { patiently } from "./harness/patience.ts";
import { entry, profile } from "./harness/profiles.ts";
import { leaves } from "./harness/sniffing.ts";
import type { WorkloadPlace } from "./harness/topology.ts";

const SERVER = "198.51.100.1";
const IP_HEADER = 20;

const fixture = await Fixture.start("older", { apps: ["shop", "free"], startAgent: false });
const shop = fixture.workload("shop");
/** No profile selects it: what is sent from there shows that an attack itself works. */
const free = fixture.workload("free");
const { outside } = fixture.topology;
const asker = fixture.program("asker");
const stranger = fixture.program("stranger");

/** One of the listed executable and one of another, in this state when the agent starts. */
const STATES: Record<string, { before: string; after: string }> = {
  "process without a socket": { before: "wait", after: `udp4 sendto ${SERVER} 7000 TAG recv` },
  "UDP socket": { before: "udp4 wait", after: `sendto ${SERVER} 7000 TAG recv` },
  "connected UDP socket": { before: `udp4 connect ${SERVER} 7001 send x recv wait`, after: "send TAG recv" },
  "TCP connection": { before: `tcp4 connect ${SERVER} 7000 send x recv wait`, after: "send TAG recv" },
  "TCP socket, not connected": { before: "tcp4 wait", after: `connect ${SERVER} 7000 send TAG recv` },
  "ping socket": { before: "icmp4 wait", after: `ping ${SERVER}` },
  "raw socket": { before: "raw4 1 wait", after: `ping ${SERVER}` },
  "socket that a child holds": { before: `tcp4 connect ${SERVER} 7000 send x recv fork wait`, after: "send TAG recv" },
  "process whose first thread has ended": { before: "leaderexits wait", after: `udp4 sendto ${SERVER} 7000 TAG recv` },
};

/** `limit`: how long what comes after the agent's start may take, in ms. */
function begin(program: string, limit: number) {
  return Object.entries(STATES).map(([what, { before, after }]) => {
    const tag = fixture.tag();
    const verbs = `${before} timeout ${limit} ${after.replaceAll("TAG", tag)}`;
    return { what, tag, running: fixture.start(shop, program, verbs) };
  });
}

const ASKING = 42_000;
const HIDDEN = fixture.tag();

/** Sends an ICMP error, with a text in it, that is about a datagram which asker's peer might have sent. */
function sendError(from: WorkloadPlace, text: string): string {
  const quoted = ip({ from: SERVER, to: from.ipv4 }, udp({ from: 7000, to: ASKING }, "x"));
  const error = ip({ from: from.ipv4, to: SERVER }, icmp({ type: 3, code: 3 }, [...quoted, ...bytesOf(text)]));
  return `connect ${SERVER} 0 sendhex ${Buffer.from(error.slice(IP_HEADER)).toString("hex")}`;
}

const hidden = fixture.start(shop, stranger, `raw4 1 hide wait unhide ${sendError(shop, HIDDEN)}`);
const listed = begin(asker, patiently(5000));
const others = begin(stranger, 250);
const listener = fixture.start(shop, asker, "tcp4 bind 0.0.0.0 8080 listen echo");
const otherListener = fixture.start(shop, stranger, "tcp4 bind 0.0.0.0 8081 listen echo");
const accepted = fixture.start(shop, asker, "tcp4 bind 0.0.0.0 8082 listen accept wait send TAG recv");
await Promise.all([listener, otherListener, accepted].map((running) => running.line("listening")));
const visitor = fixture.start(outside, fixture.program("visitor"), `timeout 20000 tcp4 connect ${shop.ipv4} 8082 echo`);
await Promise.all([...listed, ...others].map(({ running }) => running.line("waiting")));
await accepted.line("waiting");
await hidden.line("waiting");

fixture.agent.write(
  profile("shop", [
    entry(asker, {
      egress: { cidr4: [`${SERVER}/32`], l4: { protocols: ["tcp", "udp", "icmp"] } },
      ingress: {
        cidr4: [`${outside.ipv4}/32`],
        l4: { protocolPorts: [{ protocol: "tcp", port: 8080, endPort: 8089 }] },
      },
    }),
  ]),
);
await fixture.agent.start();

for (const { what, running } of listed) {
  test(`§3 older than the agent, ${what}: the listed process's goes on`, async () => {
    running.tell();
    const { code, stderr } = await running.finish();
    assert.equal(code, 0, stderr);
  });
}

for (const { what, tag, running } of others) {
  test(`§3 older than the agent, ${what}: another process's is stopped`, async () => {
    const mark = fixture.agent.events.mark();
    running.tell();
    assert.equal((await running.finish()).code, 3);
    await fixture.violation({ reason: "BinaryUnknown", path: stranger }, mark);
    assert.deepEqual(await fixture.servers.received(tag), []);
  });
}

test("§3 older than the agent, listeners: the listed process's answers, another's does not", async () => {
  const visit = (port: number) =>
    fixture.run(
      outside,
      fixture.path("bin", "visitor"),
      `timeout ${patiently(250)} tcp4 connect ${shop.ipv4} ${port} send x recv`,
    );
  assert.equal((await visit(8080)).code, 0);
  const mark = fixture.agent.events.mark();
  assert.equal((await visit(8081)).code, 3);
  await fixture.violation({ reason: "BinaryUnknown", path: stranger, direction: "ingress" }, mark);
});

test("§3 older than the agent, an accepted connection: judged as ingress, and goes on", async () => {
  accepted.tell();
  const { code, stderr } = await accepted.finish();
  assert.equal(code, 0, stderr);
  await visitor.kill();
});

test("§3 attack: a raw socket that no process had open when the agent started does not pass for the kernel's", async () => {
  const control = (text: string) => fixture.run(free, stranger, `raw4 1 hide unhide ${sendError(free, text)}`);
  assert.ok(await leaves(fixture, stranger, control), "without the product it leaves");
  await fixture.passes(shop, asker, `udp4 bind 0.0.0.0 ${ASKING} sendto ${SERVER} 7000 x recv`);
  const sniffing = fixture.start(outside, stranger, `timeout ${patiently(5000)} sniff eth0 ${HIDDEN}`);
  await sniffing.line("sniffing");
  hidden.tell();
  await hidden.finish();
  assert.equal(await sniffing.succeeds(400), false);
});
