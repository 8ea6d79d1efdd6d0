import assert from "node:assert/strict";
import { test } from "node:test";
import { compileTable } from "../compile/compile.ts";
import { icmp, ipv4, ipv6, tcp, text, udp } from "../testing/frames.ts";
import { egressProfile, ingressProfile, processOf, profileOf } from "../testing/profiles.ts";
import { ACK, APP, back, OWN, PEER, reason, Scene, SHELL, STRANGER, SYN, SYN_ACK, to } from "../testing/scene.ts";

const WEB = { cidr4: ["10.0.0.0/24"], l4: { protocolPorts: [{ protocol: "tcp" as const, port: 80 }] } };

test("state: replies to an allowed flow pass, and nothing else from its peer does", () => {
  const scene = new Scene([egressProfile(WEB)]);
  assert.equal(reason(scene.sends(to(PEER, 80))), "Allowed");
  const reply = scene.receives(back(PEER, 80));
  assert.deepEqual([reply.reason, reply.direction], ["Allowed", "egress"]);
  assert.equal(reason(scene.receives(back(PEER, 81))), "Peer");
  assert.equal(reason(scene.receives(ipv4(PEER, OWN, 17, udp(80, 4000)))), "Peer", "the protocol is part of a flow");
});

test("state: an ingress rule is about the local port, and lets answers out", () => {
  const scene = new Scene([ingressProfile(WEB)]);
  assert.equal(reason(scene.receives(ipv4(PEER, OWN, 6, tcp(5000, 80, SYN)))), "Allowed");
  assert.equal(reason(scene.sends(ipv4(OWN, PEER, 6, tcp(80, 5000, SYN_ACK)))), "Allowed");
  assert.equal(reason(scene.receives(ipv4(PEER, OWN, 6, tcp(80, 5000, SYN)))), "Port");
});

test("state: what enforcement drops is no flow, so nothing is a reply to it", () => {
  const scene = new Scene([
    profileOf("web", {
      actions: ["enforce"],
      processes: [processOf("/bin/app", { ingress: { ...WEB, l4: { protocols: ["udp"] } } })],
    }),
  ]);
  assert.equal(reason(scene.sends(ipv4(OWN, PEER, 17, udp(5000, 6000)))), "Peer");
  const incoming = scene.receives(ipv4(PEER, OWN, 17, udp(6000, 5000)));
  assert.deepEqual([incoming.reason, incoming.direction], ["Allowed", "ingress"]);
});

test("state: under alert alone, the answer to a violation is part of it", () => {
  const scene = new Scene([
    profileOf("web", { actions: ["alert"], processes: [processOf("/bin/app", { egress: WEB })] }),
  ]);
  assert.equal(reason(scene.sends(to(STRANGER, 80))), "Peer");
  const reply = scene.receives(back(STRANGER, 80));
  assert.deepEqual([reply.verdict, reply.reason, reply.direction], ["alerted", "Peer", "egress"]);
});

test("state: a new table is in force at once on open flows, in both directions", () => {
  const scene = new Scene([egressProfile(WEB)]);
  assert.equal(reason(scene.sends(to(PEER, 80))), "Allowed");
  scene.table = compileTable([egressProfile({ ...WEB, cidr4: [] })], { searchDomains: [] });
  assert.equal(reason(scene.receives(back(PEER, 80), null)), "Peer");
  assert.equal(reason(scene.sends(to(PEER, 80, ACK))), "Peer");
});

test("state: after an exec open flows are judged again, by who uses them now", () => {
  const scene = new Scene([egressProfile(WEB)]);
  const socket = { id: "1" };
  assert.equal(reason(scene.sends(to(PEER, 80), APP, { socket })), "Allowed");
  assert.equal(
    reason(scene.sends(to(PEER, 80, ACK), SHELL, { socket })),
    "Allowed",
    "nothing is known to have changed",
  );
  scene.state.epoch += 1;
  assert.equal(reason(scene.sends(to(PEER, 80, ACK), SHELL, { socket })), "BinaryUnknown");
});

test("state: another socket's packet with a flow's ends is judged by itself", () => {
  const scene = new Scene([egressProfile(WEB)]);
  assert.equal(reason(scene.sends(to(PEER, 80))), "Allowed");
  assert.equal(reason(scene.sends(to(PEER, 80, ACK), SHELL)), "BinaryUnknown");
  assert.equal(reason(scene.sends(to(PEER, 80, ACK), null)), "Unattributed");
  assert.equal(
    reason(scene.sends(to(PEER, 80, 0x04), null, { socket: { id: "k", kernel: true } })),
    "Allowed",
    "the kernel's reset",
  );
  assert.equal(reason(scene.sends(to(PEER, 80, ACK), APP)), "Allowed");
});

test("state: nobody's packet does not inherit a flow that has to be judged again", () => {
  const scene = new Scene([egressProfile(WEB)]);
  assert.equal(reason(scene.sends(to(PEER, 80))), "Allowed");
  scene.state.epoch += 1;
  assert.equal(reason(scene.sends(to(PEER, 80, ACK), null)), "Unattributed");
});

