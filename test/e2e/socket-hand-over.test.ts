/**
 * Section 3: what a process writes into another's socket is its own until it has left, whoever touches the socket next.
 * `owner` and `heir` may talk to one server; `stranger` is listed nowhere. Nothing of these attacks is stopped in the
 * workload `open`, which no profile selects.
 */
import assert from "node:assert/strict";
import { release } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { attachedHookSets } from "../../src/node-agent/enforce/attach/function-hooks.ts";
import { listPins } from "../../src/node-agent/kernel/bpffs.ts";
import { ANY_PROCESS } from "./harness/fixture.ts";
import { type HandOver, lendingFixture, lend as lendSocket } from "./harness/lend.ts";
import { patiently } from "./harness/patience.ts";
import { leaves } from "./harness/sniffing.ts";
import { runIn, type WorkloadPlace } from "./harness/topology.ts";

const SERVER = "198.51.100.1";
const SERVER6 = "2001:db8:1::1";
/** Longer than the retransmission of a segment that was dropped takes to come a second time. */
const RETRANSMITTED_MS = 900;

const { fixture, shop, open, owner, heir, stranger } = await lendingFixture("handover", {
  protocols: ["tcp", "udp", "icmp", "icmpv6"],
});

/** `TAG` in the verbs is what the other one writes. @returns what of it has arrived */
const lend = (place: WorkloadPlace, borrower: string, attack: HandOver) =>
  lendSocket(fixture, place, { owner, borrower }, attack);

/** Longer than the way through a machine takes, and shorter than the three seconds for which a neighbour is looked for. */
const NEIGHBOUR_MISSED_MS = 1400;
/** Longer than from one question for a neighbour to the next. */
const NEIGHBOUR_ASKED_MS = 1100;
/** Of servers that say something later. */
let nextPort = 7300;

const NO_WRITERS = "this kernel does not show who leaves something in a connected socket's queue";

function showsWriters(): boolean {
  return attachedHookSets(listPins(join(fixture.agent.pinRoot, "links"))).senders !== null;
}

const AGAIN = `sleep 50 send x sleep ${RETRANSMITTED_MS}`;
/** A server that takes no bytes from a SYN gets them once it has answered. */
const SENT_AGAIN = `sleep ${RETRANSMITTED_MS}`;
const ATTACKS: Record<string, HandOver> = {
  "TCP, sent again": { make: `tcp4 connect ${SERVER} 7000`, use: "send a sleep 20 send TAG", resume: AGAIN },
  "TCP over IPv6, sent again": { make: `tcp6 connect ${SERVER6} 7000`, use: "send a sleep 20 send TAG", resume: AGAIN },
  "TCP, held back": { make: `tcp4 connect ${SERVER} 7000`, use: "sendmore TAG", resume: AGAIN },
  "TCP, held back from a pipe": { make: `tcp4 connect ${SERVER} 7000`, use: "splicemore TAG", resume: AGAIN },
  "TCP over IPv6, held back from a pipe": {
    make: `tcp6 connect ${SERVER6} 7000`,
    use: "splicemore TAG",
    resume: AGAIN,
  },
  "TCP, held back until an exec": {
    make: `tcp4 connect ${SERVER} 7000`,
    use: `sendmore TAG exec ${owner} send x`,
    resume: `sleep ${RETRANSMITTED_MS}`,
  },
  "TCP, in the SYN": { make: `tcp4 fastopen connect ${SERVER} 7000`, use: "send TAG", resume: SENT_AGAIN },
  "TCP over IPv6, in the SYN": { make: `tcp6 fastopen connect ${SERVER6} 7000`, use: "send TAG", resume: SENT_AGAIN },
  "UDP, held back": { make: "udp4", use: `sendtomore ${SERVER} 7000 TAG`, resume: `sendto ${SERVER} 7000 x` },
  "UDP over IPv6, held back": {
    make: "udp6",
    use: `sendtomore ${SERVER6} 7000 TAG`,
    resume: `sendto ${SERVER6} 7000 x`,
  },
  "UDP, connected, held back": { make: `udp4 connect ${SERVER} 7000`, use: "sendmore TAG", resume: "send x" },
  "UDP, connected, held back and read from": {
    make: `udp4 connect ${SERVER} 7000 send before`,
    use: "sendmore TAG",
    resume: "timeout 100 recv sleep 1200 send x",
  },
};

/** Before 6.5, splice(2) and sendfile(2) put bytes into a stream by a way of their own. */
const [major = 0, minor = 0] = release().split(".").map(Number);
const splices = major > 6 || (major === 6 && minor >= 5);

