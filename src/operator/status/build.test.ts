import assert from "node:assert/strict";
import { test } from "node:test";
import { STATUS_SCHEMA } from "../../api/schema/schema-status.ts";
import type { StoredProfile } from "../profiles/stored-profile.ts";
import { profileObject, storedProfile } from "../testing/stored-profile.ts";
import { buildStatus, modeText } from "./build.ts";
import { type Folded, unfolded } from "./fold.ts";
import { addCounts, ProfileTotals } from "./totals.ts";

const NOW = new Date("2026-01-02T03:04:05.678Z");

function profileOf(spec: object, metadata: object = {}): StoredProfile {
  return storedProfile(profileObject(spec, { generation: 3, ...metadata }));
}

const WEB = profileOf({ actions: ["enforce"], processes: [{ path: "/bin/a", container: "app" }, { path: "/bin/b" }] });

function folded(more: Partial<Folded> = {}): Folded {
  return {
    ...unfolded(4),
    pods: { selected: 4, enforced: 4, unprotected: 0 },
    nodes: { total: 2, programmed: 2, ready: 2 },
    ...more,
  };
}

const totals = () => new ProfileTotals().of({ key: "shop/web", uid: "u", status: {} });
const build = (more: Partial<Folded> = {}, profile = WEB) => buildStatus(profile, folded(more), totals(), {}, NOW);
const words = (status: ReturnType<typeof build>) =>
  status.conditions.map((condition) => `${condition.type} ${condition.status} ${condition.reason}`);

test("all is well", () => {
  const status = build();
  assert.deepEqual(words(status), [
    "Accepted True Valid",
    "Programmed True Programmed",
    "Enforced True Enforced",
    "Hardened True Hardened",
  ]);
  assert.deepEqual([status.pods.text, status.nodes.text, status.mode], ["4/4", "2/2", "Enforce"]);
  assert.equal(status.conditions[0]?.lastTransitionTime, "2026-01-02T03:04:05Z");
});

test("every field that is written is in the schema", () => {
  const known = Object.keys(STATUS_SCHEMA.properties ?? {});
  for (const field of Object.keys(build())) assert.ok(known.includes(field), field);
});

test("what stands in the way is reported in the order in which it matters", () => {
  const failing = [{ name: "n1", reason: "PC_CAPACITY", message: "full", pods: 1 }];
  const unprotected = { reason: "HostNetwork", message: "shares", pod: "shop/host" };
  const compileFailure = { reason: "CompileFailed", message: "too many" };
  const enforced = (more: Partial<Folded>, profile = WEB) => words(build(more, profile))[2];
  assert.equal(enforced({ pods: { selected: 4, enforced: 3, unprotected: 0 } }), "Enforced False Progressing");
  assert.equal(enforced({ unprotected }), "Enforced False PodsUnprotected");
  assert.equal(enforced({ limited: failing }), "Enforced True EnforcedWithLimits");
  assert.equal(enforced({ unprotected, limited: failing }), "Enforced False PodsUnprotected");
  assert.equal(enforced({ unprotected, failing }), "Enforced False NodesFailing");
  assert.equal(enforced({ unprotected, failing, compileFailure }), "Enforced False CompileFailed");
  assert.equal(enforced({ compileFailure }, profileOf({ actions: ["nonsense"] })), "Enforced False NotAccepted");
  assert.equal(enforced({}, profileOf({}, { labels: {} })), "Enforced False SelectsNothing");
  assert.equal(enforced({ pods: { selected: 0, enforced: 0, unprotected: 0 } }), "Enforced True NoPods");
});

test("what pods have beyond need is one condition, and keeps nothing from being in force", () => {
  const weaknesses = new Map([
    ["netRaw", { pods: 3, first: "default/a" }],
    ["privileged", { pods: 1, first: "default/b" }],
  ] as const);
  const status = build({ weaknesses: new Map(weaknesses), pods: { selected: 4, enforced: 4, unprotected: 0 } });
  const hardened = status.conditions.find(({ type }) => type === "Hardened");
  assert.deepEqual([hardened?.status, hardened?.reason], ["False", "PodsHaveMoreThanNeeded"]);
  assert.match(
    hardened?.message ?? "",
    /^1 of 4 pods \(default\/b first\) have privileged: .*\. 3 of 4 pods \(default\/a first\) have CAP_NET_RAW: /,
  );
  assert.ok(words(status).includes("Enforced True Enforced"));
});

test("a condition keeps its time for as long as its status stays", () => {
  const first = build();
  const later = new Date("2026-01-02T04:00:00Z");
  const failing = [{ name: "n1", reason: "X", message: "y", pods: 1 }];
  const second = buildStatus(WEB, folded({ failing }), totals(), first, later);
  assert.deepEqual(
    second.conditions.map(({ lastTransitionTime }) => lastTransitionTime),
    ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z", "2026-01-02T04:00:00Z", "2026-01-02T03:04:05Z"],
  );
});

test("many failing nodes are summed up", () => {
  const failing = Array.from({ length: 80 }, (_, index) => ({ name: `n${index}`, reason: "X", message: "y", pods: 1 }));
  const status = build({ failing });
  assert.equal(status.failingNodes.length, 50);
  assert.match(status.conditions[2]?.message ?? "", /node n0: X: y; node n1: X: y; node n2: X: y; and 77 more nodes/);
});

test("counts go on from the status, and every listed process is there", () => {
  const status = { dropped: 10, alerted: 1, processes: [{ path: "/bin/b", allowed: 5, dropped: 10, alerted: 1 }] };
  const sums = new ProfileTotals().of({ key: "shop/web", uid: "u", status });
  const verdicts = [{ verdict: "dropped", packets: 2 }];
  addCounts(sums, { path: "/bin/b", container: "" }, verdicts);
  addCounts(sums, { path: "", container: "" }, verdicts);
  const built = buildStatus(
    WEB,
    folded({ sharedWith: new Map([["/bin/b", new Set(["/bin/z", "/bin/c"])]]) }),
    sums,
    {},
    NOW,
  );
  assert.equal(built.dropped, 14);
  assert.deepEqual(built.processes, [
    { path: "/bin/a", container: "app", allowed: 0, dropped: 0, alerted: 0 },
    { path: "/bin/b", allowed: 5, dropped: 12, alerted: 1, sharedWith: ["/bin/c", "/bin/z"] },
    { path: "", allowed: 0, dropped: 2, alerted: 0 },
  ]);
});

test("modes in the words of kubectl get", () => {
  assert.deepEqual(
    [[], ["alert"], ["enforce"], ["enforce", "alert"], ["learn"], ["trace-dns"]].map((actions) =>
      modeText(actions as never),
    ),
    ["Count", "Alert", "Enforce", "Enforce+Alert", "Learn", "Count"],
  );
});
