/** What user space gets to know: the content of events, their rate limit, trace-dns, counters, and failures by kind and line. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, beforeEach, describe, test } from "node:test";
import type { Action } from "../../src/api/types.ts";
import {
  Application,
  NAME_TEXT_MAX,
  RECORDS_SHARE,
  Reason,
  RecordType,
  ShareKind,
  Verdict,
} from "../../src/gen/abi.gen.ts";
import { readKernelErrors } from "../../src/node-agent/enforce/kernel-errors.ts";
import type { KernelRecord } from "../../src/node-agent/events/kernel-records.ts";
import { nameFromReversed } from "../../src/node-agent/events/names.ts";
import { formatIp } from "../../src/policy/table/addresses.ts";
import { bytesToNumber } from "../../src/policy/table/prefixes.ts";
import type { ClassifierHarness, ProcessRef } from "../../test/harness/classifier-harness.ts";
import { APP, appSpec, incoming, OWN, PEER, RESOLVER, Scene, STRANGER } from "../../test/harness/scene.ts";
import { addressRecord, answer, DNS_TYPE, prefixed, question } from "../../test/packets/dns.ts";
import { frame } from "../../test/packets/ethernet.ts";
import { fragments, ip } from "../../test/packets/ip.ts";
import { HTTP_REQUEST } from "../../test/packets/payloads.ts";
import { tcp, udp } from "../../test/packets/transport.ts";

const ROOT = join(import.meta.dirname, "../..");

const scene = new Scene("events");
after(() => scene[Symbol.dispose]());

const rules = {
  cidr4: [`${RESOLVER}/32`],
  fqdns: ["www.example.com"],
  l4: { protocols: ["udp" as const, "tcp" as const] },
};
const begin = (...actions: Action[]) => scene.begin({ ...appSpec(rules), actions });

const address = (bytes: Uint8Array) => formatIp(bytesToNumber(bytes));
const hostOrder = (port: number) => ((port & 0xff) << 8) | (port >> 8);
const asked = ({ message }: KernelRecord) =>
  nameFromReversed(message?.name.slice(0, message.nameLength) ?? Buffer.alloc(0));
const only = <T>(items: T[]): T => {
  assert.equal(items.length, 1);
  return items[0] as T;
};

describe("an event", () => {
  beforeEach(() => begin("alert", "enforce"));

  test("says who did what, with which packet, and what became of it", () => {
    const bytes = frame(ip({ from: OWN, to: PEER }, tcp({ from: 4000, to: 443, flags: "S" })));
    scene.outFrame(bytes);
    const event = only(scene.harness.takeRecords());
    assert.equal(event.header.type, RecordType.VERDICT);
    assert.deepEqual(
      [event.packet.verdict, event.packet.reason, event.packet.direction],
      [Verdict.DROPPED, Reason.PEER, 0],
    );
    assert.deepEqual([address(event.packet.local), hostOrder(event.packet.localPort)], [OWN, 4000]);
    assert.deepEqual([address(event.packet.remote), hostOrder(event.packet.remotePort)], [PEER, 443]);
    assert.deepEqual([event.packet.ethertype, event.packet.protocol, event.packet.length], [0x0800, 6, bytes.length]);
    assert.equal(event.process.actor.pathId, scene.harness.pathId(APP));
    assert.deepEqual(
      [event.header.workloadId, event.process.binaryId, event.header.count, event.packet.mask],
      [1, 1, 1n, 0n],
    );
    assert.ok(event.header.time > 0n && event.header.tableId > 0);
    assert.equal(event.packet.application, Application.UNDECIDED);
    assert.equal(event.message, null);
  });

  test("of a packet that comes in: local is still the workload", () => {
    scene.in(PEER, udp({ from: 443, to: 4000 }, "x"), { process: STRANGER });
    const event = only(scene.harness.takeRecords());
    assert.deepEqual([event.packet.reason, event.packet.direction], [Reason.BINARY_UNKNOWN, 1]);
    assert.deepEqual([address(event.packet.local), hostOrder(event.packet.localPort)], [OWN, 4000]);
    assert.deepEqual([address(event.packet.remote), hostOrder(event.packet.remotePort)], [PEER, 443]);
    assert.equal(event.process.actor.pathId, scene.harness.pathId(STRANGER));
  });

  test("of nobody has no process", () => {
    scene.out(PEER, udp({ from: 1, to: 2 }), {});
    const event = only(scene.harness.takeRecords());
    assert.deepEqual(
      [event.packet.reason, event.process.actor.pathId, event.process.actor.tgid, event.process.binaryId],
      [Reason.UNATTRIBUTED, 0, 0, 0],
    );
  });

  test("of a changed binary says so", () => {
    scene.out(PEER, udp({ from: 1, to: 2 }), { process: { ...APP, modified: true } });
    const event = only(scene.harness.takeRecords());
    assert.equal(event.process.actor.pathId, scene.harness.pathId(APP));
    assert.equal(event.process.actor.flags & 1, 1);
  });

  test("of a refused question has the name and type that were asked", () => {
    scene.ask("Evil.EXAMPLE", { type: DNS_TYPE.TXT });
    const event = only(scene.harness.takeRecords());
    assert.equal(event.packet.reason, Reason.DNS_NAME);
    assert.equal(asked(event), "evil.example");
    assert.deepEqual([event.message?.type, event.message?.isResponse], [DNS_TYPE.TXT, 0]);
  });

  test("of a refused payload says what it was", () => {
    scene.allow({ ...rules, cidr4: ["0.0.0.0/0"], l7: { protocols: ["tls"] } });
    scene.change({ ...appSpec({ ...rules, cidr4: ["0.0.0.0/0"], l7: { protocols: ["tls"] } }), actions: ["alert"] });
    scene.watch(PEER, udp({ from: 4000, to: 80 }, HTTP_REQUEST));
    const event = only(scene.harness.takeRecords());
    assert.deepEqual([event.packet.reason, event.packet.application], [Reason.APPLICATION, Application.HTTP]);
  });
});

describe("the rate limit", () => {
  beforeEach(() => {
    scene.harness.configure({ eventInterval: 10_000 });
    begin("alert");
  });
  after(() => scene.harness.configure({}));
  const knock = (to = PEER, port = 443, facts = { process: APP }) =>
    scene.watch(to, udp({ from: 4000, to: port }, "x"), facts);

  test("one event per kind and interval; the next one tells how many were held back", () => {
    for (let count = 0; count < 5; count += 1) knock();
    assert.deepEqual(
      scene.harness.takeRecords().map((event) => event.header.count),
      [1n],
    );
    scene.harness.advance(11);
    knock();
    assert.deepEqual(
      scene.harness.takeRecords().map((event) => event.header.count),
      [5n],
    );
    knock();
    scene.harness.advance(11);
    knock();
    assert.deepEqual(
      scene.harness.takeRecords().map((event) => event.header.count),
      [2n],
    );
  });

  test("another peer, service, process or reason is another kind; another source port is not", () => {
    knock();
    knock("198.51.100.1");
    knock(PEER, 80);
    knock(PEER, 443, { process: STRANGER });
    scene.watch(PEER, udp({ from: 4001, to: 443 }));
    assert.equal(scene.harness.takeRecords().length, 4);
  });

  test("every refused name is reported", () => {
    for (const name of ["a.example", "b.example", "a.example"])
      scene.harness.run("egress", asking(name), { process: APP });
    const names = scene.harness.takeRecords().map(asked);
    assert.deepEqual(names, ["a.example", "b.example"]);
  });

  test("counters count what events hold back", () => {
    for (let count = 0; count < 5; count += 1) knock();
    assert.equal(
      [...scene.harness.maps.counters.entries()].reduce((sum, [, { packets }]) => sum + packets, 0n),
      5n,
    );
  });
});

describe("trace-dns", () => {
  test("reports each question and each answer with its code", () => {
    begin("enforce", "trace-dns");
    scene.ask("www.example.com", { id: 3 });
    scene.reply("www.example.com", [addressRecord(PEER)], { id: 3, rcode: 3 });
    scene.ask("evil.example");
    const reported = scene.harness
      .takeRecords()
      .map((event) => [
        event.header.type,
        asked(event),
        event.message?.isResponse,
        event.message?.rcode,
        event.packet.reason,
        event.packet.verdict,
      ]);
    assert.deepEqual(reported, [
      [RecordType.DNS, "www.example.com", 0, 0, Reason.ALLOWED, Verdict.ALLOWED],
      [RecordType.DNS, "www.example.com", 1, 3, Reason.ALLOWED, Verdict.ALLOWED],
      [RecordType.DNS, "evil.example", 0, 0, Reason.DNS_NAME, Verdict.DROPPED],
    ]);
  });

  /** A and AAAA over one socket, as resolvers ask, and the answers to both. */
  function resolveBoth(process: ProcessRef) {
    for (const [id, type] of [
      [1, DNS_TYPE.A],
      [2, DNS_TYPE.AAAA],
    ] as const) {
      scene.watch(RESOLVER, udp({ from: 5000, to: 53 }, question("evil.example", { id, type })), { process });
    }
    for (const [id, type] of [
      [2, DNS_TYPE.AAAA],
      [1, DNS_TYPE.A],
    ] as const) {
      const bytes = answer("evil.example", [addressRecord(PEER)], { id, type });
      scene.harness.run("ingress", incoming(ip({ from: RESOLVER, to: OWN }, udp({ from: 53, to: 5000 }, bytes))));
    }
    return scene.harness.takeRecords();
  }
  const exchange = [
    [DNS_TYPE.A, 0],
    [DNS_TYPE.AAAA, 0],
    [DNS_TYPE.AAAA, 1],
    [DNS_TYPE.A, 1],
  ];

  test("with `learn`: each question and each answer once, and nothing is judged", () => {
    scene.harness.reportsAllowed = true;
    for (const process of [APP, STRANGER]) {
      begin("learn", "trace-dns");
      const events = resolveBoth(process);
      assert.deepEqual(
        events
          .filter(({ message }) => message !== null)
          .map((event) => [event.message?.type, event.message?.isResponse]),
        exchange,
      );
      assert.deepEqual(new Set(events.map(({ packet }) => packet.verdict)), new Set([Verdict.ALLOWED]));
      assert.equal(events.filter(({ header }) => header.type === RecordType.VERDICT).length, 1, "the flow, once");
    }
    scene.harness.reportsAllowed = false;
  });

  test("with `alert`: each question and each answer once, also of who may not ask at all", () => {
    for (const process of [APP, STRANGER]) {
      begin("alert", "trace-dns");
      const traced = resolveBoth(process).filter(({ header }) => header.type === RecordType.DNS);
      assert.deepEqual(
        traced.map((event) => [event.message?.type, event.message?.isResponse]),
        exchange,
      );
      const questions = traced.filter(({ message }) => message?.isResponse === 0);
      for (const { packet } of questions) assert.equal(packet.verdict, Verdict.ALERTED);
    }
  });

  test("several in one segment: each is reported", () => {
    begin("learn", "trace-dns");
    scene.watch(RESOLVER, tcp({ from: 5000, to: 53, flags: "S", sequence: 9 }));
    const messages = ["a.example", "www.example.com", "c.example"].flatMap((name) => prefixed(question(name)));
    scene.watch(RESOLVER, tcp({ from: 5000, to: 53, sequence: 10 }, messages));
    const names = scene.harness.takeRecords().map(asked);
    assert.deepEqual(names, ["a.example", "www.example.com", "c.example"]);
  });

  test("is off unless asked for", () => {
    begin("enforce");
    scene.ask("www.example.com");
    assert.deepEqual(scene.harness.takeRecords(), []);
  });
});

