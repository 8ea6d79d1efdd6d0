import assert from "node:assert/strict";
import { test } from "node:test";
import { parseIp } from "../table/addresses.ts";
import { ethernet, icmp, ipv4, ipv6, long, tcp, text, udp, word } from "../testing/frames.ts";
import { egressProfile, processOf, profileOf } from "../testing/profiles.ts";
import { ACK, APP, back, OWN, PEER, reason, Scene, SHELL, STRANGER, SYN, SYN_ACK, to } from "../testing/scene.ts";
import { learn, learnerKey, type PolicyState } from "./state.ts";

const WEB = { cidr4: ["10.0.0.0/24"], l4: { protocolPorts: [{ protocol: "tcp" as const, port: 80 }] } };

test("layers: a packet passes if its EtherType, peer and port are allowed, and the layer that refuses is the reason", () => {
  const scene = new Scene([egressProfile(WEB)]);
  assert.deepEqual(scene.sends(to(PEER, 80)), {
    verdict: "allowed",
    reason: "Allowed",
    direction: "egress",
    origins: [{ profile: "default/web", field: "spec.processes[0].network.egress" }],
  });
  assert.equal(reason(scene.sends(to(STRANGER, 80))), "Peer");
  assert.equal(reason(scene.sends(to(PEER, 81))), "Port");
  assert.equal(reason(scene.sends(ipv4(OWN, PEER, 17, udp(1, 80)))), "Port");
  assert.equal(reason(scene.sends(ipv6("2001:db8::1", "2001:db8::2", 6, tcp(1, 80, SYN)))), "Ethertype");
});

test("a direction of which nothing is said allows no peer", () => {
  assert.equal(reason(new Scene([egressProfile(WEB)]).receives(to(OWN, 80))), "Peer");
});

test("what is neither IP nor ARP, ill-formed or out of order is a violation, with its own reason", () => {
  const scene = new Scene([egressProfile(WEB)]);
  assert.equal(reason(scene.sends(ethernet(0x8100, [0, 1, 8, 0]))), "Ethertype");
  assert.equal(reason(scene.sends(ipv4(OWN, PEER, 6, [1, 2, 3]))), "Malformed");
  assert.equal(reason(scene.sends(ipv4(OWN, PEER, 6, [1], { fragment: 1 }))), "Fragment");
});

test("modes: enforce drops, alert reports, no action counts, and pending drops whatever the mode", () => {
  const verdict = (actions: ("alert" | "enforce" | "learn")[], policyState: PolicyState = "restricted") =>
    new Scene([profileOf("web", { actions })], policyState).sends(to(PEER, 80)).verdict;
  assert.equal(verdict(["enforce"]), "dropped");
  assert.equal(verdict(["alert", "enforce"]), "dropped");
  assert.equal(verdict(["alert"]), "alerted");
  assert.equal(verdict([]), "counted");
  assert.equal(verdict(["learn"]), "allowed");
  assert.equal(verdict([], "pending"), "dropped");
  assert.equal(verdict(["learn"], "pending"), "dropped");
  assert.equal(verdict(["enforce"], "unrestricted"), "allowed");
});

test("processes: one that no profile lists, and traffic of none, are distinguished where there is no default", () => {
  const scene = new Scene([egressProfile(WEB)]);
  assert.equal(reason(scene.sends(to(PEER, 80), SHELL)), "BinaryUnknown");
  assert.equal(reason(scene.sends(to(PEER, 80), { ...APP, path: null })), "BinaryUnknown");
  assert.equal(reason(scene.sends(to(PEER, 80), null)), "Unattributed");
});

test("processes: a default judges them by its layers", () => {
  const scene = new Scene([
    profileOf("web", { actions: ["enforce"], default: { egress: WEB }, processes: [processOf("/bin/app", {})] }),
  ]);
  assert.equal(reason(scene.sends(to(PEER, 80), SHELL)), "Allowed");
  assert.equal(reason(scene.sends(to(STRANGER, 80), null)), "Peer");
  assert.equal(reason(scene.sends(to(PEER, 80), APP)), "Peer", "a listed process has no part in the default");
});

