/** What holds of every learned profile, shown with random recordings through the compiler and the reference evaluator. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SecurityProfile } from "../api/types.ts";
import { validateProfile } from "../api/validation/validate.ts";
import type { VerdictEvent } from "../flow/record.ts";
import { Random } from "../policy/testing/random.ts";
import { GENERALIZATIONS } from "./generalize.ts";
import { judge } from "./judge.ts";
import { type LearnOptions, learn } from "./learn.ts";
import type { Observation } from "./recording.ts";
import { flow, question, RESOLVER, recordingOf, visit } from "./testing/records.ts";

const RUNS = 100;
/** Each of them is judged once for every value of its profile. */
const REDUCED = 20;
const SEARCH_DOMAINS = ["shop.svc.cluster.local", "svc.cluster.local"];
const OPTIONS: LearnOptions = {
  ...{ name: "web", namespace: "default", labels: { app: "web" }, include: new Set<string>() },
  ...{ resolvers: [RESOLVER], searchDomains: SEARCH_DOMAINS, openPorts: [], generalize: new Set<never>() },
  podAt: () => null,
};
const PATHS = ["/bin/app", "/usr/bin/python3.13", "/opt/worker", "/bin/bash", "/usr/bin/apt-get"];
const NAMES = ["db.shop.svc.cluster.local", "example.com", "api.example.com", "a.b.example.org", "cache.internal"];
const PEERS = ["203.0.113.5", "203.0.113.6", "198.51.100.1", "2001:db8::1", "2001:db8:1::2", "8.8.8.8"];
/** Of names: where the same process knows an address without a name, too, that alone lets it connect. */
const NAMED_PEERS = ["192.0.2.1", "192.0.2.2", "2001:db8:2::1"];
const PORTS = [22, 80, 443, 5432, 8080, 35_000, 50_051];

function randomRecords(random: Random): VerdictEvent[] {
  return random.list(40, () => randomRecord(random)).flat();
}

function randomRecord(random: Random): VerdictEvent[] {
  const script = random.chance(0.1) ? { script: "/app/run.py" } : {};
  const container = random.chance(0.5) ? { container: random.pick(["app", "sidecar"]) } : {};
  const modified = random.chance(0.05) ? { modified: true } : {};
  const who = {
    replica: random.pick(["web-1", "web-2", "web-3"]),
    process: random.chance(0.05) ? null : { path: random.pick(PATHS), ...script, ...container, ...modified },
    time: new Date(1_767_322_800_000 + random.below(3_600_000)).toISOString(),
    count: 1 + random.below(3),
    verdict: random.chance(0.05) ? ("alerted" as const) : ("allowed" as const),
  };
  const where = {
    peer: random.pick(PEERS),
    port: random.pick(PORTS),
    proto: random.pick(["tcp", "tcp", "udp", "icmp", "47"]),
  };
  switch (random.below(5)) {
    case 0:
      return [question(random.pick(NAMES), who)];
    case 1:
      return searched(random.pick(NAMES), who);
    case 2:
      return visit(random.pick(NAMES), { ...who, ...where, peer: random.pick(NAMED_PEERS) });
    case 3:
      return [flow({ ...who, ...where, direction: "ingress" })];
    default:
      return [flow({ ...who, ...where })];
  }
}

/** A name that is not found with the search list before it is found without. */
function searched(name: string, who: Parameters<typeof question>[1]): VerdictEvent[] {
  return [...SEARCH_DOMAINS.map((domain) => `${name}.${domain}`), name].map((asked) => question(asked, who));
}

/** What was recorded as allowed and is not left out, and what the profile says to it. */
function findings(profile: SecurityProfile, observations: readonly Observation[]): string[] {
  const workload = { namespace: "default", labels: { app: "web", "pod-template-hash": "x" } };
  const options = { searchDomains: SEARCH_DOMAINS, resolvers: [RESOLVER] };
  return observations.map((observation) => judge([profile], workload, observation, options));
}

/** The profile without one value. */
function without(profile: SecurityProfile, path: readonly (string | number)[]): SecurityProfile {
  const copy = structuredClone(profile);
  const parents = path.slice(0, -1);
  const list = parents.reduce<unknown>(
    (node, key) => (node as Record<string | number, unknown>)[key],
    copy,
  ) as unknown[];
  list.splice(path.at(-1) as number, 1);
  if (list.length > 0) return copy;
  const holder = parents
    .slice(0, -1)
    .reduce<unknown>((node, key) => (node as Record<string | number, unknown>)[key], copy) as Record<string, unknown>;
  // An empty list of names lets no name be asked; of others, it lets nothing pass.
  if (parents.at(-1) !== "dns") delete holder[parents.at(-1) as string];
  return copy;
}

for (const generalize of [new Set<never>(), new Set(GENERALIZATIONS)]) {
  const how = generalize.size === 0 ? "exact" : "widened";
  test(`what was recorded as allowed is allowed by what was learned (${how})`, () => {
    for (let seed = 0; seed < RUNS; seed++) {
      const recording = recordingOf(randomRecords(new Random(seed)));
      const { profile, leftOut } = learn(recording, { ...OPTIONS, generalize });
      const left = new Set(leftOut.flatMap(({ observations }) => observations));
      const learned = recording.observations().filter((one) => one.allowed && !left.has(one));
      assert.deepEqual(
        [...new Set(findings(profile, learned))],
        learned.length === 0 ? [] : ["Allowed"],
        `seed ${seed}`,
      );
      assert.deepEqual(validateProfile(profile).errors, [], `seed ${seed}`);
    }
  });
}

test("what is left out is not allowed", () => {
  for (let seed = 0; seed < RUNS; seed++) {
    const recording = recordingOf(randomRecords(new Random(seed)));
    const { profile, leftOut } = learn(recording, OPTIONS);
    const ofProcesses = leftOut.filter(({ reason }) => !reason.startsWith("one-off"));
    const left = ofProcesses.flatMap(({ observations }) => observations);
    assert.ok(!findings(profile, left).includes("Allowed"), `seed ${seed}`);
  }
});

test("without any one of its values, the profile refuses something that was recorded", () => {
  let tried = 0;
  for (let seed = 0; seed < REDUCED; seed++) {
    const recording = recordingOf(randomRecords(new Random(seed)));
    const { profile, evidence, leftOut } = learn(recording, OPTIONS);
    const left = new Set(leftOut.flatMap(({ observations }) => observations));
    const learned = recording.observations().filter((one) => one.allowed && !left.has(one));
    for (const { path } of evidence) {
      if (path.at(-2) === "protocols" && path.at(-3) === "l7") continue;
      tried += 1;
      const refused = findings(without(profile, path), learned).some((finding) => finding !== "Allowed");
      assert.ok(refused, `seed ${seed}: ${path.join(".")} is not needed\n${JSON.stringify(profile, null, 1)}`);
    }
  }
  assert.ok(tried > 200, String(tried));
});

test("the order of the records does not matter, nor how they are spread over replicas", () => {
  for (let seed = 0; seed < RUNS; seed++) {
    const random = new Random(seed);
    const records = randomRecords(random);
    const learned = learn(recordingOf(records), OPTIONS);
    assert.deepEqual(learn(recordingOf(random.shuffled(records)), OPTIONS), learned, `seed ${seed}`);
    const elsewhere = records.map((record) => ({ ...record, workload: { ...record.workload, name: "web-9" } }));
    assert.deepEqual(learn(recordingOf(elsewhere), OPTIONS).profile, learned.profile, `seed ${seed}`);
  }
});