test("allowed flows are reported once, if that is wanted, with the name that their address was learned for", () => {
  scene.harness.reportsAllowed = true;
  begin("enforce");
  scene.ask("www.example.com");
  scene.reply("www.example.com", [addressRecord(PEER)]);
  scene.harness.takeRecords();
  for (const flags of ["S", "A", "PA"]) scene.out(PEER, tcp({ from: 4000, to: 443, flags }));
  const event = only(scene.harness.takeRecords());
  assert.deepEqual(
    [event.packet.reason, event.packet.verdict, event.packet.mask],
    [Reason.ALLOWED, Verdict.ALLOWED, 1n],
  );
  const learned = scene.harness.maps.dnsNames.get({ workloadId: event.header.workloadId, hash: event.packet.nameHash });
  assert.equal(learned && nameFromReversed(learned.text.slice(0, learned.length)), "www.example.com");
  scene.harness.reportsAllowed = false;
});

test("every packet is counted once: by process, direction, reason and verdict, with its bytes", () => {
  begin("enforce");
  const frames = [1, 2, 3].map((size) =>
    frame(ip({ from: OWN, to: PEER }, udp({ from: 4000, to: 443 }, Array(size).fill(0)))),
  );
  for (const bytes of frames) scene.outFrame(bytes);
  scene.outFrame(frames[0] as Buffer, { process: STRANGER });
  const key = { workloadId: 1, direction: 0, verdict: Verdict.DROPPED };
  const ours = scene.harness.maps.counters.get({ ...key, pathId: scene.harness.pathId(APP), reason: Reason.PEER });
  assert.deepEqual(ours, { packets: 3n, bytes: BigInt(frames.reduce((sum, bytes) => sum + bytes.length, 0)) });
  const theirs = scene.harness.maps.counters.get({
    ...key,
    pathId: scene.harness.pathId(STRANGER),
    reason: Reason.BINARY_UNKNOWN,
  });
  assert.equal(theirs?.packets, 1n);
});

