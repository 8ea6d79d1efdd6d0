/** Section 5: what answers teach, to whom, and for how long. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import type { EgressRules } from "../../src/api/types.ts";
import { APP, appSpec, incoming, OWN, PEER, PEER6, RESOLVER, RESOLVER6, Scene } from "../../test/harness/scene.ts";
import {
  type AnswerFields,
  addressRecord,
  answer,
  cnameRecord,
  DNS_TYPE,
  ednsRecord,
  mixedCase,
  pointer,
  question,
  wireName,
} from "../../test/packets/dns.ts";
import { frame } from "../../test/packets/ethernet.ts";
import { ip } from "../../test/packets/ip.ts";
import { tcp, udp } from "../../test/packets/transport.ts";

const scene = new Scene("dns-answer");
after(() => scene[Symbol.dispose]());

const NAME = "www.example.com";
const rules: EgressRules = {
  cidr4: [`${RESOLVER}/32`],
  cidr6: [`${RESOLVER6}/128`],
  fqdns: [NAME, "*.cdn.net", "other.example.com"],
  l4: { protocols: ["tcp", "udp"] },
};

/** Asks, gets this answer, and tells the verdict of the answer. */
function resolve(answers: number[][], fields: AnswerFields = {}, asked = NAME) {
  assert.equal(scene.ask(asked, { type: fields.type ?? DNS_TYPE.A }), "Allowed");
  return scene.reply(asked, answers, fields);
}

/** Ports differ, so that each is a flow of its own. */
let port = 20000;
const OTHER = { path: "/bin/other" };

/** Both processes may have the same answers. */
function allowBoth(): void {
  scene.begin({
    actions: ["enforce"],
    processes: [APP, OTHER].map(({ path }) => ({ path, network: { egress: rules } })),
  });
}

function connect(to: string, process = APP) {
  port += 1;
  return scene.out(to, tcp({ from: port, to: 443, flags: "S" }), { process });
}

