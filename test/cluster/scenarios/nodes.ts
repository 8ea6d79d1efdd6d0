/** Pods come and go, and nodes are emptied: whoever starts anywhere is guarded before the first packet. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster } from "../harness/cluster.ts";
import { eventually } from "../harness/place.ts";
import { productReady } from "../harness/product/product.ts";
import { app, container, deployment, onNode, profile, spread, to } from "../harness/workloads/objects.ts";
import { Scene } from "../harness/workloads/scene.ts";
import { FORBIDDEN_PORT, type Server, WEB_PORT } from "../harness/workloads/servers.ts";

const HOURS_MS = "36000000";
/** Pods of a node that is gone are deleted after 40 seconds, and looked for every 20. */
const FORGOTTEN_MS = 120_000;
const READY = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}';

export function nodes(cluster: Cluster, server: Server): void {
  describe("nodes", () => {
    let scene: Scene;
    const eager = (label: string) => {
      const target = ["1", server.address, String(FORBIDDEN_PORT)];
      return container("eager", ["/bin/other", "udp4", "rounds", HOURS_MS, "1000", label, ...target]);
    };

    before(async () => {
      scene = await Scene.make(cluster, "nodes");
      scene.apply(profile("shop", [app(to(server.address, "tcp", WEB_PORT))]));
      // From its first moment on, a program that is not listed sends a datagram every millisecond.
      const containers = [container("web"), eager("eager")];
      await scene.deploy(deployment("shop", { replicas: 2, containers, pod: spread("shop") }));
      await scene.enforced("shop");
    });
    after(() => scene.end());

    test("pods that send from their first moment on get nothing out that is not allowed", async () => {
      await sleep(1_000);
      assert.equal(server.arrived("forbidden", "eager"), 0);
      for (const pod of scene.pods("shop")) await scene.becomesAllowed(server, pod, "web", "/bin/app");
    });

    test("nor do those that take their place", async () => {
      const before = new Set(scene.pods("shop").map(({ metadata }) => metadata.uid));
      scene.kubectl("delete", "pods", "-l", "app=shop", "--wait=true");
      scene.rolledOut("shop");
      const pods = scene.pods("shop");
      assert.ok(pods.every(({ metadata }) => !before.has(metadata.uid)));
      for (const pod of pods) await scene.becomesAllowed(server, pod, "web", "/bin/app");
      assert.equal(server.arrived("forbidden", "eager"), 0);
    });

    test("a node is drained: its pods are guarded where they come to, and the operator too finds another place", async () => {
      const [first, second] = cluster.nodes;
      assert.ok(first && second);
      // Both on one node is what spreading would not allow.
      const anywhere = JSON.stringify({ spec: { template: { spec: { topologySpreadConstraints: null } } } });
      scene.kubectl("patch", "deployment", "shop", "--type=merge", "-p", anywhere);
      scene.rolledOut("shop");
      const drain = ["drain", second.place.name, "--ignore-daemonsets", "--delete-emptydir-data", "--force"];
      cluster.kubectl(...drain, "--timeout=120s");
      try {
        scene.rolledOut("shop");
        const placed = () => scene.pods("shop").map(({ spec }) => spec.nodeName);
        await eventually(
          "both pods on the first node",
          () => placed().join() === `${first.place.name},${first.place.name}`,
          {
            describe: () => scene.kubectl("get", "pods", "-o", "wide"),
          },
        );
        for (const pod of scene.pods("shop")) {
          await scene.becomesAllowed(server, pod, "web", "/bin/app");
          scene.refused(server, pod, "web", "/bin/other");
        }
        await scene.shows("shop", "one node", (columns) => columns[5] === "1/1" && columns[4] === "2/2");
        assert.equal(server.arrived("forbidden", "eager"), 0);
      } finally {
        cluster.kubectl("uncordon", second.place.name);
      }
      productReady(cluster);
    });

    test("a node is deleted and comes back: it is forgotten meanwhile, and its pods are guarded from their first moment on", async () => {
      const [first, second] = cluster.nodes;
      assert.ok(first && second);
      const podsOf = (node: string) =>
        cluster.kubectl("get", "pods", "-A", "--field-selector", `spec.nodeName=${node}`, "-o", "name").trim();
      cluster.kubectl("delete", "node", second.place.name);
      try {
        // Kubernetes waits for a while whether it comes back.
        await eventually("no pod to be left on it", () => podsOf(second.place.name) === "", { timeout: FORGOTTEN_MS });
        await scene.shows("shop", "one node", (columns) => columns[5] === "1/1" && columns[4] === "2/2", 60_000);
      } finally {
        await second.restartKubelet();
      }
      const isReady = () => /True/.test(cluster.said("get", "node", second.place.name, "-o", READY));
      await eventually("the node to be ready", isReady, { timeout: 60_000 });
      productReady(cluster);
      scene.apply(profile("back", [app(to(server.address, "tcp", WEB_PORT))]));
      await scene.deploy(
        deployment("back", { containers: [container("web"), eager("back")], pod: onNode(second.place.name) }),
      );
      await scene.becomesAllowed(server, scene.pod("back"), "web", "/bin/app");
      scene.refused(server, scene.pod("back"), "web", "/bin/other");
      assert.equal(server.arrived("forbidden", "back"), 0);
      await scene.enforced("back");
    });
  });
}
