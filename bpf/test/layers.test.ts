/** Section 4, layers 1 to 3: EtherType, peer, and port; and section 3: which rules are a process's. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import type { EgressRules } from "../../src/api/types.ts";
import { APP, appSpec, PEER, PEER6, Scene, STRANGER } from "../../test/harness/scene.ts";
import { icmp, ping, ping6, raw, sctp, tcp, udp } from "../../test/packets/transport.ts";

const scene = new Scene("layers");
after(() => scene[Symbol.dispose]());

const any = { protocols: ["any" as const] };
const syn = (to: number, from = 4000) => tcp({ from, to, flags: "S" });

describe("layer 1: EtherType", () => {
  test("where `l3` is absent, the families that the destinations imply", () => {
    scene.allow({ cidr4: ["0.0.0.0/0"], l4: any });
    assert.equal(scene.out(PEER, syn(80)), "Allowed");
    assert.equal(scene.out(PEER6, syn(80)), "Ethertype");
    scene.allow({ cidr6: ["::/0"], l4: any });
    assert.equal(scene.out(PEER, syn(80)), "Ethertype");
    assert.equal(scene.out(PEER6, syn(80)), "Allowed");
  });

  test("names imply both; no destination at all is a matter of the peer", () => {
    scene.allow({ fqdns: ["example.com"], l4: any });
    assert.equal(scene.out(PEER, syn(80)), "Peer");
    assert.equal(scene.out(PEER6, syn(80)), "Peer");
    scene.allow({ l4: any });
    assert.equal(scene.out(PEER, syn(80)), "Peer");
    assert.equal(scene.out(PEER6, syn(80)), "Peer");
  });

  test("`l3` is the whole truth where it is there", () => {
    scene.allow({ cidr6: ["::/0"], l3: { protocols: ["ipv6"] }, l4: any });
    assert.equal(scene.out(PEER, syn(80)), "Ethertype");
    assert.equal(scene.out(PEER6, syn(80)), "Allowed");
  });
});

describe("layer 2: peer", () => {
  test("none listed, none allowed", () => {
    scene.allow(null, null);
    assert.equal(scene.out(PEER, syn(80)), "Peer");
    assert.equal(scene.in(PEER, syn(80), { process: APP }), "Peer");
  });

  test("IPv4 networks to the bit", () => {
    scene.allow({ cidr4: ["192.0.2.8/29", "198.51.100.1/32"], l4: any });
    const verdicts = ["192.0.2.7", "192.0.2.8", "192.0.2.15", "192.0.2.16", "198.51.100.0", "198.51.100.1"].map((to) =>
      scene.out(to, syn(80)),
    );
    assert.deepEqual(verdicts, ["Peer", "Allowed", "Allowed", "Peer", "Peer", "Allowed"]);
  });

  test("IPv6 networks to the bit", () => {
    scene.allow({ cidr6: ["2001:db8::/33", "2001:db8:8000::7/128"], l4: any });
    const verdicts = ["2001:db8::1", "2001:db8:7fff::", "2001:db8:8000::7", "2001:db8:8000::8", "2001:db9::"].map(
      (to) => scene.out(to, syn(80)),
    );
    assert.deepEqual(verdicts, ["Allowed", "Allowed", "Allowed", "Peer", "Peer"]);
  });

  test("networks within networks: each with the ports of its own block, and of those around it", () => {
    const block = (cidr: string, port: number): EgressRules => ({
      cidr4: [cidr],
      l4: { protocolPorts: [{ protocol: "tcp", port }] },
    });
    scene.begin(appSpec(block("10.0.0.0/8", 80)), appSpec(block("10.1.0.0/16", 81)), appSpec(block("10.1.2.3/32", 82)));
    const ports = (to: string) => [80, 81, 82].filter((port) => scene.out(to, syn(port)) === "Allowed");
    assert.deepEqual(ports("10.9.9.9"), [80]);
    assert.deepEqual(ports("10.1.9.9"), [80, 81]);
    assert.deepEqual(ports("10.1.2.3"), [80, 81, 82]);
    assert.deepEqual(ports("11.0.0.1"), []);
    assert.equal(scene.out("11.0.0.1", syn(80)), "Peer");
    assert.equal(scene.out("10.9.9.9", syn(81)), "Port");
  });

  test("a union of profiles is no cross product: address of one, port of another", () => {
    scene.begin(
      appSpec({ cidr4: ["192.0.2.7/32"], l4: { protocolPorts: [{ protocol: "tcp", port: 80 }] } }),
      appSpec({ cidr4: ["192.0.2.8/32"], l4: { protocolPorts: [{ protocol: "tcp", port: 443 }] } }),
    );
    assert.equal(scene.out("192.0.2.7", syn(80)), "Allowed");
    assert.equal(scene.out("192.0.2.8", syn(443)), "Allowed");
    assert.equal(scene.out("192.0.2.7", syn(443)), "Port");
    assert.equal(scene.out("192.0.2.8", syn(80)), "Port");
  });
});

describe("layer 3: protocol and port", () => {
  test("ranges to their ends, and no further", () => {
    scene.allow({ cidr4: ["0.0.0.0/0"], l4: { protocolPorts: [{ protocol: "tcp", port: 1023, endPort: 2049 }] } });
    const verdicts = [1022, 1023, 1024, 2047, 2048, 2049, 2050].map((port) => scene.out(PEER, syn(port)));
    assert.deepEqual(verdicts, ["Port", ...Array(5).fill("Allowed"), "Port"]);
    assert.equal(scene.out(PEER, udp({ from: 4000, to: 1024 })), "Port");
  });

  test("the whole range of ports, and its first and last", () => {
    scene.allow({ cidr4: ["0.0.0.0/0"], l4: { protocolPorts: [{ protocol: "udp", port: 1, endPort: 65535 }] } });
    assert.equal(scene.out(PEER, udp({ from: 4000, to: 1 })), "Allowed");
    assert.equal(scene.out(PEER, udp({ from: 4000, to: 65535 })), "Allowed");
    assert.equal(scene.out(PEER, udp({ from: 4000, to: 0 })), "Port");
  });

  test("SCTP has ports too", () => {
    scene.allow({ cidr4: ["0.0.0.0/0"], l4: { protocolPorts: [{ protocol: "sctp", port: 3868 }] } });
    assert.equal(scene.out(PEER, sctp({ from: 4000, to: 3868 })), "Allowed");
    assert.equal(scene.out(PEER, sctp({ from: 4000, to: 3869 })), "Port");
  });

  test("protocols by name and number; ICMP is not ICMPv6", () => {
    scene.allow({ cidr4: ["0.0.0.0/0"], cidr6: ["::/0"], l4: { protocols: ["icmp", 47] } });
    assert.equal(scene.out(PEER, ping()), "Allowed");
    assert.equal(scene.out(PEER, icmp({ type: 5 })), "Allowed");
    assert.equal(scene.out(PEER, raw(47, "x")), "Allowed");
    assert.equal(scene.out(PEER, raw(48, "x")), "Port");
    assert.equal(scene.out(PEER6, ping6()), "Port");
  });

  test("nothing listed, nothing allowed", () => {
    scene.allow({ cidr4: ["0.0.0.0/0"] });
    assert.equal(scene.out(PEER, syn(80)), "Port");
    assert.equal(scene.out(PEER, ping()), "Port");
  });

  test("ingress goes by the local port, egress by the remote one", () => {
    const rules: EgressRules = { cidr4: ["0.0.0.0/0"], l4: { protocolPorts: [{ protocol: "tcp", port: 80 }] } };
    scene.allow(rules, rules);
    assert.equal(scene.in(PEER, tcp({ from: 4000, to: 80, flags: "S" }), { process: APP }), "Allowed");
    assert.equal(scene.in(PEER, tcp({ from: 80, to: 4000, flags: "S" }), { process: APP }), "Port");
    assert.equal(scene.out(PEER, tcp({ from: 80, to: 4000, flags: "S" })), "Port");
  });
});

describe("section 3: which process", () => {
  const open = { cidr4: ["0.0.0.0/0"], cidr6: ["::/0"], l4: any };

  test("without a `default`: who is not listed is unknown, and traffic of nobody is unattributed", () => {
    scene.allow(open);
    assert.equal(scene.out(PEER, syn(80), { process: STRANGER }), "BinaryUnknown");
    assert.equal(scene.out(PEER, syn(80), {}), "Unattributed");
    assert.equal(scene.in(PEER, ping()), "Unattributed");
  });

  test("with a `default`: both are judged by it, with the layer's reasons", () => {
    scene.begin({ ...appSpec(open), default: { egress: { cidr4: [`${PEER}/32`], l4: { protocols: ["tcp"] } } } });
    assert.equal(scene.out(PEER, syn(80), { process: STRANGER }), "Allowed");
    assert.equal(scene.out(PEER, syn(80, 4001), {}), "Allowed");
    assert.equal(scene.out("192.0.2.9", syn(80), {}), "Peer");
    assert.equal(scene.out(PEER, udp({ from: 1, to: 2 }), { process: STRANGER }), "Port");
    assert.equal(scene.in(PEER, syn(80)), "Peer");
  });

  test("a changed binary has no rights but those of `binary: Any`", () => {
    const modified = { process: { ...APP, modified: true } };
    scene.allow(open);
    assert.equal(scene.out(PEER, syn(80), modified), "BinaryModified");
    const anyBinary = (rules: EgressRules) => ({
      actions: ["enforce" as const],
      processes: [{ path: APP.path, binary: "Any" as const, network: { egress: rules } }],
    });
    scene.begin(appSpec(open), anyBinary({ cidr4: [`${PEER}/32`], l4: { protocols: ["udp"] } }));
    assert.equal(scene.out(PEER, udp({ from: 1, to: 2 }), modified), "Allowed");
    assert.equal(scene.out(PEER, syn(80), modified), "Port");
    assert.equal(scene.out(PEER, syn(80)), "Allowed");
  });

  test("a changed binary that `default` judges is reported as changed, whichever layer refused it", () => {
    scene.begin({
      ...appSpec(open),
      default: { egress: { cidr4: [`${PEER}/32`], l4: any, l7: { protocols: ["tls"] } } },
    });
    const modified = { process: { ...APP, modified: true } };
    assert.equal(scene.out("192.0.2.9", syn(80), modified), "BinaryModified");
    assert.equal(scene.out(PEER6, syn(80), modified), "BinaryModified");
    assert.equal(scene.out(PEER, udp({ from: 1, to: 80 }, "plain text"), modified), "BinaryModified");
  });

  test("the entry for a container comes before the one for any", () => {
    scene.begin({
      actions: ["enforce"],
      processes: [
        { path: APP.path, network: { egress: { cidr4: ["192.0.2.7/32"], l4: any } } },
        { path: APP.path, container: "sidecar", network: { egress: { cidr4: ["192.0.2.8/32"], l4: any } } },
      ],
    });
    const sidecar = { process: APP, container: "sidecar" };
    assert.equal(scene.out("192.0.2.8", syn(80), sidecar), "Allowed");
    assert.equal(scene.out("192.0.2.7", syn(80), sidecar), "Allowed", "what holds in any container holds there too");
    assert.equal(scene.out("192.0.2.8", syn(80), { process: APP, container: "app" }), "Peer");
    assert.equal(scene.out("192.0.2.8", syn(80, 4001)), "Peer");
  });

  test("both subjects of a socket have to be allowed, and the first that is not gives the reason", () => {
    const allowed = { path: "/bin/other" };
    scene.begin({
      actions: ["enforce"],
      processes: [
        { path: APP.path, network: { egress: open } },
        {
          path: allowed.path,
          network: { egress: { cidr4: ["0.0.0.0/0"], l4: { protocolPorts: [{ protocol: "tcp", port: 80 }] } } },
        },
      ],
    });
    assert.equal(scene.out(PEER, syn(80), { process: APP, creator: allowed }), "Allowed");
    assert.equal(scene.out(PEER, syn(81, 4001), { process: APP, creator: allowed }), "Port");
    assert.equal(scene.out(PEER, syn(81, 4002), { process: allowed, creator: APP }), "Port");
    assert.equal(scene.out(PEER, syn(80, 4003), { process: APP, creator: STRANGER }), "BinaryUnknown");
  });
});