for (const [what, attack] of Object.entries(ATTACKS)) {
  test(`§3 what a stranger writes into a socket does not leave with what its owner writes: ${what}`, async (context) => {
    if (attack.make.includes("connect") && /sendmore|splicemore/.test(attack.use) && !showsWriters()) {
      return context.skip(NO_WRITERS);
    }
    if (attack.use.includes("splice") && !splices) return context.skip("this kernel does not show who splices");
    assert.notDeepEqual(await lend(open, stranger, attack), [], "nothing of it arrives without a profile either");
    assert.notDeepEqual(await lend(shop, heir, attack), [], "what a listed process writes does not arrive");
    assert.deepEqual(await lend(shop, stranger, attack), []);
  });
}

test("§3 who reads another's stream by splice is who receives: nothing more comes in for a stranger", async (context) => {
  if (!listPins(join(fixture.agent.pinRoot, "links")).includes("socket_reads")) {
    return context.skip("this kernel does not show who splices");
  }
  const reads = async (place: WorkloadPlace, borrower: string) => {
    const [path, port] = [fixture.path(`${fixture.tag()}socket`), String(nextPort++)];
    const [early, late] = [fixture.tag(), fixture.tag()];
    const serve = `timeout ${patiently(10_000)} tcp4 bind ${SERVER} ${port} listen accept send ${early} wait send ${late} wait`;
    const server = fixture.start(fixture.topology.outside, stranger, serve);
    await server.line("listening");
    const giver = fixture.start(place, owner, `tcp4 connect ${SERVER} ${port} pass ${path}`);
    await giver.line("offering");
    const reader = fixture.start(
      place,
      borrower,
      `take ${path} timeout ${patiently(1000)} splicerecv ${early} splicerecv ${late}`,
    );
    await reader.line(`received ${early}`);
    server.tell();
    const { code } = await reader.finish();
    await server.kill();
    await giver.finish();
    return code === 0;
  };
  assert.equal(await reads(open, stranger), true, "without the product it receives on");
  assert.equal(await reads(shop, heir), true, "a listed process does not receive on");
  assert.equal(await reads(shop, stranger), false);
});

test("§3 a socket that a stranger has only read from is its owner's again", async () => {
  const path = fixture.path(`${fixture.tag()}socket`);
  const [first, tag] = [fixture.tag(), fixture.tag()];
  const giver = fixture.start(
    shop,
    owner,
    `tcp4 connect ${SERVER} 7000 send ${first} pass ${path} sleep 50 send ${tag} sleep 100`,
  );
  await giver.line("offering");
  await fixture.run(shop, stranger, `take ${path} timeout 100 recv`);
  assert.equal((await giver.finish()).code, 0);
  assert.equal((await fixture.servers.received(tag)).length, 1);
});

for (const [what, make] of Object.entries({
  TCP: `tcp4 connect ${SERVER} 7000`,
  "TCP over IPv6": `tcp6 connect ${SERVER6} 7000`,
  UDP: `udp4 connect ${SERVER} 7000`,
  "UDP over IPv6": `udp6 connect ${SERVER6} 7000`,
})) {
  test(`§3 the first bytes that a stranger writes on a connected socket do not leave: ${what}`, async () => {
    const attack = { make, use: "send TAG", resume: "sleep 50" };
    assert.notDeepEqual(await lend(open, stranger, attack), []);
    assert.notDeepEqual(await lend(shop, heir, attack), []);
    assert.deepEqual(await lend(shop, stranger, attack), []);
  });
}

test("§3 what a stranger sends while the neighbour is looked for does not leave as its owner's, once it is found", async (context) => {
  if (patiently(1) > 1) return context.skip("a neighbour is looked for three seconds, however slow the machine is");
  const { node } = fixture.topology;
  const held = async (place: WorkloadPlace) => {
    const tag = fixture.tag();
    const lender = fixture.start(place, owner, `pid udp4 connect ${SERVER} 7000 wait send x wait`);
    await lender.line("waiting");
    const arp = (state: string) => runIn(node.name, "ip", "link", "set", "dev", place.hostInterface, "arp", state);
    arp("off");
    try {
      runIn(place.name, "ip", "neigh", "flush", "all");
      await fixture.run(place, stranger, `steal ${Number.parseInt(lender.stdout, 10)} 3 send ${tag}`);
      lender.tell();
      await sleep(NEIGHBOUR_MISSED_MS);
    } finally {
      arp("on");
    }
    await sleep(NEIGHBOUR_ASKED_MS);
    await lender.kill();
    return (await fixture.servers.received(tag)).length > 0;
  };
  assert.equal(await held(open), true, "without the product it does not leave");
  assert.equal(await held(shop), false);
});

