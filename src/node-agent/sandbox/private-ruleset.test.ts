import assert from "node:assert/strict";
import { test } from "node:test";
import { removalText, rulesetText } from "./private-ruleset.ts";

const ruleset = {
  table: "portcullis_3",
  hostInterface: "pcr3",
  inside4: "10.213.208.14",
  inside6: null,
  resolvers: [{ inside: "169.254.53.53", host: "192.0.2.1", loopback: false }],
  published: [],
  openedInterfaces: [],
};

test("a table begins anew, whatever there was of it", () => {
  assert.equal(removalText("t"), "table inet t\ndelete table inet t\n");
  assert.ok(rulesetText(ruleset).startsWith(removalText("portcullis_3")));
});

test("addresses are translated to the outside and to the resolver; loopback and strangers are kept out", () => {
  const text = rulesetText(ruleset);
  for (const rule of [
    'iifname "pcr3" ip daddr 127.0.0.0/8 drop',
    'iifname "pcr3" ip daddr 169.254.53.53 meta l4proto { tcp, udp } th dport 53 dnat ip to 192.0.2.1',
    'ip saddr 10.213.208.14 oifname != "pcr3" masquerade',
    'oifname "pcr3" ct state != { established, related } drop',
  ]) {
    assert.ok(text.includes(`\t\t${rule}\n`), rule);
  }
  assert.doesNotMatch(text, /snat|ip6|nfproto/);
});

test("a published port leads in, from outside and from the host itself, and nothing else does", () => {
  assert.doesNotMatch(rulesetText(ruleset), /ct status|fib/);
  const text = rulesetText({ ...ruleset, published: [{ protocol: "tcp", hostPort: 8080, port: 80 }] });
  const rule = 'iifname != "pcr3" fib daddr type local tcp dport 8080 dnat ip to 10.213.208.14:80';
  assert.equal(text.split(rule).length, 3, "prerouting and output");
  assert.match(text, /oifname "pcr3" ct status dnat accept\n\t\toifname "pcr3" ct state/);
});

test("a resolver on loopback sees a loopback address", () => {
  const resolvers = [{ inside: "169.254.53.53", host: "127.0.0.1", loopback: true }];
  assert.match(
    rulesetText({ ...ruleset, resolvers }),
    /iifname "pcr3" ip daddr 127\.0\.0\.0\/8 snat ip to 127\.0\.0\.1/,
  );
});

test("IPv6 is translated where it leads outside", () => {
  assert.match(rulesetText({ ...ruleset, inside6: "fd5b::2" }), /ip6 saddr fd5b::2 oifname != "pcr3" masquerade/);
});

test("an interface that forwards because of us forwards to private namespaces only", () => {
  const text = rulesetText({ ...ruleset, openedInterfaces: ["eth0", "wlan0"] });
  assert.match(text, /iifname \{ "eth0", "wlan0" \} oifname != "pcr\*" meta nfproto ipv4 drop/);
});
