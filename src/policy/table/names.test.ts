import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../testing/random.ts";
import { nameMasks } from "./lookup.ts";
import { expandPattern, flattenNames, matchesPattern, type NameGrant, restoreName, reverseName } from "./names.ts";
import { EMPTY_RULESET } from "./rulesets.ts";

test("names are stored reversed, with a dot before each label", () => {
  assert.equal(reverseName("www.example.com"), "moc.elpmaxe.www.");
  assert.equal(reverseName(""), "");
  assert.equal(restoreName("moc.elpmaxe.www."), "www.example.com");
  assert.equal(restoreName(""), ".");
});

test("a wildcard matches one label or more before its suffix, not the suffix; * alone matches every name", () => {
  assert.equal(matchesPattern("*.example.com", "a.example.com"), true);
  assert.equal(matchesPattern("*.example.com", "a.b.example.com"), true);
  assert.equal(matchesPattern("*.example.com", "example.com"), false);
  assert.equal(matchesPattern("*.example.com", "badexample.com"), false);
  assert.equal(matchesPattern("*", "example.com"), true);
  assert.equal(matchesPattern("*", ""), true);
});

test("search domains are put behind each pattern, as far as names may be long", () => {
  assert.deepEqual(expandPattern("api", ["ns.svc.local", "svc.local"]), ["api.ns.svc.local", "api.svc.local"]);
  assert.deepEqual(expandPattern("*.example.com", ["svc.local"]), ["*.example.com.svc.local"]);
  assert.deepEqual(expandPattern("*", ["svc.local"]), []);
  assert.deepEqual(expandPattern("a".repeat(63), [`${"b".repeat(60)}.`.repeat(4).slice(0, -1)]), []);
});

test("a name that was said for short may be asked for on the way to the listed one", () => {
  const search = ["web.svc.local", "svc.local", "local"];
  const asked = expandPattern("pong.web.svc.local", search);
  // A resolver puts every domain behind what was said, in turn, until one is there.
  for (const said of ["pong", "pong.web", "pong.web.svc", "pong.web.svc.local"]) {
    const names = [...search.map((domain) => `${said}.${domain}`), said];
    for (const name of names) assert.ok(name === "pong.web.svc.local" || asked.includes(name), `${said}: ${name}`);
  }
  assert.deepEqual(
    asked.filter((name) => !name.startsWith("pong")),
    [],
  );
});

test("any name below a search domain is not any name below another", () => {
  assert.deepEqual(expandPattern("*.web.svc.local", ["web.svc.local", "svc.local"]), [
    "*.web.svc.local.web.svc.local",
    "*.web.svc.local.svc.local",
    "*.web.web.svc.local",
  ]);
});

test("rules carry the wildcards above them", () => {
  const both = { ask: true, connect: true };
  const rules = flattenNames([
    { pattern: "*.example.com", mask: 1n, ...both },
    { pattern: "www.example.com", mask: 2n, ...both },
    { pattern: "example.com", mask: 4n, ask: true, connect: false },
  ]);
  assert.deepEqual(rules, [
    { text: "moc.elpmaxe.", exactAsk: 4n, exactConnect: 0n, belowAsk: 1n, belowConnect: 1n },
    { text: "moc.elpmaxe.www.", exactAsk: 3n, exactConnect: 3n, belowAsk: 1n, belowConnect: 1n },
  ]);
});

test("property: one lookup finds what asking every pattern finds", () => {
  const random = new Random(253);
  // Labels that begin alike, so that a prefix of the text need not end at a label.
  const name = () => random.list(3, () => random.pick(["a", "ab", "b", "ba", "a-b", "_a"])).join(".");
  for (let round = 0; round < 300; round += 1) {
    const grants: NameGrant[] = random.list(10, () => {
      const base = name();
      const pattern = base === "" ? "*" : random.chance(0.5) ? `*.${base}` : base;
      return { pattern, mask: 1n << BigInt(random.below(6)), ask: random.chance(0.6), connect: random.chance(0.6) };
    });
    const ruleset = { ...EMPTY_RULESET, names: flattenNames(grants) };
    for (let probe = 0; probe < 30; probe += 1) {
      const asked = name();
      const matching = grants.filter((grant) => matchesPattern(grant.pattern, asked));
      const union = (list: NameGrant[]) => list.reduce((mask, grant) => mask | grant.mask, 0n);
      assert.deepEqual(nameMasks(ruleset, reverseName(asked)), {
        ask: union(matching.filter((grant) => grant.ask)),
        connect: union(matching.filter((grant) => grant.connect)),
      });
    }
  }
});