describe("what could not be done is counted, for the line that counts it", () => {
  test("a name that is not remembered any more", () => {
    begin("enforce");
    scene.ask("www.example.com");
    scene.reply("www.example.com", [addressRecord(PEER)]);
    scene.harness.maps.dnsNames.clear();
    assert.equal(scene.out(PEER, tcp({ from: 4000, to: 443, flags: "S" })), "Peer");
    assertCounted(scene.harness, { DNS_NAME_EVICTED: 1 });
  });

  test("two names with one hash: the second teaches nothing", () => {
    begin("enforce");
    scene.ask("www.example.com");
    const [{ flow }, { nameHash }] = only([...scene.harness.maps.dnsQueries.entries()]);
    scene.harness.maps.dnsNames.set(
      { workloadId: flow.workloadId, hash: nameHash },
      { text: Buffer.alloc(NAME_TEXT_MAX, "moc."), length: 4 },
    );
    assert.equal(scene.reply("www.example.com", [addressRecord(PEER)]), "Allowed");
    assert.equal(scene.harness.maps.learned.count(), 0);
    assertCounted(scene.harness, { DNS_NAME_COLLISION: 1 });
  });

  test("a workload that is not known, on an interface that has the programs", () => {
    begin("enforce");
    scene.harness.withdraw();
    assert.equal(scene.harness.action("egress", asking("www.example.com")), 2);
    assertCounted(scene.harness, { SCRATCH: 1 });
  });
});

