import assert from "node:assert/strict";
import { after, test } from "node:test";
import { type VethEnd, VethFlag } from "../../../gen/abi.gen.ts";
import type { Workload } from "../../discovery/workload.ts";
import { BpfObject } from "../../kernel/objects.ts";
import { inNewNamespace, PinFolder, run, testObject } from "../../kernel/testing/program-fixture.ts";
import { openMaps } from "../../kernel/typed-maps.ts";
import { VethPairs } from "./veth-pairs.ts";

const OWN = 1000;
const POD = 2000;
const OTHER_POD = 2001;

const pins = new PinFolder("veth-pairs");
BpfObject.load(testObject("gate"), { pinRoot: pins.path }).close();
const maps = openMaps(pins.path);
after(() => {
  maps[Symbol.dispose]();
  pins[Symbol.dispose]();
});

function workload(...hostIfindexes: number[]): Workload {
  return {
    name: "pod",
    namespace: "default",
    labels: {},
    netnsPath: "/run/netns/pod",
    netnsInum: POD,
    nsid: 1,
    interfaces: hostIfindexes.map((hostIfindex) => ({ name: "eth0", mac: "", hostIfindex, hostIfname: "veth0" })),
    addresses: [],
    searchDomains: [],
    resolvers: [],
    containers: [],
    problems: [],
  };
}

function end(netnsInum: number, flags = 0): VethEnd {
  return { changed: 1n, peer: { netnsInum, ifindex: netnsInum === 0 ? 0 : 2 }, flags };
}

/** In an empty network namespace, after `setUp` has been carried out there. */
function pairs(entries: Record<number, VethEnd>, setUp = () => {}): VethPairs {
  maps.devices.clear();
  const made = inNewNamespace(() => {
    setUp();
    return new VethPairs(maps, OWN);
  });
  for (const [ifindex, value] of Object.entries(entries)) {
    maps.devices.set({ netnsInum: OWN, ifindex: Number(ifindex) }, value);
  }
  return made;
}

test("sources that agree have nothing to say", () => {
  const { disagreements, settled } = pairs({ 7: end(POD), 8: end(OTHER_POD) }).compare([workload(7)]);
  assert.deepEqual({ disagreements, settled }, { disagreements: [], settled: true });
});

const DISAGREEMENTS: Record<string, { entries: Record<number, VethEnd>; says: RegExp }> = {
  "a pair that the kernel has not seen": {
    entries: {},
    says: /veth0 \(7\) of default\/pod is known from rtnetlink alone/,
  },
  "a pair that leads elsewhere": { entries: { 7: end(OTHER_POD) }, says: /veth0 \(7\) leads to default\/pod .* 2001/ },
  "a pair that rtnetlink did not tell of": {
    entries: { 7: end(POD), 9: end(POD) },
    says: /interface 9 of default\/pod is known from the kernel alone/,
  },
};

for (const [what, { entries, says }] of Object.entries(DISAGREEMENTS)) {
  test(`${what}: is reported once, when it has lasted a second`, () => {
    const sources = pairs(entries);
    const pods = [workload(7)];
    assert.deepEqual(sources.compare(pods, 0), { disagreements: [], settled: false });
    assert.deepEqual(sources.compare(pods, 900).disagreements, []);
    const { disagreements, settled } = sources.compare(pods, 1100);
    assert.equal(disagreements.length, 1);
    assert.match(disagreements[0] ?? "", says);
    assert.equal(settled, true);
    assert.deepEqual(sources.compare(pods, 5000).disagreements, []);
    assert.equal(sources.disagreements, 1);
  });

  test(`${what}: is nothing if it passes`, () => {
    const sources = pairs(entries);
    sources.compare([workload(7)], 0);
    maps.devices.clear();
    maps.devices.set({ netnsInum: OWN, ifindex: 7 }, end(POD));
    assert.deepEqual(sources.compare([workload(7)], 5000), { disagreements: [], settled: true });
    assert.equal(sources.disagreements, 0);
  });
}

test("pairs that are older than the programs are entered, and completed when their workload is known", () => {
  let ifindex = 0;
  const sources = pairs({}, () => {
    run("ip link add pc-a index 70 type veth peer name pc-b index 71");
    ifindex = 70;
  });
  const key = { netnsInum: OWN, ifindex };
  assert.deepEqual(maps.devices.get(key), {
    changed: 0n,
    peer: { netnsInum: OWN, ifindex: 71 },
    flags: VethFlag.FOUND,
  });
  maps.devices.set(key, end(0, VethFlag.FOUND));
  assert.deepEqual(sources.compare([workload(ifindex)]).disagreements, []);
  assert.equal(maps.devices.get(key)?.peer.netnsInum, POD);
});

test("a change is reported once", () => {
  const sources = pairs({});
  assert.equal(sources.changed(), false);
  maps.deviceChanges.set(0, 5n);
  assert.equal(sources.changed(), true);
  assert.equal(sources.changed(), false);
});