test("state: an idle UDP flow is over, an idle TCP connection is not", () => {
  const profile = profileOf("web", {
    actions: ["enforce"],
    processes: [processOf("/bin/app", { egress: { ...WEB, l4: { protocols: ["any"] } } })],
  });
  const scene = new Scene([profile]);
  scene.sends(ipv4(OWN, PEER, 17, udp(5000, 6000)));
  scene.sends(to(PEER, 80));
  scene.time = 120;
  assert.equal(reason(scene.receives(ipv4(PEER, OWN, 17, udp(6000, 5000)))), "Allowed");
  scene.time = 241;
  assert.equal(reason(scene.receives(ipv4(PEER, OWN, 17, udp(6000, 5000)))), "Peer");
  assert.equal(reason(scene.receives(back(PEER, 80))), "Allowed");
});

test("state: a socket says who began a connection that was there first", () => {
  const middle = ipv4(OWN, PEER, 6, tcp(80, 5000, ACK));
  assert.equal(new Scene([ingressProfile(WEB)]).sends(middle, APP, { socket: { accepted: true } }).reason, "Allowed");
  assert.equal(new Scene([ingressProfile(WEB)]).sends(middle, APP).reason, "Peer");
  assert.equal(
    new Scene([egressProfile(WEB)]).receives(back(PEER, 80, ACK), APP, { socket: { connected: true } }).reason,
    "Allowed",
  );
});

const PING = { cidr4: ["10.0.0.0/24"], l4: { protocols: ["icmp" as const] } };

test("ICMP: an echo reply belongs to its request, and a request never passes for a reply", () => {
  const scene = new Scene([egressProfile(PING)]);
  assert.equal(reason(scene.sends(ipv4(OWN, PEER, 1, icmp(8, 77)))), "Allowed");
  assert.equal(reason(scene.receives(ipv4(PEER, OWN, 1, icmp(0, 77)), null)), "Allowed");
  assert.equal(reason(scene.receives(ipv4(PEER, OWN, 1, icmp(0, 78)), null)), "Unattributed");
  assert.equal(reason(scene.receives(ipv4(PEER, OWN, 1, icmp(8, 77)), null)), "Unattributed");
});

test("ICMP: other messages than echo have no replies, whatever their identifier", () => {
  const scene = new Scene([egressProfile(PING)]);
  assert.equal(reason(scene.sends(ipv4(OWN, PEER, 1, icmp(8, 0)))), "Allowed");
  assert.equal(reason(scene.receives(ipv4(PEER, OWN, 1, icmp(5, 0)), null)), "Unattributed", "a redirect");
});

test("ICMP: an error about an allowed flow passes, from whatever router; others do not", () => {
  const scene = new Scene([egressProfile(WEB)]);
  scene.sends(to(PEER, 80));
  const quoted = (port: number) => [...to(PEER, port).subarray(14, 14 + 28)];
  const error = (type: number, bytes: number[]) =>
    scene.receives(ipv4(STRANGER, OWN, 1, icmp(type, 0, bytes)), null).reason;
  assert.equal(error(3, quoted(80)), "Allowed");
  assert.equal(error(11, quoted(80)), "Allowed");
  assert.equal(error(5, quoted(80)), "Unattributed", "a redirect is no error");
  assert.equal(error(3, quoted(81)), "Unattributed");
  assert.equal(error(3, quoted(80).slice(0, 27)), "Unattributed");
  assert.equal(
    reason(scene.sends(ipv4(OWN, PEER, 1, icmp(3, 0, quoted(80))), null)),
    "Unattributed",
    "it goes the same way as the packet",
  );
});

test("ICMPv6: packet too big about an allowed flow passes", () => {
  const scene = new Scene([egressProfile({ cidr6: ["2001:db8::/32"], l4: { protocols: ["udp"] } })]);
  const frame = ipv6("2001:db8::1", "2001:db8::2", 17, udp(5, 6, text("hello")));
  assert.equal(reason(scene.sends(frame)), "Allowed");
  const error = ipv6("2001:db8:f::1", "2001:db8::1", 58, icmp(2, 0, [...frame.subarray(14)]));
  assert.equal(reason(scene.receives(error, null)), "Allowed");
});

test("fragments: later ones share the verdict of the first; without it, or under new rules, they have none", () => {
  const rules = { cidr4: ["10.0.0.0/24"], l4: { protocols: ["udp" as const] } };
  const scene = new Scene([egressProfile(rules)]);
  const first = (peer: string) => ipv4(OWN, peer, 17, udp(5, 6, [1], 100), { identification: 7, fragment: 0x2000 });
  const later = (peer: string) => ipv4(OWN, peer, 17, [1, 2], { identification: 7, fragment: 2 });
  assert.equal(reason(scene.sends(later(PEER))), "Fragment");
  assert.equal(reason(scene.sends(first(PEER))), "Allowed");
  assert.equal(reason(scene.sends(later(PEER))), "Allowed");
  assert.equal(reason(scene.sends(later(PEER), null)), "Fragment", "of another sender");
  assert.equal(reason(scene.sends(first(STRANGER))), "Peer");
  assert.equal(reason(scene.sends(later(STRANGER))), "Peer");
  scene.table = compileTable([egressProfile({ ...rules, l4: { protocols: ["tcp"] } })], { searchDomains: [] });
  assert.equal(reason(scene.sends(later(PEER))), "Fragment");
});