test("counters that are full: what all processes have in common stands in, and that is counted", () => {
  using full = new Scene("counters-full", { maxEntries: { counters: 1 } });
  full.begin({ ...appSpec(rules), actions: ["enforce"] });
  full.out(PEER, udp({ from: 1, to: 2 }), {});
  full.out(PEER, udp({ from: 1, to: 2 }));
  assert.equal(full.harness.maps.counters.count(), 1);
  assertCounted(full.harness, { COUNTERS_FULL: 1 });
});

describe("a flood of one kind of records", () => {
  /** `/bin/app` may talk to PEER, and may not to others. */
  const watched = { ...appSpec({ ...rules, cidr4: [`${PEER}/32`] }), actions: ["alert" as const] };
  const knock = (scene: Scene, to: string, from: number) => scene.watch(to, udp({ from, to: 443 }));

  test("what does not fit is counted by its kind, and costs nothing else: a violation after it is reported", () => {
    using full = new Scene("records-full", { maxEntries: { violation_records: 4096, allowed_records: 4096 } });
    full.harness.reportsAllowed = true;
    full.harness.configure({ eventInterval: 0 });
    full.begin(watched);
    for (let port = 1; port <= 40; port += 1) knock(full, PEER, port);
    knock(full, "198.51.100.1", 1);
    const { ALLOWED_RECORDS_LOST: lost = 0, ...others } = full.harness.errorCounts();
    const records = full.harness.takeRecords();
    assert.ok(lost > 0 && records.length + lost === 41, `${lost} lost, ${records.length} read`);
    assert.deepEqual(others, {});
    assert.equal(records.at(-1)?.packet.reason, Reason.PEER);
    for (let port = 1; port <= 40; port += 1) knock(full, "198.51.100.1", port);
    assert.ok((full.harness.errorCounts().VIOLATION_RECORDS_LOST ?? 0) > 0);
  });

  test("what is more than may be reported in a second is of the flood's kind: a violation after it is reported", () => {
    using full = new Scene("records-share");
    full.harness.reportsAllowed = true;
    full.harness.configure({ eventInterval: 0 });
    full.begin(watched);
    for (let port = 1; port <= RECORDS_SHARE + 500; port += 1) knock(full, PEER, port);
    knock(full, "198.51.100.1", 1);
    const records = full.harness.takeRecords();
    assert.equal(records.filter(({ packet }) => packet.reason === Reason.PEER).length, 1);
    const share = full.harness.maps.shares.get({ workloadId: 1, kind: ShareKind.ALLOWED_RECORDS });
    assert.equal(Number(share?.lost) + records.length - 1, RECORDS_SHARE + 500);
  });
});