/** Begins as a TCP header of 20 bytes would, without SYN. */
const SEGMENT = "AAAABBBBCCCCPPPPPPPPTAG";
const RAW: Record<string, HandOver> = {
  IPv4: { make: `raw4 6 connect ${SERVER} 0`, use: `send ${SEGMENT}`, resume: "sleep 50" },
  IPv6: { make: `raw6 6 connect ${SERVER6} 0`, use: `send ${SEGMENT}`, resume: "sleep 50" },
  "IPv4, held back": { make: `raw4 6 connect ${SERVER} 0`, use: `sendmore ${SEGMENT}`, resume: "send x" },
};

for (const [what, { make, use, resume }] of Object.entries(RAW)) {
  test(`§3 a raw socket is no stream, whatever protocol it says: its user is who sends by it, ${what}`, async (context) => {
    if (use.includes("sendmore") && !showsWriters()) return context.skip(NO_WRITERS);
    const lendOut = (place: WorkloadPlace, borrower: string) =>
      leaves(fixture, stranger, async (text) => {
        const path = fixture.path(`${fixture.tag()}socket`);
        const giver = fixture.start(place, owner, `${make} pass ${path} ${resume}`);
        await giver.line("offering");
        await fixture.run(place, borrower, `take ${path} ${use.replaceAll("TAG", text)}`);
        await giver.finish();
      });
    assert.equal(await lendOut(open, stranger), true, "it does not leave without a profile either");
    assert.equal(await lendOut(shop, heir), true, "what a listed process sends does not leave");
    assert.equal(await lendOut(shop, stranger), false);
  });
}

for (const by of ["uringworker", "uringpoller"]) {
  test(`§3 what the kernel's threads send for a process is the process's: ${by}`, async () => {
    const alone = `tcp4 connect ${SERVER} 7000 ${by} TAG recv`;
    await fixture.passes(shop, owner, alone);
    await fixture.passes(shop, owner, `udp4 connect ${SERVER} 7000 ${by} TAG recv`);
    await fixture.passes(open, stranger, alone);
    for (const make of [`tcp4 connect ${SERVER} 7000`, `udp4 connect ${SERVER} 7000`]) {
      const attack = { make, use: `${by} TAG`, resume: "sleep 50" };
      assert.notDeepEqual(await lend(open, stranger, attack), []);
      assert.notDeepEqual(await lend(shop, heir, attack), []);
      assert.deepEqual(await lend(shop, stranger, attack), []);
    }
    await fixture.stops(shop, stranger, `udp4 connect ${SERVER} 7000 ${by} TAG`, { reason: "BinaryUnknown" });
  });
}

test("§3 a connection over several paths is its process's", async (context) => {
  if ((await fixture.run(open, stranger, "mptcp4")).code !== 0) return context.skip("this kernel has no MPTCP");
  await fixture.passes(shop, owner, `mptcp4 connect ${SERVER} 7000 send TAG recv`);
  await fixture.stops(shop, stranger, `mptcp4 connect ${SERVER} 7000 send TAG recv`, { reason: "BinaryUnknown" });
  const attack = { make: `mptcp4 connect ${SERVER} 7000`, use: "send TAG", resume: AGAIN };
  assert.notDeepEqual(await lend(open, stranger, attack), []);
  assert.notDeepEqual(await lend(shop, heir, attack), []);
  assert.deepEqual(await lend(shop, stranger, attack), []);
});

test("§3 a descriptor that is taken out of another process is its taker's", async () => {
  const victim = fixture.start(
    shop,
    owner,
    `tcp4 connect ${SERVER} 7000 descriptor wait send x sleep ${RETRANSMITTED_MS}`,
  );
  const descriptor = await victim.line(/^\d+$/);
  await victim.line("waiting");
  const [mark, tag] = [fixture.agent.events.mark(), fixture.tag()];
  await fixture.run(shop, stranger, `steal ${victim.pid} ${descriptor} send a sleep 20 send ${tag}`);
  victim.tell();
  await victim.finish();
  await fixture.violation({ reason: "BinaryUnknown", path: ANY_PROCESS, proto: "tcp" }, mark);
  await sleep(50);
  assert.deepEqual(await fixture.servers.received(tag), []);
});
