import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../testing/random.ts";
import { peerMask } from "./lookup.ts";
import {
  contains,
  type Family,
  flattenPrefixes,
  formatAddress,
  type MaskedPrefix,
  parseAddress,
  parsePrefix,
} from "./prefixes.ts";
import { EMPTY_RULESET } from "./rulesets.ts";

function flatten(family: Family, ...entries: [string, bigint][]) {
  const prefixes = entries.map(([text, mask]) => ({ ...parsePrefix(text, family), mask }));
  return flattenPrefixes(prefixes, family).map((rule) => [`${rule.address}/${rule.prefixLength}`, rule.mask]);
}

test("a prefix carries the masks of the prefixes around it", () => {
  assert.deepEqual(flatten("ipv4", ["10.1.0.0/16", 2n], ["10.0.0.0/8", 1n], ["0.0.0.0/0", 4n], ["11.0.0.0/8", 1n]), [
    ["0.0.0.0/0", 4n],
    ["10.0.0.0/8", 5n],
    ["10.1.0.0/16", 7n],
    ["11.0.0.0/8", 5n],
  ]);
});

test("equal prefixes are united, and those that add nothing are left out", () => {
  assert.deepEqual(flatten("ipv4", ["10.0.0.0/8", 1n], ["10.0.0.0/8", 2n], ["10.5.0.0/16", 1n], ["10.5.5.0/24", 2n]), [
    ["10.0.0.0/8", 3n],
  ]);
});

test("host bits are cleared and texts are canonical", () => {
  assert.deepEqual(flatten("ipv4", ["10.1.2.3/8", 1n]), [["10.0.0.0/8", 1n]]);
  assert.deepEqual(flatten("ipv6", ["2001:DB8:0:0::5/64", 1n]), [["2001:db8::/64", 1n]]);
});

test("what is no network of the family is refused", () => {
  for (const text of ["10.0.0.0", "10.0.0.0/33", "2001:db8::/32", "10.0.0/8", "10.0.0.0/", "010.0.0.0/8x"]) {
    assert.throws(() => parsePrefix(text, "ipv4"), { code: "PC_COMPILE" }, text);
  }
  for (const text of ["10.0.0.0/8", "fe80::1%eth0/64", "2001:db8::/129"]) {
    assert.throws(() => parsePrefix(text, "ipv6"), { code: "PC_COMPILE" }, text);
  }
});

test("addresses are numbers and back", () => {
  for (const [family, text] of [
    ["ipv4", "1.2.3.4"],
    ["ipv6", "2001:db8::1"],
    ["ipv6", "::"],
  ] as const) {
    assert.equal(formatAddress(parseAddress(text, family) as bigint, family), text);
  }
});

test("50,000 networks are flattened in time that grows with their number, not its square", () => {
  const entries = Array.from(
    { length: 50_000 },
    (_, index): MaskedPrefix => ({
      address: BigInt(index) << 12n,
      length: 20 + (index % 4),
      mask: 1n << BigInt(index % 64),
    }),
  );
  const started = performance.now();
  assert.ok(flattenPrefixes(entries, "ipv4").length > 10_000);
  assert.ok(performance.now() - started < 5_000);
});

for (const family of ["ipv4", "ipv6"] as const) {
  test(`property: one lookup finds what asking every ${family} prefix finds`, () => {
    const random = new Random(family === "ipv4" ? 4 : 6);
    const bits = family === "ipv4" ? 32 : 128;
    // Few distinct leading bytes, so that prefixes contain one another often.
    const address = () =>
      (BigInt(random.below(4)) << BigInt(bits - 2)) |
      (BigInt(random.below(4)) << BigInt(bits - 8)) |
      BigInt(random.below(8));
    for (let round = 0; round < 200; round += 1) {
      const entries = random.list(20, () => {
        const length = random.pick([0, 1, 2, 3, 7, 8, bits - 3, bits - 1, bits]);
        const shift = BigInt(bits - length);
        return { address: (address() >> shift) << shift, length, mask: 1n << BigInt(random.below(6)) };
      });
      const rules = flattenPrefixes(entries, family);
      const ruleset = { ...EMPTY_RULESET, ...(family === "ipv4" ? { peers4: rules } : { peers6: rules }) };
      for (let probe = 0; probe < 20; probe += 1) {
        const host = { address: address(), length: bits };
        const expected = entries
          .filter((entry) => contains(entry, host, family))
          .reduce((mask, entry) => mask | entry.mask, 0n);
        assert.equal(peerMask(ruleset, family, host.address), expected);
      }
    }
  });
}
