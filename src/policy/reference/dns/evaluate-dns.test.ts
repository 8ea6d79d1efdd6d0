import assert from "node:assert/strict";
import { test } from "node:test";
import { compileTable } from "../../compile/compile.ts";
import { addressBytes, type DnsOptions, dns, ipv4, QUESTION_POINTER, record, udp } from "../../testing/frames.ts";
import { egressProfile, ingressProfile, processOf, profileOf } from "../../testing/profiles.ts";
import { A, RESOLVER, RESPONSE, RULES, scene, TRUNCATED, TXT } from "../../testing/resolver.ts";
import { APP, OWN, PEER, reason, Scene, SHELL, STRANGER, to } from "../../testing/scene.ts";

const query = (name: string | number[], more: DnsOptions = {}, port = 4000) =>
  ipv4(OWN, RESOLVER, 17, udp(port, 53, dns(name, more)));
const answer = (addresses: string[], more: DnsOptions = {}, ttl = 300, port = 4000) => {
  const answers = addresses.map((address) => record(QUESTION_POINTER, A, ttl, addressBytes(address)));
  return ipv4(RESOLVER, OWN, 17, udp(53, port, dns("www.example.com", { flags: RESPONSE, answers, ...more })));
};

/** A scene in which the name has been asked and answered. */
function resolved(addresses = [PEER], rules = RULES, ttl = 300): Scene {
  const played = scene(rules);
  assert.equal(reason(played.sends(query("www.example.com"))), "Allowed");
  assert.equal(reason(played.receives(answer(addresses, {}, ttl))), "Allowed");
  return played;
}

test("asking: a name that is not listed is a violation, whatever its type", () => {
  const played = scene();
  assert.equal(reason(played.sends(query("www.example.com"))), "Allowed");
  assert.equal(reason(played.sends(query("WWW.Example.COM"))), "Allowed");
  assert.equal(reason(played.sends(query("www.example.com", { type: TXT }))), "Allowed");
  assert.equal(reason(played.sends(query("evil.example.com"))), "DnsName");
  assert.equal(reason(played.sends(query("x.evil.com", { type: TXT }))), "DnsName");
  assert.equal(reason(played.sends(query("www.example.com"))), "Allowed", "one question does not spoil the flow");
});

test("asking: port 53 exempts nothing from layers 1 to 3", () => {
  const played = scene();
  assert.equal(reason(played.sends(ipv4(OWN, STRANGER, 17, udp(1, 53, dns("www.example.com"))))), "Peer");
  assert.equal(reason(scene({ ...RULES, l4: { protocols: ["tcp"] } }).sends(query("www.example.com"))), "Port");
});

test("asking: every question needs a block that allows the flow, DNS, and the name", () => {
  assert.equal(reason(scene({ ...RULES, l7: { protocols: ["http"] } }).sends(query("www.example.com"))), "Application");
  assert.equal(reason(scene({ ...RULES, l7: { protocols: ["dns"] } }).sends(query("www.example.com"))), "Allowed");
  const elsewhere = egressProfile({ cidr4: ["192.0.2.0/24"], l4: { protocols: ["any"] } });
  assert.equal(
    reason(
      new Scene([
        profileOf("a", { actions: ["enforce"], processes: [processOf("/bin/app", { egress: RULES })] }),
        elsewhere,
      ]).sends(query("any.name")),
    ),
    "DnsName",
  );
});

test("asking: what is on a DNS port and is not well-formed is DnsMalformed", () => {
  const raw = (payload: number[]) => reason(scene().sends(ipv4(OWN, RESOLVER, 17, udp(4000, 53, payload))));
  assert.equal(raw([]), "DnsMalformed");
  assert.equal(raw([1, 2, 3]), "DnsMalformed");
  assert.equal(raw(dns("www.example.com", { questions: 2 })), "DnsMalformed");
  assert.equal(raw(dns([0xc0, 12])), "DnsMalformed");
  assert.equal(raw(dns("www.example.com", { flags: RESPONSE })), "DnsMalformed", "who began asks");
});

test("asking: who answers does not ask", () => {
  const played = scene();
  played.sends(query("www.example.com"));
  assert.equal(reason(played.receives(ipv4(RESOLVER, OWN, 17, udp(53, 4000, dns("www.example.com"))))), "DnsMalformed");
});

test("asking: a question in a fragment cannot be judged whole", () => {
  const frame = ipv4(OWN, RESOLVER, 17, udp(4000, 53, dns("www.example.com"), 100), {
    fragment: 0x2000,
    identification: 1,
  });
  assert.equal(reason(scene().sends(frame)), "DnsMalformed");
});

test("asking: more DNS ports, by an option", () => {
  const rules = { ...RULES, l4: { protocols: ["udp" as const] } };
  const frame = ipv4(OWN, RESOLVER, 17, udp(4000, 5353, dns("evil.com")));
  assert.equal(reason(scene(rules).sends(frame)), "Allowed");
  const more = scene(rules);
  more.state.settings.dnsPorts = [53, 5353];
  assert.equal(reason(more.sends(frame)), "DnsName");
});

test("answering: a server of the workload's may be asked anything that is well-formed", () => {
  const played = new Scene([
    ingressProfile({ cidr4: ["10.0.0.0/24"], l4: { protocolPorts: [{ protocol: "udp", port: 53 }] } }),
  ]);
  assert.equal(reason(played.receives(ipv4(PEER, OWN, 17, udp(9, 53, dns("what.ever"))))), "Allowed");
  assert.equal(reason(played.sends(ipv4(OWN, PEER, 17, udp(53, 9, dns("what.ever", { flags: RESPONSE }))))), "Allowed");
  assert.equal(reason(played.receives(ipv4(PEER, OWN, 17, udp(9, 53, [1])))), "DnsMalformed");
});

