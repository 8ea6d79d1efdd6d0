/**
 * bpf/devices.bpf.c: each end of a veth pair that is in the host is known with its other one, in every order in which pairs are
 * made; and pairs that are made elsewhere take no room from them.
 */
import assert from "node:assert/strict";
import { closeSync, fstatSync, openSync } from "node:fs";
import { test } from "node:test";
import type { VethEnd } from "../../src/gen/abi.gen.ts";
import { addBoundNamespace, removeBoundNamespace } from "../../src/node-agent/discovery/namespaces/bound-namespaces.ts";
import { HOOK_SETS } from "../../src/node-agent/enforce/attach/function-hooks.ts";
import { DEFAULT_SETTINGS, settingsValue } from "../../src/node-agent/enforce/tables/settings.ts";
import { RouteConnection } from "../../src/node-agent/netlink/connection.ts";
import { createVethPair, deleteLink, findLink, moveLink } from "../../src/node-agent/netlink/links.ts";
import { FunctionHooksHarness, lacksForModules } from "./function-hooks-harness.ts";

/** For the set that a kernel's agent uses; a tenth of it for the other one. */
const PAIRS = Number(process.env.VETH_PAIRS ?? 10_000);
const PAIRS_PER_NAMESPACE = 100;
const GONE_TIMEOUT_MS = 30_000;

/** A network namespace of its own name. */
class Place implements Disposable {
  readonly name: string;
  readonly fd: number;
  readonly inum: number;
  readonly route: RouteConnection;

  constructor(name: string) {
    this.name = `pc-hooks-${name}-${process.pid}`;
    removeBoundNamespace(this.name);
    const path = addBoundNamespace(this.name);
    this.fd = openSync(path, "r");
    this.inum = fstatSync(this.fd).ino;
    this.route = new RouteConnection(path);
  }

  index(name: string): number {
    const link = findLink(this.route, name);
    assert.ok(link !== null, `${this.name} has no ${name}`);
    return link.index;
  }

  [Symbol.dispose](): void {
    this.route.close();
    closeSync(this.fd);
    removeBoundNamespace(this.name);
  }
}

interface Scene extends Disposable {
  host: Place;
  pod: Place;
}

function scene(host: Place): Scene {
  const pod = new Place("pod");
  return {
    host,
    pod,
    [Symbol.dispose]: () => {
      pod[Symbol.dispose]();
      host[Symbol.dispose]();
    },
  };
}

/** Ways in which runtimes bring `outer` into the host and `inner` into the pod. */
const ORDERS: Readonly<Record<string, (scene: Scene) => void>> = {
  "both ends in the host, one moved into the pod": ({ host, pod }) => {
    createVethPair(host.route, { name: "outer", peerName: "inner", peerNamespaceFd: host.fd });
    moveLink(host.route, host.index("inner"), pod.fd);
  },
  "in the host, with the other end in the pod at once": ({ host, pod }) => {
    createVethPair(host.route, { name: "outer", peerName: "inner", peerNamespaceFd: pod.fd });
  },
  "both ends in the pod, one moved out": ({ host, pod }) => {
    createVethPair(pod.route, { name: "inner", peerName: "outer", peerNamespaceFd: pod.fd });
    moveLink(pod.route, pod.index("outer"), host.fd);
  },
  "in the pod, with the other end in the host at once": ({ host, pod }) => {
    createVethPair(pod.route, { name: "inner", peerName: "outer", peerNamespaceFd: host.fd });
  },
};

