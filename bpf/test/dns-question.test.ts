/** Section 5: which names may be asked, and what a question has to look like. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import type { EgressRules } from "../../src/api/types.ts";
import { APP, appSpec, OWN, PEER, RESOLVER, RESOLVER6, Scene, tableOf } from "../../test/harness/scene.ts";
import {
  addressRecord,
  answer,
  DNS_TYPE,
  ednsRecord,
  type MessageFields,
  mixedCase,
  pointer,
  question,
  wireName,
} from "../../test/packets/dns.ts";
import { frame } from "../../test/packets/ethernet.ts";
import { fragments } from "../../test/packets/ip.ts";
import { udp } from "../../test/packets/transport.ts";

const scene = new Scene("dns-question");
after(() => scene[Symbol.dispose]());

const resolvers = {
  cidr4: [`${RESOLVER}/32`],
  cidr6: [`${RESOLVER6}/128`],
  l4: { protocols: ["udp" as const, "tcp" as const] },
};
const allow = (rules: EgressRules) => scene.allow({ ...resolvers, ...rules });

const LABEL = "l".repeat(63);
/** 253 bytes. */
const LONGEST = [LABEL, LABEL, LABEL, "l".repeat(61)].join(".");

describe("which names", () => {
  test("without `fqdns` and `l7.dns`, any: the packet still has to pass layers 1 to 4", () => {
    allow({});
    for (const name of ["example.com", "", LONGEST, "_sip._tcp.x", "!~"]) assert.equal(scene.ask(name), "Allowed");
    assert.equal(scene.out(PEER, udp({ from: 4000, to: 53 }, question("example.com"))), "Peer");
  });

  test("`l7.dns`: those listed, whatever is asked of them", () => {
    allow({ l7: { dns: ["example.com"] } });
    for (const type of [DNS_TYPE.A, DNS_TYPE.AAAA, DNS_TYPE.TXT, 10, 255]) {
      assert.equal(scene.ask("example.com", { type }), "Allowed");
      assert.equal(scene.ask("example.org", { type }), "DnsName");
    }
  });

  test("`fqdns` may be asked where `l7.dns` is absent, and only then", () => {
    allow({ fqdns: ["example.com"] });
    assert.equal(scene.ask("example.com"), "Allowed");
    assert.equal(scene.ask("example.org"), "DnsName");
    allow({ fqdns: ["example.com"], l7: { dns: ["example.org"] } });
    assert.equal(scene.ask("example.com"), "DnsName");
    assert.equal(scene.ask("example.org"), "Allowed");
  });

  test("without case, DNS 0x20 included", () => {
    allow({ fqdns: ["www.example.com"] });
    assert.equal(scene.ask(mixedCase("www.example.com")), "Allowed");
    assert.equal(scene.ask("WWW.EXAMPLE.COM"), "Allowed");
  });

  test("neither more nor fewer labels or bytes than the name", () => {
    allow({ fqdns: ["www.example.com"] });
    for (const name of [
      "example.com",
      "a.www.example.com",
      "ww.example.com",
      "www.example.comm",
      "xwww.example.com",
      "com",
      "",
    ]) {
      assert.equal(scene.ask(name), "DnsName", name);
    }
    assert.equal(scene.ask(wireName("www.example.com").with(4, 0x80)), "DnsMalformed");
  });

  test("a wildcard matches one label or more below its suffix, not the suffix, and nothing beside it", () => {
    allow({ fqdns: ["*.example.com"] });
    for (const name of ["a.example.com", "a.b.example.com", "_x.example.com"]) assert.equal(scene.ask(name), "Allowed");
    for (const name of ["example.com", "badexample.com", "example.com.evil"]) assert.equal(scene.ask(name), "DnsName");
  });

  test("`*` matches every name, the root too", () => {
    allow({ fqdns: ["*"] });
    for (const name of ["example.com", "com", "", LONGEST]) assert.equal(scene.ask(name), "Allowed", name);
  });

  test("the longest name there is", () => {
    allow({ fqdns: [LONGEST] });
    assert.equal(scene.ask(LONGEST), "Allowed");
    assert.equal(scene.ask(LONGEST.replace(/l$/, "k")), "DnsName");
    assert.equal(scene.ask(`x${LONGEST.slice(1)}`), "DnsName");
    assert.equal(scene.ask([...wireName(LONGEST).slice(0, -1), 1, 97, 0]), "DnsMalformed");
  });

  test("search domains: what the resolver makes of a listed name may be asked too", () => {
    scene.begin();
    scene.harness.apply(
      tableOf([appSpec({ ...resolvers, fqdns: ["api", "*.s3.aws"] })], ["ns.svc.local", "svc.local"]),
    );
    for (const name of ["api", "api.ns.svc.local", "api.svc.local", "x.s3.aws.svc.local"]) {
      assert.equal(scene.ask(name), "Allowed", name);
    }
    for (const name of ["other.ns.svc.local", "ns.svc.local", "s3.aws.svc.local"])
      assert.equal(scene.ask(name), "DnsName");
  });

  test("a union of profiles: names of all, but of each only where it lets the packet through", () => {
    scene.begin(
      appSpec({ ...resolvers, fqdns: ["example.com"] }),
      appSpec({ cidr4: ["10.0.0.54/32"], l4: resolvers.l4, fqdns: ["example.org"] }),
    );
    assert.equal(scene.ask("example.com"), "Allowed");
    assert.equal(scene.ask("example.org"), "DnsName");
    assert.equal(scene.ask("example.org", {}, { process: APP }, "10.0.0.54"), "Allowed");
  });

  test("a block that lets no DNS through cannot ask: Application", () => {
    allow({ l7: { protocols: ["http"] } });
    assert.equal(scene.ask("example.com"), "Application");
    allow({ l7: { protocols: ["http", "dns"] } });
    assert.equal(scene.ask("example.com"), "Allowed");
  });

  test("the stricter of two subjects decides", () => {
    const narrow = { path: "/bin/narrow" };
    scene.begin({
      actions: ["enforce"],
      processes: [
        { path: APP.path, network: { egress: { ...resolvers, fqdns: ["*"] } } },
        { path: narrow.path, network: { egress: { ...resolvers, fqdns: ["example.com"] } } },
      ],
    });
    assert.equal(scene.ask("example.com", {}, { process: APP, creator: narrow }), "Allowed");
    assert.equal(scene.ask("example.org", {}, { process: APP, creator: narrow }), "DnsName");
    assert.equal(scene.ask("example.org", { id: 2 }, { process: narrow, creator: APP }), "DnsName");
  });

  test("over IPv6 as well", () => {
    allow({ fqdns: ["example.com"] });
    assert.equal(scene.ask("example.com", {}, { process: APP }, RESOLVER6), "Allowed");
    assert.equal(scene.ask("example.org", {}, { process: APP }, RESOLVER6), "DnsName");
  });
});