test("learning: the addresses of an answer may be connected to, with the rest of the block", () => {
  const played = resolved([PEER, STRANGER]);
  assert.equal(reason(played.sends(to(PEER, 80))), "Allowed");
  assert.equal(reason(played.sends(to(STRANGER, 80))), "Allowed");
  assert.equal(reason(played.sends(to(PEER, 22))), "Port");
});

test("learning: it is good for the process that asked alone", () => {
  const rules = { egress: RULES };
  const played = new Scene([
    profileOf("web", { actions: ["enforce"], processes: [processOf("/bin/app", rules), processOf("/bin/sh", rules)] }),
  ]);
  played.sends(query("www.example.com"));
  played.receives(answer([PEER]));
  assert.equal(reason(played.sends(to(PEER, 80), SHELL)), "Peer");
  assert.equal(reason(played.sends(to(PEER, 80), APP)), "Allowed");
});

test("learning: a name that may be asked only teaches nothing to connect to", () => {
  const played = resolved([PEER], { ...RULES, fqdns: ["other.com"], l7: { dns: ["www.example.com"] } });
  assert.equal(reason(played.sends(to(PEER, 80))), "Peer");
});

test("learning: an address lives for its TTL within floor and ceiling, and a grace period", () => {
  const lives = (ttl: number, time: number) => {
    const played = resolved([PEER], RULES, ttl);
    played.time = time;
    return played.sends(to(PEER, 80)).reason === "Allowed";
  };
  assert.deepEqual([lives(300, 329), lives(300, 330)], [true, false]);
  assert.deepEqual([lives(0, 89), lives(0, 90)], [true, false], "the floor");
  assert.deepEqual([lives(86_400, 3629), lives(86_400, 3630)], [true, false], "the ceiling");
});

test("learning: only from the answer to an outstanding question: same flow, id, name and type", () => {
  const taught = (frame: Uint8Array) => {
    const played = scene();
    played.sends(query("www.example.com", { id: 7 }));
    played.receives(frame);
    return played.sends(to(PEER, 80)).reason === "Allowed";
  };
  assert.equal(taught(answer([PEER], { id: 7 })), true);
  assert.equal(taught(answer([PEER], { id: 8 })), false);
  assert.equal(taught(answer([PEER], { type: TXT })), false);
  assert.equal(taught(answer([PEER], {}, 300, 4001)), false, "another port");
  const other = dns("other.example.com", {
    flags: RESPONSE,
    answers: [record(QUESTION_POINTER, A, 1, addressBytes(PEER))],
  });
  assert.equal(taught(ipv4(RESOLVER, OWN, 17, udp(53, 4000, other))), false);
});

test("learning: a question is outstanding until its time is up, however often it is answered", () => {
  const played = resolved([STRANGER]);
  played.receives(answer([PEER]));
  assert.equal(reason(played.sends(to(PEER, 80))), "Allowed");
});

test("learning: an address remembers four names, and forgets the one that expires first", () => {
  const names = ["a.com", "b.com", "c.com", "d.com", "e.com"];
  const played = scene({ ...RULES, fqdns: names });
  for (const [index, name] of names.entries()) {
    played.sends(query(name));
    const answers = [record(QUESTION_POINTER, A, 100 * (index + 1), addressBytes(PEER))];
    played.receives(ipv4(RESOLVER, OWN, 17, udp(53, 4000, dns(name, { flags: RESPONSE, answers }))));
  }
  const known = [...played.state.learned.values()][0]?.map((learned) => learned.name);
  assert.deepEqual(known?.sort(), ["b.com", "c.com", "d.com", "e.com"]);
});

test("learning: what was truncated, or is cut off by a fragment, teaches what is there", () => {
  const played = scene();
  played.sends(query("www.example.com"));
  assert.equal(reason(played.receives(answer([PEER], { flags: TRUNCATED, answerCount: 2 }))), "Allowed");
  assert.equal(reason(played.sends(to(PEER, 80))), "Allowed");
  played.sends(query("www.example.com"));
  assert.equal(
    reason(played.receives(answer([PEER], { answerCount: 2 }))),
    "DnsMalformed",
    "and whole, it is ill-formed",
  );
});

test("learning: under alert alone, a refused question is watched, and its answer too", () => {
  const played = scene(RULES, { actions: ["alert"] });
  assert.equal(played.sends(query("evil.com")).verdict, "alerted");
  assert.equal(played.state.queries.size, 1);
  const enforced = scene();
  enforced.sends(query("evil.com"));
  assert.equal(enforced.state.queries.size, 0);
});

test("dns-spoofing: an answer that nobody asked for, if the profile lists it", () => {
  const guarded = scene(RULES, { attacks: ["dns-spoofing"] });
  guarded.sends(query("www.example.com", { id: 7 }));
  assert.equal(reason(guarded.receives(answer([PEER], { id: 8 }))), "DnsSpoofing");
  assert.equal(reason(guarded.receives(answer([PEER], { id: 7 }))), "Allowed");
  const open = scene();
  open.sends(query("www.example.com", { id: 7 }));
  assert.equal(reason(open.receives(answer([PEER], { id: 8 }))), "Allowed");
});

test("a new table judges questions on open flows at once", () => {
  const played = scene();
  played.sends(query("www.example.com"));
  played.table = compileTable([egressProfile({ ...RULES, fqdns: ["other.com"] })], { searchDomains: [] });
  assert.equal(reason(played.sends(query("www.example.com"))), "DnsName");
});
