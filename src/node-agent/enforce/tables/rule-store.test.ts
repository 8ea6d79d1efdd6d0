import assert from "node:assert/strict";
import { test } from "node:test";
import type { EgressRules, SecurityProfile } from "../../../api/types.ts";
import { compileTable } from "../../../policy/compile/compile.ts";
import { CapacityError } from "../errors.ts";
import { memoryMaps } from "../testing/memory-maps.ts";
import { ContainerIds } from "./container-ids.ts";
import { PathNames } from "./path-names.ts";
import { RuleStore } from "./rule-store.ts";

function table(
  path: string,
  egress: EgressRules,
  actions: SecurityProfile["spec"]["actions"] = ["enforce"],
  namespace = "default",
) {
  const profile: SecurityProfile = {
    apiVersion: "security.datadoghq.com/v1",
    kind: "SecurityProfile",
    metadata: { name: "p", namespace, labels: { app: "p" } },
    spec: { actions, processes: [{ path, network: { egress } }] },
  };
  return compileTable([profile], { searchDomains: [] });
}

const web: EgressRules = { cidr4: ["10.0.0.0/8"], l4: { protocolPorts: [{ protocol: "tcp", port: 80 }] } };

const IDS = new ContainerIds(1n);

function setUp() {
  const maps = memoryMaps();
  const paths = new PathNames(maps);
  return { maps, paths, store: new RuleStore(maps, paths, IDS) };
}

const sizes = (maps: ReturnType<typeof memoryMaps>) =>
  [maps.binaries, maps.rulesets, maps.peers4, maps.ports].map((map) => map.size);

test("a table is written once for all who hold it, and goes with the last of them, after the grace period", () => {
  const { maps, store } = setUp();
  const first = store.hold(table("/bin/a", web));
  const second = store.hold(table("/bin/a", web));
  assert.equal(first.id, second.id);
  assert.deepEqual(sizes(maps), [1, 1, 1, 1]);
  store.release(first.id, 0);
  assert.equal(store.collect(1000, 5000), 0);
  assert.deepEqual(sizes(maps), [1, 1, 1, 1]);
  store.release(first.id, 5000);
  assert.equal(store.collect(1000, 5999), 1);
  assert.equal(store.collect(1000, 6000), 0);
  assert.deepEqual(sizes(maps), [0, 0, 0, 0]);
});

test("a change of mode alone writes no rules again, but a new table", () => {
  const { maps, store } = setUp();
  const alerting = store.hold(table("/bin/a", web, ["alert"]));
  const enforcing = store.hold(table("/bin/a", web, ["alert", "enforce"]));
  assert.notEqual(alerting.id, enforcing.id);
  assert.deepEqual(alerting.rulesets, enforcing.rulesets);
  assert.deepEqual(sizes(maps), [2, 1, 1, 1]);
});

test("a table that does not fit is an error, and leaves nothing behind", () => {
  const { maps, store } = setUp();
  const kept = store.hold(table("/bin/a", web));
  maps.peers4.maxEntries = 2;
  const large = table("/bin/b", { ...web, cidr4: ["10.1.0.0/16", "10.2.0.0/16"] });
  assert.throws(
    () => store.hold(large),
    (error) => error instanceof CapacityError && error.map === "peers4",
  );
  assert.deepEqual(sizes(maps), [1, 1, 1, 1]);
  assert.equal(store.find(kept.id), kept);
  maps.peers4.maxEntries = 100;
  store.hold(large);
  assert.deepEqual(sizes(maps), [2, 2, 3, 2]);
});