describe("what a question looks like", () => {
  const ask = (fields: MessageFields) => {
    allow({});
    return scene.ask("example.com", fields);
  };
  const askRaw = (name: number[]) => {
    allow({});
    return scene.ask(name);
  };

  test("EDNS", () => assert.equal(ask({ additional: [ednsRecord()] }), "Allowed"));

  test("one question: no more, no fewer", () => {
    for (const questionCount of [0, 2, 65535]) assert.equal(ask({ questionCount }), "DnsMalformed");
  });

  test("a plain query has no answers in it", () => {
    assert.equal(ask({ answers: [addressRecord(PEER)] }), "DnsMalformed");
    assert.equal(ask({ authorities: [addressRecord(PEER)] }), "DnsMalformed");
    assert.equal(ask({ flags: 0x0110 }), "Allowed");
  });

  test("an answer from the side that asks is none", () => {
    allow({});
    assert.equal(scene.out(RESOLVER, udp({ from: 5000, to: 53 }, answer("example.com", []))), "DnsMalformed");
  });

  test("a name that is not compressed and not too long", () => {
    assert.equal(askRaw([...wireName("www").slice(0, -1), ...pointer(12)]), "DnsMalformed");
    assert.equal(askRaw(pointer(12)), "DnsMalformed");
    assert.equal(askRaw([64, ...Array(64).fill(97), 0]), "DnsMalformed");
    assert.equal(askRaw([63, ...Array(63).fill(97), 0]), "Allowed");
    assert.equal(askRaw([0x80, 97, 0]), "DnsMalformed");
    const labels = (count: number) => [...Array.from({ length: count }, () => [1, 97]).flat(), 0];
    assert.equal(askRaw(labels(127)), "Allowed");
    assert.equal(askRaw(labels(128)), "DnsMalformed");
  });

  test("labels of any bytes (RFC 2181, 11): under a wildcard, never as another name", () => {
    const label = (bytes: Uint8Array | number[]) => [bytes.length, ...bytes];
    const texts = ["Büro, 2. Stock", "a.b and \\n c\u0007 "].map((text) => Buffer.from(text));
    const odd = [...[0, 0x20, 0x2e, 0x41, 0x5c, 0x7f, 0x80, 0xff].map((byte) => [byte]), ...texts].map((bytes) => [
      ...label(bytes),
      ...wireName("example.com"),
    ]);
    for (const [names, reason] of [
      [["*"], "Allowed"],
      [["*.example.com"], "Allowed"],
      [["example.com", "b.example.com"], "DnsName"],
    ] as const) {
      allow({ fqdns: [...names] });
      for (const name of odd) {
        assert.equal(scene.ask(name), reason, `${name} ${names}`);
      }
    }
    allow({ fqdns: ["example.com", "*.example.com"] });
    assert.equal(scene.ask([11, ...Buffer.from("example.com"), 0]), "DnsName", "one label with a dot in it");
    assert.equal(scene.ask([13, ...Buffer.from("a.example.com"), 0]), "DnsName");
  });

  test("cut off anywhere, it is ill-formed", () => {
    allow({});
    const whole = question("example.com");
    for (let length = 0; length < whole.length; length += 1) {
      assert.equal(
        scene.out(RESOLVER, udp({ from: 5000, to: 53 }, whole.slice(0, length))),
        "DnsMalformed",
        `${length} bytes`,
      );
    }
  });

  test("a UDP length that hides a part of it cuts it off", () => {
    allow({});
    const whole = question("example.com");
    assert.equal(scene.out(RESOLVER, udp({ from: 5000, to: 53, length: 8 + whole.length - 1 }, whole)), "DnsMalformed");
  });

  test("a question in fragments is a violation, and so are its fragments", () => {
    allow({});
    const datagram = udp({ from: 5000, to: 53 }, question("a-rather-long-name.example.com"));
    const frames = fragments({ from: OWN, to: RESOLVER }, datagram, [40]).map((packet) => frame(packet));
    assert.deepEqual(
      frames.map((bytes) => scene.outFrame(bytes)),
      ["DnsMalformed", "DnsMalformed"],
    );
  });

  test("segmentation offload: one packet is several questions, and each is judged", () => {
    allow({ fqdns: ["a.example.com", "b.example.com"] });
    const [good, other, bad] = ["a", "b", "c"].map((label) => question(`${label}.example.com`)) as [
      number[],
      number[],
      number[],
    ];
    const offload = (gsoSize: number, ...messages: number[][]) =>
      scene.out(RESOLVER, udp({ from: 5000, to: 53 }, messages.flat()), {
        process: APP,
        gsoSegments: messages.length,
        gsoSize,
      });
    const { length } = good;
    assert.equal(offload(length, good, other, good), "Allowed");
    assert.equal(offload(length, good, bad, good), "DnsName");
    assert.equal(offload(length, good, other, bad), "DnsName");
    assert.equal(offload(length, ...Array(40).fill(good)), "Allowed");
    assert.equal(offload(length, ...Array(40).fill(good), bad), "DnsName");
    assert.equal(offload(20, good, other), "DnsMalformed", "cut where no question ends");
    assert.equal(offload(0, good, other), "DnsMalformed", "of unknown size, it is one");
  });
});