test("processes: a changed binary has only what binary: Any allows, else default, and is reported as BinaryModified", () => {
  const changed = { ...APP, modified: true };
  assert.equal(reason(new Scene([egressProfile(WEB)]).sends(to(PEER, 80), changed)), "BinaryModified");
  const any = profileOf("any", {
    actions: ["enforce"],
    processes: [processOf("/bin/app", { egress: WEB }, { binary: "Any" })],
  });
  const both = new Scene([any, egressProfile({ ...WEB, cidr4: ["192.0.2.0/24"] })]);
  assert.equal(reason(both.sends(to(PEER, 80), changed)), "Allowed");
  assert.equal(reason(both.sends(to(STRANGER, 80), changed)), "Peer");
  const fallback = new Scene([
    profileOf("d", { actions: ["enforce"], default: { egress: WEB }, processes: [processOf("/bin/app", {})] }),
  ]);
  assert.equal(reason(fallback.sends(to(PEER, 80), changed)), "Allowed");
  assert.equal(reason(fallback.sends(to(STRANGER, 80), changed)), "BinaryModified");
  assert.equal(reason(fallback.sends(to(PEER, 22), { ...SHELL, modified: true })), "BinaryModified");
});

test("processes: a listed script that was executed directly has its own rights, else those of its interpreter", () => {
  const scene = new Scene([egressProfile(WEB, "/opt/run.sh")]);
  assert.equal(reason(scene.sends(to(PEER, 80), { ...SHELL, script: "/opt/run.sh" })), "Allowed");
  assert.equal(reason(scene.sends(to(PEER, 80), { ...SHELL, script: "/opt/other.sh" })), "BinaryUnknown");
});

test("processes: rules for a container hold in it alone", () => {
  const scene = new Scene([
    profileOf("web", {
      actions: ["enforce"],
      processes: [processOf("/bin/app", { egress: WEB }, { container: "main" })],
    }),
  ]);
  assert.equal(reason(scene.sends(to(PEER, 80), { ...APP, container: "main" })), "Allowed");
  assert.equal(reason(scene.sends(to(PEER, 80, SYN, "", 4001), { ...APP, container: "side" })), "BinaryUnknown");
});

test("sockets that change hands: user and creator must both be allowed", () => {
  const scene = new Scene([egressProfile(WEB)]);
  assert.equal(reason(scene.sends(to(PEER, 80), [APP, SHELL])), "BinaryUnknown");
  assert.equal(reason(scene.sends(to(PEER, 80), [SHELL, APP])), "BinaryUnknown");
});

const HTTP = {
  cidr4: ["10.0.0.0/24"],
  l4: { protocols: ["tcp" as const, "udp" as const, "icmp" as const] },
  l7: { protocols: ["http" as const] },
};

test("L7: the first payload, of either side, decides, and is a violation from there on", () => {
  const scene = new Scene([egressProfile(HTTP)]);
  assert.equal(reason(scene.sends(to(PEER, 22))), "Allowed");
  assert.equal(reason(scene.receives(back(PEER, 22, SYN_ACK))), "Allowed");
  assert.equal(reason(scene.receives(back(PEER, 22, ACK, "SSH-2.0-x"))), "Application");
  assert.equal(reason(scene.sends(to(PEER, 22, ACK, "GET / HTTP/1.1"))), "Application");
  assert.equal(reason(scene.receives(back(PEER, 22, ACK))), "Application");
});

