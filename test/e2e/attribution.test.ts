/**
 * Section 3: a packet belongs to the process that owns its socket, from the first one on. `asker` may talk to one
 * server; `stranger` is listed nowhere. Both are copies of one program.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { EgressRules } from "../../src/api/types.ts";
import { attachedHookSets } from "../../src/node-agent/enforce/attach/function-hooks.ts";
import { listPins } from "../../src/node-agent/kernel/bpffs.ts";
import { frame } from "../packets/ethernet.ts";
import { ipv4 } from "../packets/ip.ts";
import { udp } from "../packets/transport.ts";
import { ANY_PROCESS, Fixture } from "./harness/fixture.ts";
import { egress, profile } from "./harness/profiles.ts";
import { macOf } from "./harness/topology.ts";

const SERVER = "198.51.100.1";
const SERVER6 = "2001:db8:1::1";

const RIGHTS: EgressRules = {
  cidr4: [`${SERVER}/32`],
  cidr6: [`${SERVER6}/128`],
  l4: { protocols: ["tcp", "udp", "icmp", "icmpv6"] },
};

const fixture = await Fixture.start("attribution", {
  apps: ["shop"],
  profiles: (fixture) => [
    profile("shop", [egress(fixture.program("asker"), RIGHTS), egress(fixture.program("heir"), RIGHTS)]),
  ],
});
const shop = fixture.workload("shop");
const asker = fixture.path("bin", "asker");
const heir = fixture.path("bin", "heir");
const stranger = fixture.program("stranger");

const FIRST_PACKETS: Record<string, string> = {
  TCP: `tcp4 connect ${SERVER} 7000 send TAG recv`,
  "TCP over IPv6": `tcp6 connect ${SERVER6} 7000 send TAG recv`,
  "UDP, not connected": `udp4 sendto ${SERVER} 7000 TAG recv`,
  "UDP, connected": `udp4 connect ${SERVER} 7000 send TAG recv`,
  "UDP over IPv6": `udp6 sendto ${SERVER6} 7000 TAG recv`,
  "ICMP by a ping socket": `icmp4 ping ${SERVER}`,
  "ICMPv6 by a ping socket": `icmp6 ping ${SERVER6}`,
  "ICMP by a raw socket": `raw4 1 ping ${SERVER}`,
  "ICMPv6 by a raw socket": `raw6 58 ping ${SERVER6}`,
  "a socket used after fork": `udp4 fork sendto ${SERVER} 7000 TAG recv`,
  "a connected socket used after fork": `tcp4 connect ${SERVER} 7000 fork send TAG recv`,
  "a socket used by a thread": `udp4 thread sendto ${SERVER} 7000 TAG recv`,
  "a process whose first thread has ended": `leaderexits udp4 sendto ${SERVER} 7000 TAG recv`,
};

for (const [what, verbs] of Object.entries(FIRST_PACKETS)) {
  test(`§3 first packet of ${what}: the listed process's passes`, async () => {
    await fixture.passes(shop, asker, verbs);
  });
  test(`§3 first packet of ${what}: another process's is stopped`, async () => {
    const event = await fixture.stops(shop, stranger, verbs, { reason: "BinaryUnknown", direction: "egress" });
    assert.equal(event.process?.path, stranger);
    assert.deepEqual(event.profiles, ["default/shop-profile"]);
  });
}

test("§3 a socket handed over by exec: passes if both executables may", async () => {
  await fixture.passes(shop, asker, `udp4 exec ${heir} sendto ${SERVER} 7000 TAG recv`);
  await fixture.passes(shop, asker, `tcp4 connect ${SERVER} 7000 exec ${heir} send TAG recv`);
});

test("§3 exec by a thread that is not the first: replaces the identity of the process", async () => {
  await fixture.passes(shop, stranger, `thread exec ${asker} udp4 sendto ${SERVER} 7000 TAG recv`);
  const expected = { reason: "BinaryUnknown", path: stranger } as const;
  await fixture.stops(shop, asker, `thread exec ${stranger} udp4 sendto ${SERVER} 7000 TAG recv`, expected);
});

test("§3 a socket handed over by exec: its new user has to be allowed, from the first packet on", async () => {
  const expected = { reason: "BinaryUnknown", path: stranger } as const;
  await fixture.stops(shop, asker, `udp4 exec ${stranger} sendto ${SERVER} 7000 TAG`, expected);
  await fixture.stops(shop, asker, `udp4 connect ${SERVER} 7000 exec ${stranger} send TAG recv`, expected);
  await fixture.stops(shop, asker, `tcp4 connect ${SERVER} 7000 exec ${stranger} send TAG recv`, expected);
});

test("§3 a socket handed over by exec: who made it has to be allowed too", async () => {
  const expected = { reason: "BinaryUnknown", path: ANY_PROCESS } as const;
  await fixture.stops(shop, stranger, `udp4 exec ${asker} sendto ${SERVER} 7000 TAG`, expected);
  await fixture.stops(shop, stranger, `raw4 1 exec ${asker} ping ${SERVER}`, expected);
});

/** `from` offers what its verbs make; `to` carries out the verbs of its own on it. */
async function handOver(from: string, make: string, to: string, use: string) {
  const path = fixture.path(`${fixture.tag()}socket`);
  const giver = fixture.start(shop, from, `${make} pass ${path}`);
  await giver.line("offering");
  const finished = await fixture.run(shop, to, `timeout 250 take ${path} ${use}`);
  await giver.finish();
  return finished;
}

