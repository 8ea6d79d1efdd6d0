import assert from "node:assert/strict";
import { test } from "node:test";
import { ModeFlag, WorkloadFlag } from "../../gen/abi.gen.ts";
import type { RuleTable } from "../../policy/table/tables.ts";
import type { Workload } from "../discovery/workload.ts";
import type { DesiredPolicy, DesiredWorkload } from "./desired.ts";
import { Enforcer } from "./enforcer.ts";
import { type AgentState, encodeState, freshState } from "./state/state.ts";
import { ContainerIds } from "./tables/container-ids.ts";
import { Instances } from "./tables/instances.ts";
import { PathNames } from "./tables/path-names.ts";
import { RuleStore } from "./tables/rule-store.ts";
import { WorkloadFacts } from "./tables/workload-facts.ts";
import { memoryMaps } from "./testing/memory-maps.ts";
import { SILENT, testTable, testWorkload } from "./testing/workloads.ts";

/** A kernel in memory, and an agent on it; `restart` makes the next agent. */
function setUp() {
  const maps = memoryMaps();
  const attached = new Set<number>();
  const failing = new Set<number>();
  const exists = new Set<number>();
  const watched = new Set<string>();
  let saved: AgentState = freshState("/sys/fs/bpf/test", 1);
  const start = (state: AgentState) => {
    const containerIds = new ContainerIds(state.nameHashMultiplier);
    const store = new RuleStore(maps, new PathNames(maps), containerIds, state.nextTableId);
    state.tables = state.tables.filter((table) => store.adopt(table));
    return new Enforcer(
      {
        store,
        instances: new Instances(maps),
        facts: new WorkloadFacts(maps, containerIds),
        attachments: {
          attach: (ifindex) => {
            if (failing.has(ifindex)) throw new Error("no such device");
            attached.add(ifindex);
          },
          detach: (ifindex) => attached.delete(ifindex),
        },
        interfaceExists: (ifindex) => exists.has(ifindex),
        reportsAllowed: ({ podUid }) => podUid !== undefined && watched.has(podUid),
        forget: () => {},
        save: (changed) => {
          saved = structuredClone(changed);
        },
        log: SILENT,
      },
      state,
    );
  };
  const inForce = (ifindex: number) => {
    const instance = maps.interfaces.get(ifindex) ?? 0;
    return instance === 0 ? undefined : maps.workloads.get(instance);
  };
  return {
    ...{ maps, attached, failing, exists, inForce },
    enforcer: start(saved),
    restart: () => start(structuredClone(saved)),
    restartWithoutState: () => start(freshState("/sys/fs/bpf/test", 1)),
    saved: () => saved,
    watched,
  };
}

const want = (workload: Workload, policy: RuleTable | DesiredPolicy): DesiredWorkload => ({
  workload,
  policy: "kind" in policy ? policy : { kind: "table", table: policy, files: {} },
});

test("a workload's table is put in force on its interface and its namespace", () => {
  const { enforcer, inForce, maps, attached } = setUp();
  const [outcome] = enforcer.reconcile([want(testWorkload(1), testTable("/bin/a"))]);
  assert.equal(outcome?.state, "enforced");
  assert.deepEqual(outcome?.profiles, ["default/p"]);
  assert.deepEqual([...attached], [11]);
  const value = inForce(11);
  assert.equal(value?.id, outcome?.id);
  assert.equal(value?.flags, WorkloadFlag.DEFAULT_ABSENT);
  assert.equal(value?.mode, ModeFlag.ENFORCE);
  assert.equal(maps.namespaces.get(4026530001), maps.interfaces.get(11));
  assert.equal(maps.addresses.size, 2, "its address, and that of its interface");
});

test("before its table is written a new workload is shut", () => {
  const { enforcer, inForce, maps } = setUp();
  let flags: number | undefined;
  maps.rulesets.beforeWrite = () => {
    flags = inForce(11)?.flags;
  };
  enforcer.reconcile([want(testWorkload(1), testTable("/bin/a"))]);
  assert.equal(flags, WorkloadFlag.PENDING);
});