describe("what is learned", () => {
  test("every A and AAAA of the answer", () => {
    scene.allow(rules);
    assert.equal(connect(PEER), "Peer");
    assert.equal(resolve([addressRecord(PEER), addressRecord("192.0.2.8"), addressRecord(PEER6)]), "Allowed");
    for (const address of [PEER, "192.0.2.8", PEER6]) assert.equal(connect(address), "Allowed");
    assert.equal(connect("192.0.2.9"), "Peer");
  });

  test("over IPv6 as over IPv4", () => {
    scene.allow(rules);
    assert.equal(scene.ask(NAME, {}, { process: APP }, RESOLVER6), "Allowed");
    assert.equal(scene.reply(NAME, [addressRecord(PEER)], {}, RESOLVER6), "Allowed");
    assert.equal(connect(PEER), "Allowed");
  });

  test("all addresses of a long answer", () => {
    scene.allow(rules);
    const addresses = Array.from({ length: 180 }, (_, index) => `198.51.100.${index}`);
    assert.equal(resolve(addresses.map((address) => addressRecord(address))), "Allowed");
    for (const address of addresses) assert.equal(connect(address), "Allowed", address);
    assert.deepEqual(scene.harness.errorCounts(), {});
  });

  test("only the answer section", () => {
    scene.allow(rules);
    const fields = { authorities: [addressRecord(PEER)], additional: [addressRecord("192.0.2.8"), ednsRecord()] };
    assert.equal(resolve([], fields), "Allowed");
    assert.equal(connect(PEER), "Peer");
    assert.equal(connect("192.0.2.8"), "Peer");
  });

  test("only what belongs to the question: its name, in any case, and class IN", () => {
    scene.allow(rules);
    assert.equal(resolve([addressRecord(PEER, { owner: "evil.example" })]), "Allowed");
    assert.equal(connect(PEER), "Peer");
    assert.equal(resolve([addressRecord(PEER, { class: 3 })]), "Allowed");
    assert.equal(connect(PEER), "Peer");
    assert.equal(resolve([addressRecord(PEER, { owner: mixedCase(NAME) })]), "Allowed");
    assert.equal(connect(PEER), "Allowed");
  });

  test("names that may be asked are not thereby names to connect to", () => {
    scene.allow({ ...rules, l7: { dns: ["asked.example", NAME] } });
    assert.equal(resolve([addressRecord(PEER)], {}, "asked.example"), "Allowed");
    assert.equal(connect(PEER), "Peer");
    assert.equal(resolve([addressRecord(PEER)]), "Allowed");
    assert.equal(connect(PEER), "Allowed");
  });

  test("the port still has to be allowed, and the EtherType", () => {
    scene.allow({ ...rules, l4: { protocolPorts: [{ protocol: "udp", port: 53 }] } });
    assert.equal(resolve([addressRecord(PEER)]), "Allowed");
    assert.equal(connect(PEER), "Port");
  });

  test("incoming connections from a learned address are not thereby allowed", () => {
    scene.begin(appSpec(rules, { l4: { protocols: ["tcp"] } }));
    assert.equal(resolve([addressRecord(PEER)]), "Allowed");
    assert.equal(scene.in(PEER, tcp({ from: 4000, to: 80, flags: "S" }), { process: APP }), "Peer");
  });

  test("an address that several names led to: any of the last four", () => {
    const names = ["n1", "n2", "n3", "n4", "n5"].map((label) => `${label}.cdn.net`);
    scene.allow({ ...rules, fqdns: names });
    for (const name of names.slice(0, 4)) resolve([addressRecord(PEER, { ttl: 5000 })], {}, name);
    resolve([addressRecord(PEER, { ttl: 5000 })], {}, names[4]);
    scene.change(appSpec({ ...rules, fqdns: ["n2.cdn.net"] }));
    assert.equal(connect(PEER), "Allowed");
    scene.change(appSpec({ ...rules, fqdns: ["n1.cdn.net"] }));
    assert.equal(connect(PEER), "Peer");
  });

  test("names that no rule of the process connects to take no place, whatever their TTL", () => {
    scene.allow({ ...rules, fqdns: [NAME], l7: { dns: ["*"] } });
    resolve([addressRecord(PEER, { ttl: 30 })]);
    for (const name of ["a.b", "b.b", "c.b", "d.b", "e.b"]) resolve([addressRecord(PEER, { ttl: 5000 })], {}, name);
    assert.equal(connect(PEER), "Allowed");
    assert.equal(scene.harness.maps.dnsNames.count(), 1);
    for (let index = 0; index < 50; index += 1) resolve([addressRecord(`198.51.100.${index}`)], {}, `n${index}.b`);
    assert.equal(scene.harness.maps.learned.count(), 1);
  });

  test("while a workload is only learned from, all names are of interest", () => {
    scene.begin({ ...appSpec({ ...rules, fqdns: [] }), actions: ["learn"] });
    scene.watch(RESOLVER, udp({ from: 5000, to: 53 }, question(NAME)));
    scene.harness.run(
      "ingress",
      incoming(ip({ from: RESOLVER, to: OWN }, udp({ from: 53, to: 5000 }, answer(NAME, [addressRecord(PEER)])))),
    );
    assert.equal(scene.harness.maps.learned.count(), 1);
  });
});

