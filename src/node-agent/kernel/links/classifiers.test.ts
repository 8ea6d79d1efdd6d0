import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { interfaceIndex } from "../../ffi/libc.ts";
import { attachFilter, createClsact, TC_HOOK } from "../../ffi/traffic-control.ts";
import { listPins } from "../bpffs.ts";
import { BpfObject } from "../objects.ts";
import { measureRunTimes, programInfo } from "../program-info.ts";
import { inNewNamespace, PinFolder, run, testObject } from "../testing/program-fixture.ts";
import type { ClassifierMode } from "./classifiers.ts";
import { attachClassifiers, classifierMode, detachClassifiers, listClassifiers } from "./classifiers.ts";
import { listFilters } from "./tc-filters.ts";

const pins = new PinFolder("classifiers");
after(() => pins[Symbol.dispose]());
const object = BpfObject.load(testObject("kernel_api"));
const next = BpfObject.load(testObject("kernel_api"));
after(() => {
  object.close();
  next.close();
});

function programsOf(loaded: BpfObject): { fromWorkload: number; toWorkload: number } {
  return { fromWorkload: loaded.program("from_workload").fd, toWorkload: loaded.program("to_workload").fd };
}

/** `work` with the index of one end of a new veth pair, in a namespace of its own. */
function withInterface(work: (ifindex: number) => void): void {
  inNewNamespace(() => {
    run("ip link add pc-a type veth peer name pc-b");
    const ifindex = interfaceIndex("pc-a");
    assert.ok(ifindex !== null);
    try {
      work(ifindex);
    } finally {
      detachClassifiers(pins.path, ifindex);
    }
  });
}

/** Why it cannot be tested here; false if it can. */
function unless(mode: ClassifierMode): string | false {
  return mode === "tcx" && classifierMode() !== "tcx" ? "this kernel has no TCX links" : false;
}

const MODES: readonly ClassifierMode[] = ["tcx", "clsact"];

for (const mode of MODES) {
  test(`${mode}: attach, list, replace, detach`, { skip: unless(mode) }, () => {
    withInterface((ifindex) => {
      assert.deepEqual(listClassifiers(pins.path), []);
      attachClassifiers(pins.path, ifindex, programsOf(object), mode);
      assert.deepEqual(listClassifiers(pins.path), [{ ifindex, mode, complete: true }]);
      attachClassifiers(pins.path, ifindex, programsOf(next), mode);
      assert.deepEqual(listClassifiers(pins.path), [{ ifindex, mode, complete: true }]);
      assert.equal(detachClassifiers(pins.path, ifindex), true);
      assert.equal(detachClassifiers(pins.path, ifindex), false);
      assert.deepEqual(listClassifiers(pins.path), []);
      assert.equal(run("tc qdisc show dev pc-a").includes("clsact"), false);
    });
  });

  test(`${mode}: what comes in at the interface is from the workload`, { skip: unless(mode) }, () => {
    withInterface((ifindex) => {
      run("sysctl -qw net.ipv6.conf.all.disable_ipv6=1");
      run("ip addr add 10.199.0.1/24 dev pc-b");
      run("ip link set pc-a up");
      run("ip link set pc-b up");
      attachClassifiers(pins.path, ifindex, programsOf(object), mode);
      using _statistics = measureRunTimes();
      const runs = (name: string): bigint => programInfo(object.program(name).fd).runCount;
      const before = [runs("from_workload"), runs("to_workload")] as const;
      askForNeighbour();
      assert.ok(runs("from_workload") > before[0]);
      assert.equal(runs("to_workload"), before[1]);
    });
  });
}

/** Nobody answers: the kernel asks by ARP, and gives up later. */
function askForNeighbour(): void {
  execFileSync("bash", ["-c", "echo x > /dev/udp/10.199.0.2/9"]);
}

test("an interface that is gone", () => {
  inNewNamespace(() => {
    for (const mode of MODES) {
      if (unless(mode) !== false) continue;
      assert.throws(() => attachClassifiers(pins.path, 9999, programsOf(object), mode), /9999.*\(E(NODEV|INVAL)\)/s);
    }
  });
});