for (const set of HOOK_SETS) {
  test(`veth pairs, seen by ${set}`, { skip: lacksForModules(set) }, async (context) => {
    using harness = new FunctionHooksHarness(set);
    assert.equal(harness.sets.devices, set, harness.missing);
    const { devices } = harness.maps;
    const countAtStart = devices.count();
    /** The kernel takes an ended namespace apart later: until then its pairs are still in the map. */
    const earlierPairsGone = (): Promise<void> => until(() => devices.count() === countAtStart);
    const end = (place: Place, name: string): VethEnd | undefined =>
      devices.get({ netnsInum: place.inum, ifindex: place.index(name) });
    const entriesOf = (...places: Place[]): number =>
      [...devices.keys()].filter(({ netnsInum }) => places.some(({ inum }) => inum === netnsInum)).length;
    const newHost = (): Place => {
      const host = new Place("host");
      harness.maps.settings.set(0, settingsValue(DEFAULT_SETTINGS, host.inum));
      return host;
    };
    const newScene = (): Scene => scene(newHost());

    for (const [what, make] of Object.entries(ORDERS)) {
      await context.test(what, () => {
        using here = newScene();
        const { host, pod } = here;
        make(here);
        const inner = { netnsInum: pod.inum, ifindex: pod.index("inner") };
        const outer = { netnsInum: host.inum, ifindex: host.index("outer") };
        assert.deepEqual(end(host, "outer")?.peer, inner);
        assert.equal(
          entriesOf(host, pod),
          1,
          "nothing is left of where it was before, and nothing is of the pod's end",
        );
        deleteLink(host.route, outer.ifindex);
        assert.equal(entriesOf(host, pod), 0);
        assert.equal(harness.callsUnderWay(), 0);
      });
    }

    await context.test("a pair that could not be made leaves nothing", () => {
      using here = newScene();
      const { host, pod } = here;
      createVethPair(host.route, { name: "taken", peerName: "other", peerNamespaceFd: host.fd });
      const pair = { name: "taken", peerName: "inner", peerNamespaceFd: pod.fd };
      assert.throws(() => createVethPair(host.route, pair), /EEXIST/);
      const swapped = { name: "outer", peerName: "taken", peerNamespaceFd: host.fd };
      assert.throws(() => createVethPair(host.route, swapped), /EEXIST/);
      assert.equal(entriesOf(host, pod), 2);
      assert.equal(harness.callsUnderWay(), 0);
    });

    await context.test("a move that is refused changes nothing", () => {
      using here = newScene();
      const { host, pod } = here;
      createVethPair(pod.route, { name: "inner", peerName: "other", peerNamespaceFd: pod.fd });
      createVethPair(host.route, { name: "outer", peerName: "inner", peerNamespaceFd: host.fd });
      const before = end(host, "inner");
      assert.throws(() => moveLink(host.route, host.index("inner"), pod.fd), /EEXIST/);
      assert.deepEqual(end(host, "inner"), before);
      assert.deepEqual(end(host, "outer")?.peer, { netnsInum: host.inum, ifindex: host.index("inner") });
      assert.equal(harness.callsUnderWay(), 0);
    });

    await context.test("there and back again", () => {
      using here = newScene();
      const { host, pod } = here;
      createVethPair(host.route, { name: "outer", peerName: "inner", peerNamespaceFd: pod.fd });
      moveLink(pod.route, pod.index("inner"), host.fd);
      moveLink(host.route, host.index("inner"), pod.fd);
      assert.deepEqual(end(host, "outer")?.peer, { netnsInum: pod.inum, ifindex: pod.index("inner") });
      assert.equal(entriesOf(host, pod), 1);
    });

    await context.test("a pod's end that moves on is where the host's end leads to", () => {
      using here = newScene();
      using other = new Place("other");
      const { host, pod } = here;
      createVethPair(host.route, { name: "outer", peerName: "inner", peerNamespaceFd: pod.fd });
      moveLink(pod.route, pod.index("inner"), other.fd);
      assert.deepEqual(end(host, "outer")?.peer, { netnsInum: other.inum, ifindex: other.index("inner") });
      assert.equal(entriesOf(host, pod, other), 1);
    });

    await context.test("pairs that a pod makes for itself take no room from another pod's", async () => {
      await earlierPairsGone();
      using here = newScene();
      using pod = new Place("loud");
      const before = [devices.count(), harness.maps.deviceChanges.get(0)];
      for (let n = 0; n < PAIRS; n++) {
        createVethPair(pod.route, { name: `a${n}`, peerName: `b${n}`, peerNamespaceFd: pod.fd });
      }
      assert.deepEqual(
        [devices.count(), harness.maps.deviceChanges.get(0)],
        before,
        "the agent has nothing to look at",
      );
      createVethPair(here.host.route, { name: "outer", peerName: "inner", peerNamespaceFd: here.pod.fd });
      const inner = { netnsInum: here.pod.inum, ifindex: here.pod.index("inner") };
      assert.deepEqual(end(here.host, "outer")?.peer, inner);
    });

    await context.test("a namespace takes the pairs that it holds along", async () => {
      using host = newHost();
      const pod = new Place("pod");
      createVethPair(host.route, { name: "outer", peerName: "inner", peerNamespaceFd: pod.fd });
      pod[Symbol.dispose]();
      await until(() => entriesOf(host, pod) === 0);
    });

    const pairs = set === HOOK_SETS.find((candidate) => lacksForModules(candidate) === false) ? PAIRS : PAIRS / 10;
    await context.test(`${pairs} pairs made and removed leave nothing`, async (many) => {
      await earlierPairsGone();
      using host = newHost();
      const started = performance.now();
      for (let made = 0; made < pairs; made += PAIRS_PER_NAMESPACE) {
        {
          using pod = new Place("pod");
          for (let n = 0; n < PAIRS_PER_NAMESPACE; n++) {
            createVethPair(host.route, { name: `v${made + n}`, peerName: `p${n}`, peerNamespaceFd: pod.fd });
          }
          assert.ok(devices.count() >= countAtStart + PAIRS_PER_NAMESPACE);
        }
        // Namespaces are taken apart by the kernel later.
        if (devices.count() > devices.maxEntries / 2) await until(() => devices.count() <= devices.maxEntries / 4);
      }
      await earlierPairsGone();
      assert.equal(harness.callsUnderWay(), 0);
      many.diagnostic(`${pairs} pairs in ${((performance.now() - started) / 1000).toFixed(1)} s`);
    });
  });
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + GONE_TIMEOUT_MS;
  while (!condition()) {
    assert.ok(performance.now() < deadline, "it does not come to that");
    await new Promise((settle) => setTimeout(settle, 20));
  }
}