test("§3 a socket handed over by SCM_RIGHTS: passes if both processes may", async () => {
  assert.equal((await handOver(asker, "udp4", heir, `sendto ${SERVER} 7000 x recv`)).code, 0);
  assert.equal((await handOver(asker, `tcp4 connect ${SERVER} 7000`, heir, "send x recv")).code, 0);
});

test("§3 a UDP socket handed over by SCM_RIGHTS: its new user has to be allowed, from the first packet on", async () => {
  const [mark, tag] = [fixture.agent.events.mark(), fixture.tag()];
  assert.equal((await handOver(asker, "udp4", stranger, `sendto ${SERVER} 7000 ${tag} recv`)).code, 3);
  await fixture.violation({ reason: "BinaryUnknown", path: stranger }, mark);
  assert.deepEqual(await fixture.servers.received(tag), []);
});

test("§3 a connected socket handed over by SCM_RIGHTS: its new user is seen at his first call, judged from then on", async (context) => {
  const { senders } = attachedHookSets(listPins(join(fixture.agent.pinRoot, "links")));
  if (senders === null) return context.skip("this kernel does not show who sends on a connected socket");
  const [mark, tag] = [fixture.agent.events.mark(), fixture.tag()];
  const use = `send ${tag}first sleep 20 send ${tag}second timeout 250 recv recv`;
  assert.notEqual((await handOver(asker, `tcp4 connect ${SERVER} 7000`, stranger, use)).code, 0);
  await fixture.violation({ reason: "BinaryUnknown", path: stranger, proto: "tcp" }, mark);
  assert.equal((await fixture.servers.received(`${tag}second`)).length, 0);
});

test("§3 a socket of a process that has ended is still its user's", async () => {
  await fixture.passes(shop, asker, `udp4 fork fork sendto ${SERVER} 7000 TAG recv`);
  const tag = fixture.tag();
  await fixture.run(shop, asker, `udp4 orphan sendto ${SERVER} 7000 ${tag} recv`);
  assert.equal((await fixture.servers.received(tag)).length, 1);
});

test("§3 a reused pid never inherits", async () => {
  const { stdout } = await fixture.run(shop, asker, `pid udp4 sendto ${SERVER} 7000 x recv`);
  const pid = Number(stdout.split("\n")[0]);
  const event = await fixture.stops(shop, stranger, `cloneas ${pid} udp4 sendto ${SERVER} 7000 TAG recv`, {
    reason: "BinaryUnknown",
    pid,
  });
  assert.equal(event.process?.path, stranger);
});

test("§3 a reused pid never inherits, not even the socket of its predecessor", async () => {
  const path = fixture.path("inherited");
  const giver = fixture.start(shop, asker, `udp4 sendto ${SERVER} 7000 x recv pid pass ${path}`);
  await giver.line("offering");
  // heir holds asker's socket, asker ends, and stranger runs under asker's pid with a socket of its own.
  const holder = fixture.start(shop, heir, `take ${path} wait sendto ${SERVER} 7000 x recv`);
  await holder.line("waiting");
  await giver.kill();
  await fixture.stops(shop, stranger, `cloneas ${giver.pid} udp4 sendto ${SERVER} 7000 TAG recv`, {
    reason: "BinaryUnknown",
  });
  holder.tell();
  assert.equal((await holder.finish()).code, 0);
});

test("§3 a forged source port cannot borrow another process's rights", async () => {
  const owner = fixture.start(shop, asker, `udp4 bind 0.0.0.0 40000 sendto ${SERVER} 7000 x recv wait send x`);
  await owner.line("waiting");
  await fixture.stops(shop, stranger, `forge ${shop.ipv4} 40000 ${SERVER} 7000 TAG`, { reason: "BinaryUnknown" });
  await owner.kill();
});

test("§3 AF_PACKET belongs to no process, even with another's addresses and ports", async () => {
  const owner = fixture.start(shop, asker, `udp4 bind 0.0.0.0 40001 sendto ${SERVER} 7000 x recv wait`);
  await owner.line("waiting");
  const [mark, tag] = [fixture.agent.events.mark(), fixture.tag()];
  const bytes = frame(ipv4({ from: shop.ipv4, to: SERVER }, udp({ from: 40001, to: 7000 }, tag)), {
    source: macOf(shop, "eth0"),
    destination: macOf(fixture.topology.node, shop.hostInterface),
  });
  assert.equal((await fixture.run(shop, asker, `frame eth0 ${bytes.toString("hex")}`)).code, 0);
  await fixture.violation({ reason: "Unattributed", path: null }, mark);
  assert.deepEqual(await fixture.servers.received(tag), []);
  await owner.kill();
});
