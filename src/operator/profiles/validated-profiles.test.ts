import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "../../kube/resources.ts";
import { profileObject } from "../testing/stored-profile.ts";
import { type BudgetLimits, Budgets, DEFAULT_BUDGET } from "./budget.ts";
import { profileMetadata } from "./draft.ts";
import type { StoredProfile } from "./stored-profile.ts";
import { ValidatedProfiles } from "./validated-profiles.ts";

/** The thread's store without its thread: what is to be looked at is looked at on `settle`. */
class Bench {
  readonly received = new Map<string, StoredProfile | null>();
  readonly objects = new Map<string, KubeObject>();
  readonly delayed: string[] = [];
  /** Profiles that are gone are held. */
  holds = false;
  readonly profiles: ValidatedProfiles;
  #queue = new Set<string>();
  reads = 0;

  constructor(limits: Partial<BudgetLimits> = {}) {
    this.profiles = new ValidatedProfiles({
      budgets: new Budgets({ ...DEFAULT_BUDGET, ...limits }),
      enqueue: (key, after) => (after === undefined ? this.#queue.add(key) : this.delayed.push(key)),
      onProfile: (key, profile) => {
        this.received.set(key, profile);
        if (profile === null && !this.holds) this.profiles.letGo(key);
      },
      read: async (key) => {
        this.reads += 1;
        return this.objects.get(key) ?? null;
      },
    });
  }

  put(name: string, spec: object, metadata: object = {}): void {
    const object = profileObject(spec, { name, uid: name, ...metadata });
    const key = `${object.metadata.namespace}/${name}`;
    this.objects.set(key, object);
    this.profiles.changed(key, profileMetadata(object));
  }

  remove(key: string): void {
    this.objects.delete(key);
    this.profiles.changed(key, null);
  }

  async settle(): Promise<void> {
    while (this.#queue.size > 0) {
      const [key] = this.#queue;
      this.#queue.delete(key as string);
      await this.profiles.reconcile(key as string);
    }
  }

  actions(key: string): string {
    return this.received.get(key)?.accepted?.actions.join() ?? "none";
  }
}

const prefixes = (count: number) => Array.from({ length: count }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`);
const allowing = (count: number) => ({ default: { egress: { cidr4: prefixes(count) } } });

test("what a profile says that is gone and held can be compiled, and counts for its namespace", async () => {
  const bench = new Bench({ profiles: 1 });
  bench.holds = true;
  bench.put("a", { actions: ["enforce"] });
  await bench.settle();
  bench.remove("shop/a");
  bench.put("b", { actions: ["enforce"] });
  await bench.settle();
  assert.equal(bench.received.get("shop/a"), null);
  assert.deepEqual(bench.profiles.accepted("shop/a")?.profile.spec.actions, ["enforce"]);
  assert.match(bench.received.get("shop/b")?.overBudget ?? "", /2 profiles, and may have 1/);
  bench.profiles.letGo("shop/a");
  await bench.settle();
  assert.equal(bench.profiles.accepted("shop/a"), null);
  assert.equal(bench.actions("shop/b"), "enforce");
  bench.holds = false;
});

test("a profile that is held and comes back as it was is reported", async () => {
  const bench = new Bench();
  bench.holds = true;
  bench.put("a", { actions: ["enforce"] });
  await bench.settle();
  bench.remove("shop/a");
  await bench.settle();
  bench.put("a", { actions: ["enforce"] });
  await bench.settle();
  assert.equal(bench.actions("shop/a"), "enforce");
  bench.profiles.letGo("shop/a");
  assert.notEqual(bench.profiles.accepted("shop/a"), null);
});

test("the last valid revision stays, until another object takes its name", async () => {
  const bench = new Bench();
  bench.put("web", { actions: ["alert"] });
  await bench.settle();
  bench.put("web", { actions: ["nonsense"] }, { generation: 2 });
  await bench.settle();
  const after = bench.received.get("shop/web");
  assert.deepEqual([bench.actions("shop/web"), after?.accepted?.generation, after?.errors.count], ["alert", 1, 1]);
  bench.put("web", { actions: ["nonsense"] }, { uid: "other" });
  await bench.settle();
  assert.equal(bench.actions("shop/web"), "none");
});

for (const [what, limits, spec] of [
  ["profiles", { profiles: 2 }, {}],
  ["bytes", { bytes: 3_000 }, allowing(70)],
  ["rules", { rules: 25 }, allowing(10)],
  [
    "selectors",
    { selectors: 5 },
    { default: { egress: { pods: [{ podSelector: { matchLabels: { a: "b" } } }, { namespaceSelector: {} }] } } },
  ],
] as const) {
  test(`a namespace beyond its budget of ${what} keeps what it had, others are not concerned, and room is used`, async () => {
    const bench = new Bench(limits);
    for (const name of ["a", "b", "c"]) bench.put(name, spec);
    bench.put("d", spec, { namespace: "other" });
    await bench.settle();
    const refused = () => [...bench.received].flatMap(([key, profile]) => (profile?.overBudget ? [key] : []));
    assert.deepEqual(refused(), ["shop/c"]);
    assert.match(
      bench.received.get("shop/c")?.overBudget ?? "",
      new RegExp(`^with it namespace shop would have .*${what}`),
    );
    assert.equal(bench.received.get("shop/c")?.accepted, null);
    bench.remove("shop/a");
    await bench.settle();
    assert.deepEqual(refused(), []);
    assert.notEqual(bench.received.get("shop/c")?.accepted, null);
  });
}

test("an edit beyond the budget leaves the revision before in force", async () => {
  const bench = new Bench({ rules: 25 });
  bench.put("web", { actions: ["alert"], ...allowing(10) });
  await bench.settle();
  bench.put("web", { actions: ["enforce"], ...allowing(30) }, { generation: 2 });
  await bench.settle();
  assert.equal(bench.actions("shop/web"), "alert");
  assert.equal(bench.profiles.accepted("shop/web")?.profile.spec.actions?.join(), "alert");
  bench.put("web", { actions: ["enforce"], ...allowing(25) }, { generation: 3 });
  await bench.settle();
  assert.deepEqual([bench.actions("shop/web"), bench.received.get("shop/web")?.overBudget], ["enforce", null]);
});

test("of a namespace that is full nothing more is read, be what it has taken or not", async () => {
  for (const spec of [allowing(200), { ...allowing(200), actions: ["nonsense"] }]) {
    const bench = new Bench({ bytes: 10_000 });
    for (let index = 0; index < 20; index += 1) bench.put(`p${index}`, spec);
    await bench.settle();
    assert.ok(bench.reads > 1 && bench.reads < 8, `${bench.reads} were read`);
    const before = bench.reads;
    bench.remove("shop/p0");
    await bench.settle();
    assert.ok(
      bench.reads > before && bench.reads <= before + 2,
      `${bench.reads - before} were read for one that is gone`,
    );
  }
});

test("more edits than the budget has wait for their turn, which is said", async () => {
  const bench = new Bench({ editsPerSecond: 0.05 });
  bench.put("web", { actions: ["alert"] });
  await bench.settle();
  for (let generation = 2; generation < 12; generation += 1) {
    bench.put("web", { actions: ["alert"], ...allowing(generation) }, { generation });
    await bench.settle();
  }
  assert.match(bench.received.get("shop/web")?.overBudget ?? "", /more edits than 0.05 a second/);
  assert.equal(bench.received.get("shop/web")?.accepted?.generation, 6);
  assert.ok(bench.delayed.includes("shop/web"));
});

test("a status that is written costs nothing", async () => {
  const bench = new Bench();
  bench.put("web", allowing(10));
  await bench.settle();
  const object = bench.objects.get("shop/web") as KubeObject;
  bench.profiles.changed("shop/web", profileMetadata({ ...object, status: { dropped: 7 } }));
  await bench.settle();
  assert.equal(bench.reads, 1);
});
