/** Sections 6 and 7: every reason, under every combination of actions, with its verdict, counter and event. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { REASONS, type Reason, VERDICTS, type Verdict } from "../../src/api/reasons.ts";
import type { Action, SecurityProfileSpec } from "../../src/api/types.ts";
import type { PacketFacts } from "../../test/harness/classifier-harness.ts";
import { APP, incoming, OWN, OWN6, PEER, PEER6, RESOLVER, Scene, STRANGER } from "../../test/harness/scene.ts";
import { addressRecord, answer, question } from "../../test/packets/dns.ts";
import { arp, ETHERTYPE, frame } from "../../test/packets/ethernet.ts";
import { fragments, ip, ipv6 } from "../../test/packets/ip.ts";
import { SSH_BANNER } from "../../test/packets/payloads.ts";
import { neighbourAdvertisement, raw, type Transport, tcp, udp } from "../../test/packets/transport.ts";

const scene = new Scene("modes");
after(() => scene[Symbol.dispose]());

interface Violation {
  reason: Reason;
  direction?: "egress" | "ingress";
  frame: Buffer;
  facts?: PacketFacts;
  /** What has to happen first. */
  before?: () => void;
}

const sent = (to: string, transport: Transport) => frame(ip({ from: OWN, to }, transport));
const spec: SecurityProfileSpec = {
  attacks: ["arp-spoofing", "ip-spoofing", "ndp-spoofing", "dns-spoofing"],
  processes: [
    {
      path: APP.path,
      network: {
        egress: {
          cidr4: [`${PEER}/32`, `${RESOLVER}/32`],
          l4: { protocols: ["udp"] },
          l7: { protocols: ["dns"], dns: ["example.com"] },
        },
      },
    },
  ],
};
const asked = { frame: sent(RESOLVER, udp({ from: 5000, to: 53 }, question("example.com"))), facts: { process: APP } };

/** One violation per reason that the classifier can give to a workload that is known. */
const VIOLATIONS: Violation[] = [
  { reason: "Ethertype", frame: frame([1, 2, 3], { type: ETHERTYPE.lldp }) },
  { reason: "Peer", frame: sent("198.51.100.1", udp({ from: 1, to: 2 })), facts: { process: APP } },
  { reason: "Port", frame: sent(PEER, tcp({ from: 1, to: 2, flags: "S" })), facts: { process: APP } },
  { reason: "Application", frame: sent(PEER, udp({ from: 1, to: 2 }, SSH_BANNER)), facts: { process: APP } },
  {
    reason: "DnsName",
    frame: sent(RESOLVER, udp({ from: 5000, to: 53 }, question("evil.example"))),
    facts: { process: APP },
  },
  { reason: "DnsMalformed", frame: sent(RESOLVER, udp({ from: 5000, to: 53 }, "no DNS")), facts: { process: APP } },
  {
    reason: "Fragment",
    frame: frame(fragments({ from: OWN, to: PEER }, udp({ from: 1, to: 2 }, Array(64).fill(0)), [32])[1] as number[]),
  },
  { reason: "Malformed", frame: sent(PEER, raw(6, [1, 2, 3])), facts: { process: APP } },
  { reason: "BinaryUnknown", frame: sent(PEER, udp({ from: 1, to: 2 })), facts: { process: STRANGER } },
  {
    reason: "BinaryModified",
    frame: sent(PEER, udp({ from: 1, to: 2 })),
    facts: { process: { ...APP, modified: true } },
  },
  { reason: "Unattributed", frame: sent(PEER, udp({ from: 1, to: 2 })) },
  { reason: "ArpSpoofing", frame: arp({ sender: "10.0.0.1", target: OWN }) },
  {
    reason: "IpSpoofing",
    frame: frame(ip({ from: "10.0.0.99", to: PEER }, udp({ from: 1, to: 2 }))),
    facts: { process: APP },
  },
  { reason: "NdpSpoofing", frame: frame(ipv6({ from: OWN6, to: PEER6 }, neighbourAdvertisement("fd00::1"))) },
  {
    reason: "DnsSpoofing",
    direction: "ingress",
    before: () => scene.harness.run("egress", asked.frame, asked.facts),
    frame: incoming(
      ip(
        { from: RESOLVER, to: OWN },
        udp({ from: 53, to: 5000 }, answer("example.com", [addressRecord(PEER)], { id: 9 })),
      ),
    ),
  },
];