test("what is as it should be is not touched", () => {
  const { enforcer, maps } = setUp();
  const desired = [want(testWorkload(1), testTable("/bin/a")), want(testWorkload(2), { kind: "unrestricted" })];
  enforcer.reconcile(desired);
  for (const map of [maps.rulesets, maps.peers4, maps.ports, maps.binaries, maps.workloads, maps.interfaces]) {
    map.beforeWrite = () => assert.fail(`a write to ${map.name}`);
  }
  assert.deepEqual(
    enforcer.reconcile(desired).map(({ changed }) => changed),
    [false, false],
  );
});

test("first packets of allowed flows are reported for the workloads that somebody watches, and for no others", () => {
  const { enforcer, inForce, watched } = setUp();
  const desired = [1, 2].map((n) => want(testWorkload(n, { podUid: `uid-${n}` }), testTable("/bin/a")));
  const reported = () => {
    enforcer.reconcile(desired);
    return [11, 12].map((ifindex) => ((inForce(ifindex)?.flags ?? 0) & WorkloadFlag.REPORT_ALLOWED) !== 0);
  };
  assert.deepEqual(reported(), [false, false]);
  watched.add("uid-2");
  assert.deepEqual(reported(), [false, true]);
  watched.clear();
  assert.deepEqual(reported(), [false, false]);
});

test("a new revision is one store to `interfaces`, and the old one goes after the grace period", () => {
  const { enforcer, inForce, maps } = setUp();
  enforcer.reconcile([want(testWorkload(1), testTable("/bin/a"))], new Set(), new Date(0));
  const before = maps.interfaces.get(11);
  let stores = 0;
  maps.interfaces.beforeWrite = () => {
    stores += 1;
  };
  const [outcome] = enforcer.reconcile([want(testWorkload(1), testTable("/bin/b"))], new Set(), new Date(1));
  assert.equal(stores, 1);
  assert.notEqual(maps.interfaces.get(11), before);
  assert.equal(outcome?.replaced?.binaries[0]?.path, "/bin/a");
  assert.equal(maps.binaries.size, 2);
  const later = Date.now() + 5000;
  for (let left = true; left; ) left = enforcer.collect(later);
  assert.equal(maps.binaries.size, 1);
  assert.equal(inForce(11)?.id, outcome?.id);
});

test("a revision that does not fit leaves the one before in force, for all workloads", () => {
  const { enforcer, inForce, maps } = setUp();
  enforcer.reconcile([want(testWorkload(1), testTable("/bin/a")), want(testWorkload(2), testTable("/bin/b"))]);
  const before = [inForce(11)?.tableId, inForce(12)?.tableId];
  // A namespace may have as many entries as it leaves: the first table's, and not the second's.
  maps.peers4.maxEntries = 6 * maps.peers4.size;
  const large = testTable("/bin/b", ["10.1.0.0/16", "10.3.0.0/16", "10.5.0.0/16"]);
  const outcomes = enforcer.reconcile([
    want(testWorkload(1), testTable("/bin/a", ["10.9.0.0/16"])),
    want(testWorkload(2), large),
  ]);
  assert.deepEqual([inForce(11)?.tableId, inForce(12)?.tableId], before);
  assert.deepEqual(
    outcomes.map(({ refused, error }) => [refused, error?.code]),
    [
      [false, undefined],
      [true, "PC_CAPACITY"],
    ],
  );
});

test("a workload that cannot be attached fails alone", () => {
  const { enforcer, failing, inForce } = setUp();
  failing.add(11);
  const outcomes = enforcer.reconcile([
    want(testWorkload(1), testTable("/bin/a")),
    want(testWorkload(2), testTable("/bin/b")),
  ]);
  assert.deepEqual(
    outcomes.map(({ state }) => state),
    ["failed", "enforced"],
  );
  assert.equal(inForce(12)?.mode, ModeFlag.ENFORCE);
});