test("no namespace fills a table that others need, be it by one large profile or by many, and also after a restart", () => {
  const { maps, paths, store } = setUp();
  maps.peers4.maxEntries = 300;
  const prefixes = (count: number, first: number) =>
    Array.from({ length: count }, (_, index) => `10.${first}.${index}.0/24`);
  const of = (namespace: string, count: number, first: number) =>
    table(`/bin/${namespace}${first}`, { ...web, cidr4: prefixes(count, first) }, ["enforce"], namespace);
  const refused = (namespace: string, count: number, first: number) =>
    assert.throws(() => store.hold(of(namespace, count, first)), new RegExp(`namespace ${namespace} would have`));
  refused("greedy", 151, 1);
  const held = [1, 2, 3].map((first) => store.hold(of("greedy", 50, first)));
  refused("greedy", 1, 4);
  // What it has already is no more than it was.
  store.hold(of("greedy", 50, 1));
  // A newcomer has half of what is left, and the greedy one nothing more.
  const other = store.hold(of("other", 75, 1));
  refused("other", 76, 2);
  refused("greedy", 1, 4);
  const next = new RuleStore(maps, paths, IDS);
  for (const state of [...held, other]) assert.ok(next.adopt(state));
  assert.throws(() => next.hold(of("greedy", 1, 4)), /namespace greedy/);
  for (const { id } of held) next.holdAdopted(id);
  for (const { id } of held) next.release(id, 0);
  next.collect(1, 5);
  next.hold(of("greedy", 100, 4));
});

test("executables that are named without end leave numbers to other namespaces", () => {
  const { maps, store } = setUp();
  maps.paths.maxEntries = 40;
  for (let index = 0; index < 20; index += 1) store.hold(table(`/bin/${index}`, web, ["enforce"], "greedy"));
  assert.throws(() => store.hold(table("/bin/20", web, ["enforce"], "greedy")), CapacityError);
  store.hold(table("/bin/web", web, ["enforce"], "other"));
});

test("the next agent takes over what the state file knows, and removes what it does not", () => {
  const { maps, store } = setUp();
  const known = store.hold(table("/bin/a", web));
  store.hold(table("/bin/b", { ...web, cidr4: ["10.1.0.0/16"] }));
  const next = new RuleStore(maps, new PathNames(maps), IDS);
  assert.equal(next.adopt(known), true);
  assert.equal(next.holdAdopted(known.id)?.id, known.id);
  assert.ok(next.collectOrphans() > 0);
  assert.deepEqual(sizes(maps), [1, 1, 1, 1]);
  assert.equal(next.hold(table("/bin/a", web)).id, known.id);
  assert.ok(next.hold(table("/bin/c", web)).id > known.id + 1, "numbers of orphans are not used again");
});

test("a table whose parts are gone is not taken over", () => {
  const { maps, paths, store } = setUp();
  const known = store.hold(table("/bin/a", web));
  maps.rulesets.deleteAll([...maps.rulesets.entries()].map(([id]) => id));
  assert.equal(new RuleStore(maps, paths, IDS).adopt(known), false);
});

test("a path that the kernel has numbered keeps that number", () => {
  const { maps, store } = setUp();
  maps.paths.set({ text: "/bin/a" }, 7);
  maps.pathTexts.set(7, { text: "/bin/a" });
  store.hold(table("/bin/a", web));
  assert.deepEqual(
    [...maps.binaries.entries()].map(([key]) => key.pathId),
    [7],
  );
});

test("paths nothing refers to are removed; one that a new process took meanwhile is put back", () => {
  const { maps, paths } = setUp();
  for (const [id, text] of [
    [1, "/bin/a"],
    [2, "/bin/b"],
    [3, "/bin/c"],
  ] as const) {
    maps.paths.set({ text }, id);
    maps.pathTexts.set(id, { text });
  }
  const looks = [new Set([1]), new Set([1, 2])];
  assert.equal(
    paths.collect(() => looks.shift() ?? new Set()),
    1,
  );
  assert.deepEqual([...maps.paths.entries()].map(([{ text }]) => text).sort(), ["/bin/a", "/bin/b"]);
  assert.equal(paths.text(2), "/bin/b");
  assert.equal(paths.text(3), null);
});
