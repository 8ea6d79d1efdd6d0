import assert from "node:assert/strict";
import { test } from "node:test";
import type { SecurityProfileSpec } from "../../../api/types.ts";
import { addressBytes, dns, ipv4, QUESTION_POINTER, record, tcp, word } from "../../testing/frames.ts";
import { A, RESOLVER, RESPONSE, RULES, scene } from "../../testing/resolver.ts";
import { ACK, OWN, PEER, reason, type Scene, STRANGER, SYN, to } from "../../testing/scene.ts";

const framed = (message: number[]) => [...word(message.length), ...message];
const segment = (payload: number[], sequence: number) => ipv4(OWN, RESOLVER, 6, tcp(4000, 53, ACK, payload, sequence));
const reply = (payload: number[], sequence: number) => ipv4(RESOLVER, OWN, 6, tcp(53, 4000, ACK, payload, sequence));

/** A connection to the resolver whose first payload has sequence number 100, both ways. */
function connected(spec: Partial<SecurityProfileSpec> = {}): Scene {
  const played = scene(RULES, spec);
  assert.equal(reason(played.sends(ipv4(OWN, RESOLVER, 6, tcp(4000, 53, SYN, [], 99)))), "Allowed");
  return played;
}

test("TCP: questions are judged and answers learned as over UDP", () => {
  const played = connected();
  assert.equal(reason(played.sends(segment(framed(dns("www.example.com")), 100))), "Allowed");
  const answers = [record(QUESTION_POINTER, A, 300, addressBytes(PEER))];
  assert.equal(
    reason(played.receives(reply(framed(dns("www.example.com", { flags: RESPONSE, answers })), 100))),
    "Allowed",
  );
  assert.equal(reason(played.sends(to(PEER, 80))), "Allowed");
  assert.equal(reason(connected().sends(segment(framed(dns("evil.com")), 100))), "DnsName");
});

test("TCP: every message of a segment is judged", () => {
  const good = framed(dns("www.example.com"));
  const many = (count: number) => Array.from({ length: count }, () => good).flat();
  assert.equal(reason(connected().sends(segment([...good, ...framed(dns("evil.com"))], 100))), "DnsName");
  assert.equal(reason(connected().sends(segment(many(200), 100))), "Allowed");
  assert.equal(reason(connected().sends(segment([...many(200), ...framed(dns("evil.com"))], 100))), "DnsName");
});

test("TCP: messages may be cut anywhere", () => {
  const question = dns("www.example.com");
  const played = connected();
  assert.equal(reason(played.sends(segment(word(question.length), 100))), "Allowed");
  assert.equal(
    reason(played.sends(segment(dns("bad.example.com"), 102))),
    "DnsName",
    "and it is the message that follows",
  );
  assert.equal(reason(connected().sends(segment(word(11), 100))), "DnsMalformed");
  const evil = framed(dns("evil.com"));
  for (const [message, verdict] of [
    [framed(question), "Allowed"],
    [evil, "DnsName"],
  ] as const) {
    for (const cut of [1, 3, 14, message.length - 5]) {
      const other = connected();
      assert.equal(reason(other.sends(segment(message.slice(0, cut), 100))), "Allowed");
      assert.equal(reason(other.sends(segment(message.slice(cut), 100 + cut))), verdict);
    }
  }
});

test("TCP: what is sent again passes; a question ahead of its turn has to be whole", () => {
  const played = connected();
  const question = framed(dns("www.example.com"));
  played.sends(segment(question, 100));
  assert.equal(reason(played.sends(segment(question, 100))), "Allowed");
  assert.equal(reason(played.sends(segment(question, 100 + question.length))), "Allowed");
  assert.equal(reason(played.sends(segment(question, 101 + 2 * question.length))), "Allowed");
  assert.equal(reason(played.sends(segment(question.slice(1), 102 + 3 * question.length))), "Capacity");
  assert.equal(reason(played.sends(segment([], 500))), "Allowed", "there is nothing in it");
});

test("TCP: an answer may take several segments; it teaches once it is whole", () => {
  const played = connected();
  played.sends(segment(framed(dns("www.example.com")), 100));
  const answers = [PEER, STRANGER].map((address) => record(QUESTION_POINTER, A, 300, addressBytes(address)));
  const whole = framed(dns("www.example.com", { flags: RESPONSE, answers }));
  assert.equal(reason(played.receives(reply(whole.slice(0, -4), 100))), "Allowed");
  assert.equal(reason(played.receives(reply(whole.slice(-4), 100 + whole.length - 4))), "Allowed");
  assert.equal(reason(played.sends(to(PEER, 80))), "Allowed");
  assert.equal(reason(played.sends(to(STRANGER, 80, SYN, "", 4009))), "Allowed");
});

test("TCP: segments of an answer may overtake each other", () => {
  const answers = [record(QUESTION_POINTER, A, 300, addressBytes(PEER))];
  const whole = framed(dns("www.example.com", { flags: RESPONSE, answers }));
  for (let cut = 1; cut < whole.length - 1; cut += 1) {
    const played = connected();
    played.receives(ipv4(RESOLVER, OWN, 6, tcp(53, 4000, SYN | ACK, [], 99)));
    played.sends(segment(framed(dns("www.example.com")), 100));
    assert.equal(reason(played.receives(reply(whole.slice(cut, -1), 100 + cut))), "Allowed");
    assert.equal(reason(played.receives(reply(whole.slice(-1), 99 + whole.length))), "Allowed");
    assert.equal(reason(played.receives(reply(whole.slice(cut), 90_100))), "Capacity");
    assert.notEqual(reason(played.sends(to(PEER, 80))), "Allowed");
    assert.equal(reason(played.receives(reply(whole.slice(0, cut), 100))), "Allowed");
    assert.equal(reason(played.sends(to(PEER, 80, SYN, "", 4009))), "Allowed");
  }
});

test("TCP: sequence numbers begin again behind 2^32", () => {
  const played = scene();
  const question = framed(dns("www.example.com"));
  played.sends(ipv4(OWN, RESOLVER, 6, tcp(4000, 53, SYN, [], 0xffff_fffe)));
  assert.equal(reason(played.sends(segment(question, 0xffff_ffff))), "Allowed");
  assert.equal(reason(played.sends(segment(framed(dns("evil.com")), question.length - 1))), "DnsName");
});

test("TCP: under alert alone, a stream that could not be read is read again from the next segment on", () => {
  const played = connected({ actions: ["alert"] });
  assert.equal(reason(played.sends(segment([0, 2, 3], 100))), "DnsMalformed");
  assert.equal(reason(played.sends(segment(framed(dns("www.example.com")), 103))), "Allowed");
});