/** Actions, the verdict on a violation under them, and whether it is reported. */
const MODES: [Action[], Verdict, number][] = [
  [["enforce"], "dropped", 0],
  [["alert", "enforce"], "dropped", 1],
  [["alert"], "alerted", 1],
  [[], "counted", 0],
  [["learn", "alert"], "alerted", 1],
  [["learn", "enforce"], "dropped", 0],
];

/** `learn` does not stand beside the others in one profile, but another profile may have it. */
function begin(actions: Action[]) {
  const [learns, others] = [
    actions.filter((action) => action === "learn"),
    actions.filter((action) => action !== "learn"),
  ];
  scene.begin({ ...spec, actions: others }, ...(learns.length > 0 ? [{ actions: learns, processes: [] }] : []));
}

for (const [actions, verdict, events] of MODES) {
  describe(`actions [${actions.join(", ")}]: violations are ${verdict}${events ? " and reported" : ""}`, () => {
    for (const { reason, direction = "egress", frame: bytes, facts, before } of VIOLATIONS) {
      test(reason, () => {
        begin(actions);
        before?.();
        scene.harness.takeRecords();
        assert.deepEqual(scene.harness.run(direction, bytes, facts), { verdict, reason });
        assert.equal(countOf(reason, verdict).packets, 1n);
        assert.equal(countOf(reason, verdict).bytes, BigInt(bytes.length));
        const reported = scene.harness
          .takeRecords()
          .map(({ header, packet }) => [REASONS[packet.reason], VERDICTS[packet.verdict], header.count]);
        assert.deepEqual(reported, events ? [[reason, verdict, 1n]] : []);
      });
    }
  });
}

describe("learn alone: nothing is judged", () => {
  for (const { reason, direction = "egress", frame: bytes, facts, before } of VIOLATIONS) {
    test(reason, () => {
      scene.begin({ ...spec, actions: ["learn"] });
      before?.();
      assert.deepEqual(scene.harness.run(direction, bytes, facts), { verdict: "allowed", reason: "Allowed" });
      assert.deepEqual(scene.harness.takeRecords(), []);
    });
  }
});

describe("pending: everything is dropped and reported, whatever it is", () => {
  for (const { reason, direction = "egress", frame: bytes, facts } of VIOLATIONS) {
    test(`instead of ${reason}`, () => {
      scene.harness.clear();
      scene.harness.apply("pending");
      assert.deepEqual(scene.harness.run(direction, bytes, facts), { verdict: "dropped", reason: "Pending" });
      assert.equal(scene.harness.takeRecords().length, 1);
      assert.equal(countOf("Pending", "dropped").packets, 1n);
    });
  }
});

describe("unrestricted: nothing is judged, counted or reported", () => {
  for (const { reason, direction = "egress", frame: bytes } of VIOLATIONS) {
    test(`not ${reason}`, () => {
      scene.harness.clear();
      scene.harness.apply("unrestricted");
      assert.equal(scene.harness.action(direction, bytes), -1);
      assert.equal(scene.harness.maps.counters.count(), 0);
      assert.deepEqual(scene.harness.takeRecords(), []);
    });
  }
});

test("a change of mode takes effect on open flows too", () => {
  const refused = sent("198.51.100.1", udp({ from: 1, to: 2 }));
  const judge = (actions: Action[]) => {
    scene.change({ ...spec, actions });
    return scene.harness.run("egress", refused, { process: APP })?.verdict;
  };
  scene.begin(spec);
  assert.deepEqual(
    [["alert"], ["enforce"], ["alert"], []].map((actions) => judge(actions as Action[])),
    ["alerted", "dropped", "alerted", "counted"],
  );
});

test("the answer to a violation that is only watched is a violation too, and not reported twice", () => {
  scene.begin({ ...spec, actions: ["alert"] });
  scene.harness.run("egress", sent("198.51.100.1", udp({ from: 1, to: 2 })), { process: APP });
  assert.equal(scene.harness.takeRecords().length, 1);
  const back = incoming(ip({ from: "198.51.100.1", to: OWN }, udp({ from: 2, to: 1 })));
  assert.deepEqual(scene.harness.run("ingress", back), { verdict: "alerted", reason: "Peer" });
  assert.deepEqual(scene.harness.takeRecords(), []);
});

function countOf(reason: Reason, verdict: Verdict) {
  let sum = { packets: 0n, bytes: 0n };
  for (const [key, { packets, bytes }] of scene.harness.maps.counters.entries()) {
    if (REASONS[key.reason] !== reason || VERDICTS[key.verdict] !== verdict) continue;
    sum = { packets: sum.packets + packets, bytes: sum.bytes + bytes };
  }
  return sum;
}
