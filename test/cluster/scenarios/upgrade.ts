/** The chart is upgraded to other values under load: agents are replaced node by node, and there is no gap. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Cluster } from "../harness/cluster.ts";
import { eventually, NAME } from "../harness/place.ts";
import { productPods, productReady, SYSTEM, shell, upgradeProduct } from "../harness/product/product.ts";
import { Load, loadProfile } from "../harness/workloads/load.ts";
import { container, deployment, spread } from "../harness/workloads/objects.ts";
import { Scene } from "../harness/workloads/scene.ts";
import { FORBIDDEN_PORT, type Server } from "../harness/workloads/servers.ts";
import { nothingMisjudged } from "./outages.ts";

const HOURS_MS = "36000000";
const DAY_SECONDS = 86_400;
/** The kubelet brings files of Secrets within a minute or so, and the operator looks at its own once a minute. */
const RENEWED_MS = 200_000;
/** With the gate, whose cgroup is called otherwise here than on nodes that have a machine of their own. */
const VALUES = {
  agent: { reportAllowed: true, logLevel: "debug", extraArgs: [`--gate=${NAME}/$(NODE_NAME)/kubepods`] },
  operator: { logLevel: "debug" },
};

export function upgrade(cluster: Cluster, server: Server): void {
  describe("upgrade", () => {
    let scene: Scene;

    before(async () => {
      scene = await Scene.make(cluster, "upgrade");
      scene.apply(loadProfile("loaded", server));
      await scene.deploy(deployment("loaded", { replicas: 2, containers: [container("web")], pod: spread("loaded") }));
      await scene.enforced("loaded");
    });
    after(() => scene.end());

    test("helm upgrade with other values: not one packet is misjudged, and no connection breaks", async (t) => {
      const before = new Set(productPods(cluster, "agent").map(({ metadata }) => metadata.uid));
      const pods = scene.pods("loaded");
      assert.equal(pods.length, 2);
      const loads: Load[] = [];
      for (const [index, pod] of pods.entries()) {
        loads.push(await Load.start(scene.nodeOf(pod), pod, server, `upgrade${index}`));
      }
      upgradeProduct(cluster, VALUES);
      productReady(cluster);
      for (const load of loads) nothingMisjudged(await load.stop(), (text) => t.diagnostic(text));
      const after = productPods(cluster, "agent");
      assert.ok(after.length === 2 && after.every(({ metadata }) => !before.has(metadata.uid)), "agents were replaced");
      await scene.enforced("loaded");
    });

    test("the new values hold: the gate is shut for a pod that sends from its first instant", async () => {
      const target = ["1", server.address, String(FORBIDDEN_PORT)];
      const eager = container("eager", ["/bin/other", "udp4", "rounds", HOURS_MS, "500", "gated", ...target]);
      await scene.deploy(deployment("loaded", { replicas: 4, containers: [container("web"), eager] }));
      await eventually("four pods", () => scene.pods("loaded").length === 4);
      assert.equal(server.arrived("forbidden", "gated"), 0);
    });

    test("helm rollback leads back to the values before", () => {
      shell(cluster, ["helm", "rollback", "portcullis", "--namespace", SYSTEM]);
      productReady(cluster);
      const values = shell(cluster, ["helm", "get", "values", "portcullis", "--namespace", SYSTEM]);
      assert.doesNotMatch(values, /gate/);
    });

    test("a certificate that is about to end is renewed by helm upgrade, and agents take the new one", async (t) => {
      const secret = "secret/portcullis-operator-tls";
      const certificate = () => cluster.kubectl("-n", SYSTEM, "get", secret, "-o", "jsonpath={.data.tls\\.crt}");
      const before = certificate();
      upgradeProduct(cluster, {});
      assert.equal(certificate(), before, "one that is good for long stays");
      const soon = Math.round(Date.now() / 1000) + DAY_SECONDS;
      cluster.kubectl("-n", SYSTEM, "annotate", secret, "--overwrite", `portcullis/expires=${soon}`);
      upgradeProduct(cluster, {});
      assert.notEqual(certificate(), before);
      const shown = () =>
        productPods(cluster, "operator").every(({ metadata }) =>
          cluster.said("-n", SYSTEM, "logs", metadata.name).includes("another certificate is in use"),
        );
      const renewed = performance.now();
      await eventually("the operators to show the new certificate", shown, { timeout: RENEWED_MS, interval: 1_000 });
      t.diagnostic(`shown after ${Math.round(performance.now() - renewed)} ms`);
      // Each agent comes anew, and trusts what the operator shows now.
      const agents = productPods(cluster, "agent").map(({ metadata }) => `pod/${metadata.name}`);
      cluster.kubectl("-n", SYSTEM, "delete", ...agents);
      productReady(cluster);
      await scene.enforced("loaded", 60_000);
    });
  });
}