describe("CNAME chains", () => {
  test("from the question to its address, compressed or not", () => {
    scene.allow(rules);
    const chain = [
      cnameRecord("a.cdn.net"),
      cnameRecord([1, 98, ...pointer(12 + wireName(NAME).length + 4 + 2 + 10 + 2)], { owner: "A.CDN.net" }),
      addressRecord(PEER, { owner: "b.cdn.net" }),
    ];
    assert.equal(resolve(chain), "Allowed");
    assert.equal(connect(PEER), "Allowed");
  });

  test("an address beside the chain does not count", () => {
    scene.allow(rules);
    assert.equal(resolve([cnameRecord("a.cdn.net"), addressRecord(PEER, { owner: "b.cdn.net" })]), "Allowed");
    assert.equal(connect(PEER), "Peer");
  });

  test("the name that was asked is the one that is learned, not the end of the chain", () => {
    scene.allow({ ...rules, fqdns: ["*.cdn.net"], l7: { dns: [NAME] } });
    assert.equal(resolve([cnameRecord("a.cdn.net"), addressRecord(PEER, { owner: "a.cdn.net" })]), "Allowed");
    assert.equal(connect(PEER), "Peer");
  });

  const chainOf = (length: number) => {
    const names = Array.from({ length }, (_, index) => `n${index}.cdn.net`);
    const links = names.map((name, index) =>
      cnameRecord(name, index === 0 ? {} : { owner: names[index - 1] as string }),
    );
    return [...links, addressRecord(PEER, { owner: names.at(-1) as string })];
  };

  test("of any length up to 32, in any order", () => {
    for (const length of [1, 7, 8, 12, 16, 31, 32]) {
      const chain = chainOf(length);
      const middle = Math.floor(length / 2);
      const orders = [chain, chain.toReversed(), [...chain.slice(middle).toReversed(), ...chain.slice(0, middle)]];
      for (const order of orders) {
        scene.allow(rules);
        assert.equal(resolve(order), "Allowed");
        assert.equal(connect(PEER), "Allowed", `${length} links`);
      }
    }
    assert.deepEqual(scene.harness.errorCounts(), {});
  });

  test("a longer one is given up, and counted", () => {
    scene.allow(rules);
    assert.equal(resolve(chainOf(33)), "Allowed");
    assert.equal(connect(PEER), "Peer");
    assert.deepEqual(scene.harness.errorCounts(), { DNS_CHAIN_LEFT: 1 });
  });

  test("a circle ends", () => {
    scene.allow(rules);
    const circle = [cnameRecord("a.cdn.net"), cnameRecord(NAME, { owner: "a.cdn.net" }), addressRecord(PEER)];
    assert.equal(resolve(circle), "Allowed");
    assert.equal(connect(PEER), "Allowed");
  });

  test("through names of any bytes", () => {
    scene.allow(rules);
    const label = Buffer.from("a b.c\u00e9\u0000");
    const odd = [label.length, ...label, ...wireName("cdn.net")];
    assert.equal(resolve([addressRecord(PEER, { owner: odd }), cnameRecord(odd)]), "Allowed");
    assert.equal(connect(PEER), "Allowed");
  });
});

