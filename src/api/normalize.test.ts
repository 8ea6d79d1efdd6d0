import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";
import { profileWith, profileWithEgress } from "./testing/refused-case.ts";
import type { EgressRules } from "./types.ts";
import { validateProfile } from "./validation/validate.ts";

/** Listing 1 of the paper, where `dns` stands beside `l7`. */
const LISTING_1 = readFileSync(new URL("testdata/listing-1.yaml", import.meta.url), "utf8");

function egressOf(object: unknown): EgressRules {
  const { profile, errors } = validateProfile(object);
  assert.deepEqual(errors, []);
  const egress = profile?.spec.processes?.[0]?.network?.egress;
  assert.ok(egress);
  return egress;
}

/** [field, code] of the warnings. */
function warningsOf(object: unknown): string[][] {
  return validateProfile(object).warnings.map(({ field, code }) => [field, code]);
}

const RESOLVER = { cidr4: ["10.96.0.10/32"], l4: { protocols: ["udp"] } };

test("Listing 1 of the paper applies unchanged, without a warning", () => {
  const { errors, warnings } = validateProfile(parse(LISTING_1));
  assert.deepEqual([...errors, ...warnings], []);
});

test("dns beside l7 becomes l7.dns", () => {
  const egress = egressOf(parse(LISTING_1));
  assert.deepEqual(egress.l7, { protocols: ["dns", "http"], dns: ["pong.default.svc.cluster.local"] });
  assert.ok(!("dns" in egress));
  assert.deepEqual(egressOf(profileWithEgress({ ...RESOLVER, dns: ["a.b"] })).l7, { dns: ["a.b"] });
});

test("Listing 1 with dns under l7 is the same profile", () => {
  const moved = parse(LISTING_1);
  const { egress } = moved.spec.processes[0].network;
  egress.l7.dns = egress.dns;
  delete egress.dns;
  assert.deepEqual(validateProfile(moved).profile, validateProfile(parse(LISTING_1)).profile);
});

test("names lose case and the trailing dot", () => {
  const egress = egressOf(profileWithEgress({ ...RESOLVER, fqdns: ["WWW.Example.COM.", "*.S3.amazonaws.com"] }));
  assert.deepEqual(egress.fqdns, ["www.example.com", "*.s3.amazonaws.com"]);
});

test("an empty l7.dns stays: it means that nothing may be asked", () => {
  assert.deepEqual(egressOf(profileWithEgress({ ...RESOLVER, l7: { dns: [] } })).l7, { dns: [] });
});

test("host bits are cleared, with a warning", () => {
  const object = profileWithEgress({
    cidr4: ["10.1.2.3/8", "10.96.0.10/32"],
    cidr6: ["FF02:0000:0000:0000:0000:0000:0000:0002/100"],
    l4: { protocols: ["tcp"] },
  });
  const egress = egressOf(object);
  assert.deepEqual(egress.cidr4, ["10.0.0.0/8", "10.96.0.10/32"]);
  assert.deepEqual(egress.cidr6, ["ff02::/100"]);
  assert.deepEqual(warningsOf(object), [
    ["spec.processes[0].network.egress.cidr4[0]", "PC_CIDR_HOST_BITS"],
    ["spec.processes[0].network.egress.cidr6[0]", "PC_CIDR_HOST_BITS"],
  ]);
});

test("repetitions go, with a warning at the second one", () => {
  const tcp80 = { protocol: "tcp", port: 80 };
  const object = profileWithEgress({
    cidr4: ["10.0.0.0/8", "10.0.0.0/8"],
    fqdns: ["a.b", "A.b."],
    l4: { protocolPorts: [tcp80, { ...tcp80, endPort: 80 }, { protocol: "udp", port: 53 }] },
  });
  const egress = egressOf(object);
  assert.deepEqual([egress.cidr4, egress.fqdns], [["10.0.0.0/8"], ["a.b"]]);
  assert.deepEqual(egress.l4?.protocolPorts, [tcp80, { protocol: "udp", port: 53 }]);
  assert.deepEqual(warningsOf(object), [
    ["spec.processes[0].network.egress.cidr4[1]", "PC_ENTRY_DUPLICATE"],
    ["spec.processes[0].network.egress.l4.protocolPorts[1]", "PC_ENTRY_DUPLICATE"],
    ["spec.processes[0].network.egress.fqdns[1]", "PC_ENTRY_DUPLICATE"],
  ]);
});

test("defaults are written out", () => {
  const { profile } = validateProfile(profileWith({ processes: [{ path: "/a", container: "" }] }));
  assert.equal(profile?.metadata.namespace, "default");
  assert.deepEqual(profile?.spec.processes, [{ path: "/a", binary: "Image" }]);
});

test("the given object is not changed", () => {
  const object = parse(LISTING_1);
  validateProfile(object);
  assert.deepEqual(object, parse(LISTING_1));
});

test("normalising twice is normalising once", () => {
  const { profile } = validateProfile(parse(LISTING_1));
  assert.deepEqual(validateProfile(profile).profile, profile);
});
