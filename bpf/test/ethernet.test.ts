/** Ethernet, VLAN tags and ARP: section 4, layer 1 (EtherType). */
import assert from "node:assert/strict";
import { after, beforeEach, describe, test } from "node:test";
import { OWN, PEER, Scene } from "../../test/harness/scene.ts";
import { arp, ETHERTYPE, frame, HOST_MAC, tagged } from "../../test/packets/ethernet.ts";
import { ipv4 } from "../../test/packets/ip.ts";
import { ping } from "../../test/packets/transport.ts";

const scene = new Scene("ethernet");
after(() => scene[Symbol.dispose]());

const GATEWAY = "10.0.0.1";
const OTHER = "10.0.0.99";
const everything = { cidr4: ["0.0.0.0/0"], cidr6: ["::/0"], l4: { protocols: ["any" as const] } };

describe("frames that are neither IP nor ARP", () => {
  beforeEach(() => scene.begin({ actions: ["enforce"], default: { egress: everything, ingress: everything } }));

  test("no profile can name them: Ethertype, in both directions", () => {
    for (const type of [ETHERTYPE.lldp, 0x8864, 46]) {
      const bytes = frame([1, 2, 3, 4], { type });
      assert.equal(scene.outFrame(bytes, {}), "Ethertype");
      assert.equal(scene.inFrame(bytes), "Ethertype");
    }
  });

  test("a VLAN tag hides what is inside: Ethertype", () => {
    const inner = frame(ipv4({ from: OWN, to: PEER }, ping()));
    assert.equal(scene.outFrame(inner, {}), "Allowed");
    assert.equal(scene.outFrame(tagged(inner, 5), {}), "Ethertype");
  });

  test("the kernel that allows an IPv4 packet does not allow it under IPv6's EtherType", () => {
    const packet = [...ipv4({ from: OWN, to: PEER }, ping()), ...Array(20).fill(0)];
    assert.equal(scene.outFrame(frame(packet, { type: ETHERTYPE.ipv6 }), {}), "Malformed");
  });
});

describe("ARP without a `default`: what the kernel says and hears", () => {
  beforeEach(() => scene.begin({ actions: ["enforce"], processes: [] }));
  const said = [
    arp({ sender: OWN, target: GATEWAY }),
    arp({ operation: 2, sender: OWN, target: GATEWAY }),
    arp({ sender: "0.0.0.0", target: OWN }),
    arp({ sender: OWN, target: OWN }),
  ];

  test("the kernel asks for others, answers for itself, and probes for its own", () => {
    for (const bytes of said) assert.equal(scene.outFrame(bytes, { socketless: true }), "Allowed");
  });

  test("it may have an address that nobody else knows of yet", () => {
    assert.equal(scene.outFrame(arp({ sender: OTHER, target: OTHER }), { socketless: true }), "Allowed");
  });

  test("a packet socket's is a process's, though it says the same", () => {
    for (const bytes of said) assert.equal(scene.outFrame(bytes, {}), "Ethertype");
  });

  test("it is asked for, and answered", () => {
    assert.equal(scene.inFrame(arp({ sender: GATEWAY, senderMac: HOST_MAC, target: OWN })), "Allowed");
    assert.equal(scene.inFrame(arp({ operation: 2, sender: GATEWAY, senderMac: HOST_MAC, target: OWN })), "Allowed");
    assert.equal(scene.inFrame(arp({ sender: GATEWAY, senderMac: HOST_MAC, target: OTHER })), "Allowed");
  });

  test("it hears of neighbours that announce themselves, and of nothing else that is not for it", () => {
    assert.equal(scene.inFrame(arp({ operation: 2, sender: OTHER, senderMac: HOST_MAC, target: OTHER })), "Allowed");
    assert.equal(
      scene.inFrame(arp({ operation: 2, sender: GATEWAY, senderMac: HOST_MAC, target: OTHER })),
      "Ethertype",
    );
  });

  test("it belongs to no process, so a process's rights do not matter", () => {
    scene.allow({ ...everything, l3: { protocols: ["ipv4", "ipv6", "arp"] } });
    assert.equal(scene.outFrame(arp({ operation: 2, sender: OTHER, target: GATEWAY })), "Ethertype");
  });
});

describe("ARP with a `default`: its EtherTypes alone", () => {
  test("without `arp` none passes, with it all of that direction", () => {
    const withArp = { ...everything, l3: { protocols: ["ipv4" as const, "ipv6" as const, "arp" as const] } };
    scene.begin({ actions: ["enforce"], default: { egress: withArp, ingress: everything } });
    assert.equal(scene.outFrame(arp({ sender: OTHER, target: GATEWAY }), {}), "Allowed");
    assert.equal(scene.inFrame(arp({ sender: GATEWAY, senderMac: HOST_MAC, target: OWN })), "Ethertype");
    scene.begin({ actions: ["enforce"], default: { egress: everything } });
    assert.equal(scene.outFrame(arp({ sender: OWN, target: GATEWAY }), {}), "Ethertype");
    assert.equal(scene.inFrame(arp({ sender: GATEWAY, senderMac: HOST_MAC, target: OWN })), "Ethertype");
  });
});

describe("ARP that is ill-formed", () => {
  const good = arp({ sender: OWN, target: GATEWAY });
  const changed = (offset: number, value: number) => {
    const bytes = Buffer.from(good);
    bytes[14 + offset] = value;
    return bytes;
  };

  test("cut off, or of other address types and lengths: Malformed", () => {
    scene.begin({ actions: ["enforce"], processes: [] });
    for (const bytes of [
      good.subarray(0, 41),
      good.subarray(0, 14),
      changed(1, 6),
      changed(3, 1),
      changed(4, 8),
      changed(5, 16),
    ]) {
      assert.equal(scene.outFrame(bytes, {}), "Malformed");
    }
  });

  test("behind it there is padding up to the shortest Ethernet frame, zeros in what leaves: Malformed otherwise", () => {
    scene.begin({ actions: ["enforce"], processes: [] });
    const padded = (length: number, value = 0) => Buffer.concat([good, Buffer.alloc(length, value)]);
    for (const bytes of [padded(1), padded(18)]) assert.equal(scene.outFrame(bytes, { socketless: true }), "Allowed");
    for (const bytes of [padded(19), padded(1300), padded(1, 7), padded(18, 7)])
      assert.equal(scene.outFrame(bytes, { socketless: true }), "Malformed");
    assert.equal(scene.inFrame(padded(18, 7)), "Allowed");
    assert.equal(scene.inFrame(padded(19)), "Malformed");
  });
});
