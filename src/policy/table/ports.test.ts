import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../testing/random.ts";
import { formatPorts } from "./entries.ts";
import { portMask } from "./lookup.ts";
import { flattenPorts, PORT_MAX, type PortGrant, protocolName } from "./ports.ts";
import { EMPTY_RULESET } from "./rulesets.ts";

const TCP = 6;
const UDP = 17;

function range(protocol: number | null, first: number, last: number, mask: bigint): PortGrant {
  return { protocol, first, last, mask };
}

function show(grants: PortGrant[]) {
  return flattenPorts(grants).map((rule) => `${formatPorts(rule)}: ${rule.mask}`);
}

test("a range becomes the fewest aligned prefixes", () => {
  assert.deepEqual(show([range(TCP, 80, 90, 1n)]), ["tcp 80-87: 1", "tcp 88-89: 1", "tcp 90: 1"]);
  assert.deepEqual(show([range(TCP, 1024, 2047, 1n)]), ["tcp 1024-2047: 1"]);
  assert.equal(flattenPorts([range(TCP, 1, PORT_MAX - 1, 1n)]).length, 30);
});

test("all of a protocol, and any protocol, are carried by what is more specific", () => {
  const grants = [
    range(null, 0, PORT_MAX, 1n),
    range(TCP, 0, PORT_MAX, 2n),
    range(TCP, 80, 80, 4n),
    range(UDP, 53, 53, 4n),
  ];
  assert.deepEqual(show(grants), ["any: 1", "tcp: 3", "tcp 80: 7", "udp 53: 5"]);
});

test("what adds nothing to what is wider is left out", () => {
  assert.deepEqual(show([range(null, 0, PORT_MAX, 1n), range(TCP, 0, PORT_MAX, 1n), range(TCP, 80, 80, 1n)]), [
    "any: 1",
  ]);
});

test("overlapping ranges are cut where their masks change, and joined where they do not", () => {
  assert.deepEqual(show([range(TCP, 80, 83, 1n), range(TCP, 82, 85, 2n)]), [
    "tcp 80-81: 1",
    "tcp 82-83: 3",
    "tcp 84-85: 2",
  ]);
  assert.deepEqual(show([range(TCP, 80, 81, 1n), range(TCP, 82, 83, 1n)]), ["tcp 80-83: 1"]);
});

test("protocols go by name where they have one", () => {
  assert.equal(protocolName(132), "sctp");
  assert.equal(protocolName(47), "47");
});

test("property: one lookup finds what asking every range finds", () => {
  const random = new Random(16);
  for (let round = 0; round < 300; round += 1) {
    const grants = random.list(12, () => {
      const protocol = random.pick([null, TCP, UDP, 1]);
      const first = random.below(40);
      const mask = 1n << BigInt(random.below(6));
      const isWhole = protocol === null || protocol === 1 || random.chance(0.2);
      return isWhole ? range(protocol, 0, PORT_MAX, mask) : range(protocol, first, first + random.below(40), mask);
    });
    const ruleset = { ...EMPTY_RULESET, ports: flattenPorts(grants) };
    for (let probe = 0; probe < 30; probe += 1) {
      const protocol = random.pick([TCP, UDP, 1, 58]);
      const port = random.below(90);
      const expected = grants
        .filter(
          (grant) =>
            grant.protocol === null || (grant.protocol === protocol && grant.first <= port && port <= grant.last),
        )
        .reduce((mask, grant) => mask | grant.mask, 0n);
      assert.equal(portMask(ruleset, protocol, port), expected);
    }
  }
});