test("L7: bytes are what counts, not ports", () => {
  const scene = new Scene([egressProfile(HTTP)]);
  const speaks = (payload: number[], port: number) => {
    scene.sends(ipv4(OWN, PEER, 6, tcp(port, 8080, SYN)));
    return scene.sends(ipv4(OWN, PEER, 6, tcp(port, 8080, ACK, payload))).reason;
  };
  const speeches = ["GET / HTTP/1.1", "PATCH /x", "HTTP/1.1 200 OK", "PRI * HTTP/2.0\r\n"];
  for (const [index, speech] of speeches.entries()) assert.equal(speaks(text(speech), 100 + index), "Allowed", speech);
  for (const [index, speech] of ["GETx", "LIST x", "EHLO x", "GET"].entries())
    assert.equal(speaks(text(speech), 200 + index), "Application", speech);
  const hello = [0x16, 3, 1, 0, 100, 1, 0, 0];
  assert.equal(speaks(hello, 300), "Application");
  const tls = new Scene([egressProfile({ ...HTTP, l7: { protocols: ["tls"] } })]);
  tls.sends(to(PEER, 443));
  assert.equal(tls.sends(ipv4(OWN, PEER, 6, tcp(4000, 443, ACK, hello))).reason, "Allowed");
});

test("L7: it is a matter of TCP and UDP; ping has no application", () => {
  const scene = new Scene([egressProfile(HTTP)]);
  assert.equal(reason(scene.sends(ipv4(OWN, PEER, 1, icmp(8, 1, text("payload"))))), "Allowed");
  assert.equal(reason(scene.sends(ipv4(OWN, PEER, 17, udp(1, 2, text("payload"))))), "Application");
});

test("L7: a refused flow stays refused when it goes on in fragments", () => {
  const scene = new Scene([egressProfile(HTTP)]);
  assert.equal(reason(scene.sends(ipv4(OWN, PEER, 17, udp(1, 2, text("x"))))), "Application");
  const fragment = ipv4(OWN, PEER, 17, udp(1, 2, text("GET / "), 100), { fragment: 0x2000, identification: 3 });
  assert.equal(reason(scene.sends(fragment)), "Application");
});

test("L7: a connection that is older than its watcher has no first payload to look at", () => {
  const scene = new Scene([egressProfile(HTTP)]);
  const judged = scene.sends(to(PEER, 22, ACK, "SSH"), APP, { socket: { spoken: true } });
  assert.equal(judged.reason, "Allowed");
});

test("SCTP: ports are judged", () => {
  const scene = new Scene([
    egressProfile({ cidr4: ["10.0.0.0/24"], l4: { protocolPorts: [{ protocol: "sctp", port: 36412 }] } }),
  ]);
  const packet = (port: number) => ipv4(OWN, PEER, 132, [...word(5000), ...word(port), ...long(0), ...long(0), 1]);
  assert.equal(reason(scene.sends(packet(36412))), "Allowed");
  assert.equal(reason(scene.sends(packet(36413))), "Port");
});

test("learned addresses are good for egress of the very process that learned them, until they expire", () => {
  const scene = new Scene([egressProfile({ fqdns: ["*.example.com"], l4: { protocols: ["tcp"] } })]);
  const rights = {
    subject: APP,
    path: APP.path,
    binaryId: 1,
    unmet: null,
    ruleset: scene.table.binaries[0]?.egress as never,
    mask: 0n,
  };
  learn(scene.state, learnerKey(rights), parseIp(PEER) as bigint, { name: "www.example.com", expires: 90 });
  assert.equal(reason(scene.sends(to(PEER, 80))), "Allowed");
  assert.equal(reason(scene.sends(to(PEER, 80, SYN, "", 4001), { ...APP, container: "other" })), "Peer");
  scene.time = 90;
  assert.equal(reason(scene.sends(to(PEER, 80, ACK))), "Allowed", "open flows live on");
  scene.state.epoch += 1;
  assert.equal(reason(scene.sends(to(PEER, 80, ACK))), "Allowed", "also where they are judged again");
  assert.equal(reason(scene.sends(to(PEER, 80, SYN, "", 4002))), "Peer");
});