test("more DNS ports by a setting", () => {
  scene.harness.configure({ dnsPorts: [53, 5353] });
  scene.allow({ cidr4: ["0.0.0.0/0"], l4: { protocols: ["udp"] }, fqdns: ["example.com"] });
  assert.equal(scene.out(PEER, udp({ from: 4000, to: 5353 }, question("example.org"))), "DnsName");
  assert.equal(scene.out(PEER, udp({ from: 4000, to: 5353 }, "no DNS")), "DnsMalformed");
  scene.harness.configure({});
  scene.harness.clear();
  assert.equal(scene.out(PEER, udp({ from: 4000, to: 5353 }, "no DNS")), "Allowed");
});

test("a workload that is itself a resolver: questions come in to its port", () => {
  const rules = { cidr4: ["0.0.0.0/0"], l4: { protocolPorts: [{ protocol: "udp" as const, port: 53 }] } };
  scene.allow(null, rules);
  assert.equal(scene.in(PEER, udp({ from: 4000, to: 53 }, question("example.com")), { process: APP }), "Allowed");
  assert.equal(scene.out(PEER, udp({ from: 53, to: 4000 }, answer("example.com", [addressRecord(PEER)]))), "Allowed");
  assert.equal(scene.in(PEER, udp({ from: 4000, to: 53 }, "no DNS"), { process: APP }), "DnsMalformed");
  assert.equal([...scene.harness.maps.learned.entries()].length, 0, "what it tells others teaches it nothing");
});
