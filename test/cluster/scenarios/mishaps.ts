/** The definition is deleted by mistake, etcd comes back from a backup: nothing opens, and it is said. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster } from "../harness/cluster.ts";
import { eventually } from "../harness/place.ts";
import { OperatorMetrics } from "../harness/product/operator-metrics.ts";
import { productReady, upgradeProduct } from "../harness/product/product.ts";
import { app, container, deployment, profile, to } from "../harness/workloads/objects.ts";
import { Scene } from "../harness/workloads/scene.ts";
import { type Server, WEB_PORT } from "../harness/workloads/servers.ts";

/** Without the guard, what is deleted is open within six seconds. */
const OPEN_MS = 10_000;
/** More than the cluster writes while the test goes on. */
const VERSIONS = 2_000;
/** The silence of a watch is noticed within a minute and a half. */
const NOTICED_MS = 100_000;

export function mishaps(cluster: Cluster, server: Server): void {
  describe("mishaps", () => {
    let scene: Scene;
    let metrics: OperatorMetrics;
    const rules = (port: number) => profile("shop", [app(to(server.address, "tcp", port))]);
    const eventsOf = (namespace: string, reason: string) =>
      cluster.kubectl(
        "-n",
        namespace,
        "get",
        "events.events.k8s.io",
        "--field-selector",
        `reason=${reason}`,
        "-o",
        "yaml",
      );

    before(async () => {
      productReady(cluster);
      metrics = OperatorMetrics.make(cluster);
      scene = await Scene.make(cluster, "mishaps");
      scene.apply(rules(WEB_PORT));
      await scene.deploy(deployment("shop", { containers: [container("web")] }));
      await scene.enforced("shop");
    });
    after(() => {
      scene.end();
      metrics.end();
    });

    test("the definition is deleted by mistake: what it said stays in force, is shouted, and is well when it is back", async () => {
      const held = () => metrics.values("portcullis_operator_held_profiles")[0];
      cluster.removeCrd();
      await eventually("profiles that are held", () => Number(held()) > 0, { timeout: 20_000 });
      await sleep(OPEN_MS);
      const pod = scene.pod("shop");
      scene.refused(server, pod, "web", "/bin/other");
      scene.allowed(server, pod, "web", "/bin/app");
      assert.match(eventsOf(scene.namespace, "ProfilesHeld"), /definition/);
      upgradeProduct(cluster, {});
      const served = () => cluster.controlPlane.kubectlStatus(["get", "securityprofiles", "-A"]) === 0;
      await eventually("the definition", served, { timeout: 60_000 });
      scene.apply(rules(WEB_PORT));
      await scene.enforced("shop", 60_000);
      scene.apply(rules(WEB_PORT + 1));
      await scene.becomesRefused(server, pod, "web", "/bin/app");
      scene.apply(rules(WEB_PORT));
      await scene.becomesAllowed(server, pod, "web", "/bin/app");
      scene.refused(server, pod, "web", "/bin/other");
    });

    test("etcd is restored from a backup: the operator notices that time went back, and goes by what is there now", async (t) => {
      const { controlPlane } = cluster;
      const pod = scene.pod("shop");
      await controlPlane.backUp();
      scene.apply(rules(WEB_PORT + 1));
      await scene.becomesRefused(server, pod, "web", "/bin/app");
      controlPlane.passVersions(VERSIONS);
      await controlPlane.restore();
      const restored = performance.now();
      try {
        await scene.becomesAllowed(server, pod, "web", "/bin/app", NOTICED_MS);
        t.diagnostic(
          `what was in force at the backup is so again after ${Math.round(performance.now() - restored)} ms`,
        );
        scene.apply(rules(WEB_PORT + 1));
        await scene.becomesRefused(server, pod, "web", "/bin/app");
        scene.apply(rules(WEB_PORT));
        await scene.becomesAllowed(server, pod, "web", "/bin/app");
      } finally {
        // Kubernetes' own components may stay deaf until versions are where they were.
        controlPlane.passVersions(VERSIONS);
      }
      await scene.enforced("shop", 60_000);
      productReady(cluster);
    });
  });
}