test("a workload that is gone leaves nothing behind", () => {
  const { enforcer, inForce, maps, attached } = setUp();
  enforcer.reconcile([want(testWorkload(1), testTable("/bin/a"))]);
  const outcomes = enforcer.reconcile([]);
  assert.deepEqual(
    outcomes.map(({ state }) => state),
    ["gone"],
  );
  enforcer.collect(Date.now() + 5000);
  assert.equal(inForce(11), undefined);
  assert.deepEqual([...attached], []);
  const sizes = [maps.binaries, maps.rulesets, maps.peers4, maps.ports, maps.addresses, maps.namespaces].map(
    ({ size }) => size,
  );
  assert.deepEqual(sizes, [0, 0, 0, 0, 0, 0]);
});

test("a workload whose name is gone stays guarded for as long as its interface is there", () => {
  const { enforcer, inForce, exists } = setUp();
  enforcer.reconcile([want(testWorkload(1), testTable("/bin/a"))]);
  exists.add(11);
  assert.deepEqual(enforcer.reconcile([], new Set(["default/w1"])), []);
  assert.equal(inForce(11)?.mode, ModeFlag.ENFORCE);
  exists.delete(11);
  enforcer.reconcile([], new Set(["default/w1"]));
  assert.equal(inForce(11), undefined);
});

test("the next agent takes over: nothing is written, nothing changes its number", () => {
  const { enforcer, restart, inForce, maps } = setUp();
  const desired = [want(testWorkload(1), testTable("/bin/a"))];
  enforcer.reconcile(desired);
  const before = inForce(11);
  const next = restart();
  for (const map of [maps.rulesets, maps.peers4, maps.ports, maps.binaries, maps.workloads, maps.interfaces]) {
    map.beforeWrite = () => assert.fail(`a write to ${map.name}`);
  }
  next.reconcile(desired);
  assert.deepEqual(inForce(11), before);
});

test("with its state lost an agent writes everything anew under new numbers, and removes the old", () => {
  const { enforcer, restartWithoutState, inForce, maps } = setUp();
  const desired = [want(testWorkload(1), testTable("/bin/a"))];
  const [outcome] = enforcer.reconcile(desired);
  const before = inForce(11)?.tableId ?? 0;
  const next = restartWithoutState();
  next.reconcile(desired, new Set(), new Date(Date.now() - 5000));
  assert.equal(inForce(11)?.id, outcome?.id, "what it has learned stays its own");
  assert.ok((inForce(11)?.tableId ?? 0) > before);
  assert.equal(maps.binaries.size, 2);
  next.collect(Date.now() + 5000);
  assert.deepEqual([maps.binaries.size, maps.rulesets.size], [1, 1]);
});

test("with its state lost and no profiles that can be read, what is in force stays", () => {
  const { enforcer, restartWithoutState, inForce, maps } = setUp();
  enforcer.reconcile([want(testWorkload(1), testTable("/bin/a"))]);
  const before = inForce(11);
  const next = restartWithoutState();
  next.reconcile([want(testWorkload(1), { kind: "unchanged" })], new Set(), new Date(Date.now() - 5000));
  next.collect();
  assert.deepEqual(inForce(11), before);
  assert.equal(maps.binaries.size, 1);
});

test("a namespace of the same name with another inode or interface is another workload", () => {
  const { enforcer, inForce } = setUp();
  const [first] = enforcer.reconcile([want(testWorkload(1), testTable("/bin/a"))]);
  const again = testWorkload(1, { netnsInum: 4026539999 });
  enforcer.reconcile([want(again, testTable("/bin/a"))]);
  assert.notEqual(inForce(11)?.id, first?.id);
});

test("the state is text and comes back as it was", () => {
  const { enforcer, saved } = setUp();
  enforcer.reconcile([want(testWorkload(1), testTable("/bin/a"))]);
  const text = encodeState(saved());
  assert.match(text, /"tableId":1/);
  assert.equal(JSON.parse(text).workloads.length, 1);
});