test("tcx: the pin of an interface that is gone is no obstacle for the next one of its number", {
  skip: unless("tcx"),
}, () => {
  inNewNamespace(() => {
    run("ip link add pc-a index 77 type veth peer name pc-b");
    attachClassifiers(pins.path, 77, programsOf(object));
    run("ip link del pc-a");
    assert.deepEqual(listClassifiers(pins.path), []);
    assert.deepEqual(listPins(join(pins.path, "links")), []);
    run("ip link add pc-a index 77 type veth peer name pc-b");
    attachClassifiers(pins.path, 77, programsOf(object));
    run("ip link del pc-a");
    run("ip link add pc-a index 77 type veth peer name pc-b");
    attachClassifiers(pins.path, 77, programsOf(object));
    assert.deepEqual(listClassifiers(pins.path), [{ ifindex: 77, mode: "tcx", complete: true }]);
    detachClassifiers(pins.path, 77);
  });
});

test("tcx: an interface that moved away does not lend its link to another of its number", {
  skip: unless("tcx"),
}, () => {
  inNewNamespace(() => {
    run("ip link add pc-a index 78 type veth peer name pc-b");
    attachClassifiers(pins.path, 78, programsOf(object));
    inNewNamespace(() => {
      run("ip link add pc-a index 78 type veth peer name pc-b");
      assert.deepEqual(listClassifiers(pins.path), []);
      attachClassifiers(pins.path, 78, programsOf(object));
      assert.deepEqual(listClassifiers(pins.path), [{ ifindex: 78, mode: "tcx", complete: true }]);
      detachClassifiers(pins.path, 78);
    });
  });
});

/** Of another kind and for one protocol only, at the egress hook. */
function addForeignFilter(priority: number): void {
  run(`tc filter add dev pc-a egress prio ${priority} protocol ip u32 match u32 0 0 flowid 1:1`);
}

test("clsact: ours goes before the filters of others, and theirs stay", () => {
  withInterface((ifindex) => {
    createClsact(ifindex);
    attachFilter({ ifindex, hook: TC_HOOK.INGRESS, priority: 1, handle: 1 }, object.program("to_workload").fd);
    addForeignFilter(1);
    attachClassifiers(pins.path, ifindex, programsOf(object), "clsact");
    attachClassifiers(pins.path, ifindex, programsOf(next), "clsact");
    const ingress = listFilters(ifindex, TC_HOOK.INGRESS).filter(({ handle }) => handle !== 0);
    assert.deepEqual(
      ingress.map(({ priority, handle }) => [priority, handle]),
      [
        [1, 0x504f5254],
        [1, 1],
      ],
    );
    const egress = listFilters(ifindex, TC_HOOK.EGRESS).filter(({ handle }) => handle !== 0);
    assert.deepEqual(
      egress.map(({ priority, kind }) => `${kind} ${priority}`).filter((text, n, all) => all.indexOf(text) === n),
      ["u32 1", "bpf 2"],
    );
    assert.equal(detachClassifiers(pins.path, ifindex), true);
    const left = [TC_HOOK.INGRESS, TC_HOOK.EGRESS].flatMap((hook) => listFilters(ifindex, hook));
    assert.deepEqual([...new Set(left.map(({ kind }) => kind))], ["bpf", "u32"]);
    assert.ok(left.every(({ handle }) => handle !== 0x504f5254));
    assert.ok(run("tc qdisc show dev pc-a").includes("clsact"));
  });
});

test("clsact: our own qdisc stays while somebody else's filter is on it", () => {
  withInterface((ifindex) => {
    attachClassifiers(pins.path, ifindex, programsOf(object), "clsact");
    addForeignFilter(7);
    detachClassifiers(pins.path, ifindex);
    assert.ok(run("tc qdisc show dev pc-a").includes("clsact"));
    assert.equal(existsSync(join(pins.path, "clsact", String(ifindex))), false);
  });
});
