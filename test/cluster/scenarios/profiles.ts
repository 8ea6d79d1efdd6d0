/** What becomes of a profile: applied, edited, joined by a second one, switched between its modes, deleted. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { EgressRules } from "../../../src/api/types.ts";
import type { Cluster } from "../harness/cluster.ts";
import { app, container, deployment, type Pod, profile, spread, to } from "../harness/workloads/objects.ts";
import { containerId, Scene } from "../harness/workloads/scene.ts";
import { FORBIDDEN_PORT, type Server, WEB_PORT } from "../harness/workloads/servers.ts";

const NOWHERE: EgressRules = to("192.0.2.1", "tcp", WEB_PORT);

interface Counts {
  status: { dropped: number; alerted: number };
}

export function profiles(cluster: Cluster, server: Server): void {
  describe("profiles", () => {
    let scene: Scene;
    let shops: Pod[];
    let pod: Pod;
    const toServer = to(server.address, "tcp", WEB_PORT);
    const counts = () => cluster.get<Counts>("securityprofile", "shop", "-n", scene.namespace).status;

    before(async () => {
      scene = await Scene.make(cluster, "profiles");
      const containers = [container("web"), container("sidecar")];
      await scene.deploy(deployment("shop", { replicas: 2, containers, pod: spread("shop") }));
      shops = scene.pods("shop");
      [pod] = shops as [Pod];
    });
    after(() => scene.end());

    test("pods that no profile selects are not judged", () => {
      for (const shop of shops) scene.allowed(server, shop, "web", "/bin/app");
    });

    test("an applied profile is in force on every node, and its status says so", async () => {
      scene.apply(profile("shop", [app(toServer, "web")]));
      await scene.enforced("shop");
      for (const shop of shops) {
        scene.allowed(server, shop, "web", "/bin/app");
        scene.refused(server, shop, "web", "/bin/other");
        scene.refused(server, shop, "sidecar", "/bin/app");
      }
    });

    test("an edit takes effect, and one that is refused at apply changes nothing", async () => {
      scene.apply(profile("shop", [app(NOWHERE)]));
      await scene.becomesRefused(server, pod, "web", "/bin/app");
      const wrong = profile("shop", [app({ ...toServer, cidr4: ["nonsense"] })]);
      assert.throws(() => scene.apply(wrong), /cidr4/);
      scene.apply(profile("shop", [app(toServer)]));
      await scene.becomesAllowed(server, pod, "web", "/bin/app");
    });

    test("an edit that only the operator finds wrong leaves the last good revision in force, and says so", async () => {
      scene.apply(profile("shop", [app({ ...toServer, fqdns: ["10.0.0.1"] })]));
      await scene.shows("shop", "ACCEPTED to be False", ([, , accepted]) => accepted === "False");
      scene.allowed(server, pod, "web", "/bin/app");
      scene.refused(server, pod, "web", "/bin/other");
      assert.match(scene.describe("securityprofile", "shop"), /generation \d+ stays in force/);
      scene.apply(profile("shop", [app(toServer)]));
      await scene.enforced("shop");
    });

    test("two profiles on a pod: what either allows is allowed", async () => {
      const second = { path: "/bin/other", network: { egress: toServer } };
      scene.apply(profile("shop", [second], ["alert", "enforce"], "guests"));
      await scene.becomesAllowed(server, pod, "web", "/bin/other");
      scene.allowed(server, pod, "web", "/bin/app");
      await scene.enforced("guests");
      scene.kubectl("delete", "securityprofile", "guests");
      await scene.becomesRefused(server, pod, "web", "/bin/other");
      scene.allowed(server, pod, "web", "/bin/app");
    });

    test("alert, enforce, alert: on an open flow, and what enforce would have dropped is counted", async () => {
      const rules = [app(toServer)];
      scene.apply(profile("shop", rules, ["alert"]));
      await scene.enforced("shop");
      const before = await settled(counts);
      const talk = openFlow(scene, pod, server);
      await sleep(1_500);
      const seen = server.arrived("forbidden", talk.label);
      assert.ok(seen > 0, "alert alone drops nothing");
      scene.apply(profile("shop", rules, ["alert", "enforce"]));
      await until(() => stands(() => server.arrived("forbidden", talk.label)), "the open flow is stopped");
      scene.apply(profile("shop", rules, ["alert"]));
      const stopped = server.arrived("forbidden", talk.label);
      await until(async () => server.arrived("forbidden", talk.label) > stopped, "the open flow goes on");
      const sent = await talk.end();
      const arrived = server.arrived("forbidden", talk.label);
      const after = await settled(counts);
      const [alerted, dropped] = [after.alerted - before.alerted, after.dropped - before.dropped];
      assert.equal(dropped, sent - arrived, "what did not arrive was dropped, and counted");
      assert.equal(alerted, arrived, "what enforce would have dropped was counted");
    });

    test("a deleted profile judges nothing any more", async () => {
      scene.apply(profile("shop", [app(toServer)]));
      await scene.becomesRefused(server, pod, "web", "/bin/other");
      scene.kubectl("delete", "securityprofile", "shop");
      await scene.becomesAllowed(server, pod, "web", "/bin/other");
    });
  });
}

/** One socket that sends a datagram every ten milliseconds. */
function openFlow(scene: Scene, pod: Pod, server: Server): { label: string; end: () => Promise<number> } {
  const label = `mode-${pod.metadata.uid.slice(0, 8)}`;
  const target = ["1", server.address, String(FORBIDDEN_PORT)];
  const container = containerId(pod, "web");
  const node = scene.nodeOf(pod);
  const child = node.spawn(container, "/bin/other", "udp4", "rounds", "600000", "10000", label, ...target);
  let said = "";
  child.stdout?.on("data", (data) => {
    said += data;
  });
  const ended = new Promise<number>((settle) => {
    child.on("close", () => settle(Number(said.trim().split("\n").at(-1))));
  });
  return {
    label,
    end: () => {
      node.exec(container, "/bin/killall", "-TERM", "other");
      return ended;
    },
  };
}

const LOOK_MS = 400;
const TIMEOUT_MS = 20_000;

async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  for (const end = Date.now() + TIMEOUT_MS; !(await condition()); ) assert.ok(Date.now() < end, what);
}

/** Whether a count does not change for a moment. */
async function stands(count: () => number): Promise<boolean> {
  const before = count();
  await sleep(LOOK_MS);
  return count() === before;
}

/** Counts that stay the same for longer than there is between two reports, and two writes of a status. */
async function settled(read: () => Counts["status"]): Promise<Counts["status"]> {
  const end = Date.now() + 40_000;
  for (let [before, since] = ["", 0]; ; await sleep(500)) {
    const counts = read();
    const text = JSON.stringify([counts.alerted, counts.dropped]);
    if (text !== before) [before, since] = [text, Date.now()];
    if (Date.now() - since > 8_000) return counts;
    assert.ok(Date.now() < end, `the counts do not settle: ${text}`);
  }
}