test("a first fragment's event tells of the datagram, a later one's of its reason", () => {
  begin("alert", "enforce");
  const [first, later] = fragments({ from: OWN, to: PEER }, udp({ from: 4000, to: 443 }, Array(64).fill(0)), [32]).map(
    (packet) => frame(packet),
  ) as [Buffer, Buffer];
  scene.outFrame(first);
  scene.outFrame(later);
  assert.deepEqual(
    scene.harness.takeRecords().map((event) => [event.packet.reason, hostOrder(event.packet.remotePort)]),
    [
      [Reason.PEER, 443],
      [Reason.PEER, 0],
    ],
  );
});

/** These failures and no others, each for lines that say that they count it. */
function assertCounted(harness: ClassifierHarness, expected: Record<string, number>): void {
  assert.deepEqual(harness.errorCounts(), expected);
  for (const { name, count, sites } of readKernelErrors(harness.maps)) {
    assert.equal(
      sites.reduce((sum, entry) => sum + entry.count, 0),
      count,
      name,
    );
    for (const { site } of sites) assert.match(sourceLine(site), new RegExp(`count_error\\(ERROR_${name}\\)`, "i"));
  }
}

/** The line of the kernel side that a site names. */
function sourceLine(site: string): string {
  const [file = "", line] = site.split(":");
  const path = ["bpf/include", "bpf"].map((folder) => join(ROOT, folder, file)).find(existsSync);
  return readFileSync(path ?? assert.fail(`no file ${file}`), "utf8").split("\n")[Number(line) - 1] ?? "";
}

function asking(name: string): Buffer {
  return frame(ip({ from: OWN, to: RESOLVER }, udp({ from: 5000, to: 53 }, question(name))));
}