describe("which answers count", () => {
  test("those to an outstanding question: same flow, id, name and type", () => {
    scene.allow(rules);
    const records = [addressRecord(PEER)];
    assert.equal(scene.ask(NAME, { id: 7 }), "Allowed");
    assert.equal(scene.reply(NAME, records, { id: 8 }), "Allowed");
    assert.equal(scene.reply("other.example.com", records, { id: 7 }), "Allowed");
    assert.equal(scene.reply(NAME, records, { id: 7, type: DNS_TYPE.AAAA }), "Allowed");
    assert.equal(connect(PEER), "Peer");
    assert.equal(scene.in(RESOLVER, udp({ from: 53, to: 5001 }, [])), "Unattributed");
    assert.equal(scene.reply(NAME, records, { id: 7 }), "Allowed");
    assert.equal(connect(PEER), "Allowed");
  });

  test("late and repeated ones, for 30 s; a question whose time is up has no answer", () => {
    scene.begin({ ...appSpec(rules), attacks: ["dns-spoofing"] });
    assert.equal(scene.ask(NAME), "Allowed");
    assert.equal(scene.reply(NAME, []), "Allowed");
    scene.harness.advance(29);
    assert.equal(scene.reply(NAME, [addressRecord(PEER)]), "Allowed");
    assert.equal(connect(PEER), "Allowed");
    scene.harness.advance(2);
    assert.equal(scene.reply(NAME, [addressRecord("192.0.2.8")]), "DnsSpoofing");
    assert.equal(connect("192.0.2.8"), "Peer");
  });

  test("errors that repeat no question count as answers, and teach nothing", () => {
    scene.begin({ ...appSpec(rules), attacks: ["dns-spoofing"] });
    const header = (id: number, rcode: number) => [0, id, 0x80, rcode, ...Array(8).fill(0)];
    assert.equal(scene.ask(NAME, { id: 7 }), "Allowed");
    for (const rcode of [1, 4, 5]) {
      assert.equal(scene.in(RESOLVER, udp({ from: 53, to: 5000 }, header(7, rcode))), "Allowed");
    }
    assert.equal(scene.in(RESOLVER, udp({ from: 53, to: 5000 }, header(8, 1))), "DnsSpoofing");
  });

  test("a question that was refused has no answer", () => {
    scene.allow(rules);
    assert.equal(scene.ask("evil.example"), "DnsName");
    scene.reply("evil.example", [addressRecord(PEER)]);
    assert.equal([...scene.harness.maps.learned.entries()].length, 0);
  });

  test("for the process that asked, and for no other", () => {
    allowBoth();
    assert.equal(resolve([addressRecord(PEER)]), "Allowed");
    assert.equal(connect(PEER), "Allowed");
    assert.equal(connect(PEER, OTHER), "Peer");
  });

  test("for both subjects of the socket that asked", () => {
    allowBoth();
    assert.equal(scene.ask(NAME, {}, { process: APP, creator: OTHER }), "Allowed");
    assert.equal(scene.reply(NAME, [addressRecord(PEER)]), "Allowed");
    assert.equal(connect(PEER), "Allowed");
    assert.equal(connect(PEER, OTHER), "Allowed");
  });

  test("for the container of who asked, and for the workload", () => {
    scene.allow(rules);
    assert.equal(scene.ask(NAME, {}, { process: APP, container: "app" }), "Allowed");
    assert.equal(scene.reply(NAME, [addressRecord(PEER)]), "Allowed");
    const syn = (from: number) => tcp({ from, to: 443, flags: "S" });
    assert.equal(scene.out(PEER, syn(1), { process: APP, container: "app" }), "Allowed");
    assert.equal(scene.out(PEER, syn(2), { process: APP, container: "sidecar" }), "Peer");
    scene.harness.become({ id: 2 });
    scene.change(appSpec(rules));
    assert.equal(scene.out(PEER, syn(3), { process: APP, container: "app" }), "Peer");
    scene.harness.become({ id: 1 });
  });

  test("under alert alone, from questions that enforcement would refuse too", () => {
    scene.begin({ ...appSpec({ ...rules, l7: { dns: [] } }), actions: ["alert"] });
    const asking = udp({ from: 5000, to: 53 }, question(NAME));
    const asked = scene.harness.run("egress", frame(ip({ from: OWN, to: RESOLVER }, asking)), { process: APP });
    assert.deepEqual(asked, { verdict: "alerted", reason: "DnsName" });
    assert.equal(scene.reply(NAME, [addressRecord(PEER)]), "Allowed");
    assert.equal(connect(PEER), "Allowed");
  });
});

describe("how long", () => {
  test("TTL within floor and ceiling, and a grace period", () => {
    scene.harness.configure({ fqdnMinTtl: 60_000, fqdnMaxTtl: 100_000, fqdnGrace: 5_000 });
    for (const [ttl, lives] of [
      [0, 65],
      [60, 65],
      [80, 85],
      [5000, 105],
      [0xffff_ffff, 105],
    ] as const) {
      scene.allow(rules);
      resolve([addressRecord(PEER, { ttl })]);
      scene.harness.advance(lives - 1);
      assert.equal(connect(PEER), "Allowed", `TTL ${ttl}`);
      scene.harness.advance(2);
      assert.equal(connect(PEER), "Peer", `TTL ${ttl}`);
    }
    scene.harness.configure({});
  });

  test("flows that are open when it expires live on", () => {
    scene.allow(rules);
    resolve([addressRecord(PEER, { ttl: 0 })]);
    assert.equal(scene.out(PEER, tcp({ from: 4000, to: 443, flags: "S" })), "Allowed");
    scene.harness.advance(1000);
    assert.equal(connect(PEER), "Peer");
    assert.equal(scene.out(PEER, tcp({ from: 4000, to: 443 }, "data")), "Allowed");
    assert.equal(scene.in(PEER, tcp({ from: 443, to: 4000 }, "data")), "Allowed");
  });

  test("a new answer renews it", () => {
    scene.allow(rules);
    resolve([addressRecord(PEER, { ttl: 0 })]);
    scene.harness.advance(80);
    resolve([addressRecord(PEER, { ttl: 0 })]);
    scene.harness.advance(80);
    assert.equal(connect(PEER), "Allowed");
  });
});
