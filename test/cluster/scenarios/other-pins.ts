/** An upgrade to a version that cannot go on with what the one before has pinned: reported, harmless, and with a way on. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Cluster } from "../harness/cluster.ts";
import { eventually } from "../harness/place.ts";
import { plugin } from "../harness/product/plugin.ts";
import { productLogs, productPods, productReady, SYSTEM, upgradeProduct } from "../harness/product/product.ts";
import { app, container, deployment, type Pod, profile, to } from "../harness/workloads/objects.ts";
import { Scene } from "../harness/workloads/scene.ts";
import { type Server, WEB_PORT } from "../harness/workloads/servers.ts";

const PIN = "/sys/fs/bpf/portcullis/limits";
const STOPPED_MS = 90_000;

export function otherPins(cluster: Cluster, server: Server): void {
  describe("pins of another form", () => {
    let scene: Scene;
    let pod: Pod;

    before(async () => {
      scene = await Scene.make(cluster, "pins");
      scene.apply(profile("shop", [app(to(server.address, "tcp", WEB_PORT))]));
      await scene.deploy(deployment("shop", { containers: [container("web")] }));
      await scene.enforced("shop");
      pod = scene.pod("shop");
    });
    after(() => scene.end());

    /** None while it is replaced. */
    const agent = () => productPods(cluster, "agent").find(({ spec }) => spec.nodeName === pod.spec.nodeName);

    test("the new agent does not start, and says why; what was in force stays so", async () => {
      // A map of another form is what an agent of such a version would find.
      const node = scene.nodeOf(pod);
      node.run("rm", PIN);
      const form = ["type", "hash", "key", "4", "value", "4", "entries", "1", "name", "another"];
      node.run("bpftool", "map", "create", PIN, ...form);
      const before = agent()?.metadata.uid;
      upgradeProduct(cluster, { agent: { podAnnotations: { version: "next" } } });
      const says = () => cluster.said("-n", SYSTEM, "logs", agent()?.metadata.name ?? "", "--tail=5");
      const stopped = () => ![before, undefined].includes(agent()?.metadata.uid) && /PC_PINS_INCOMPATIBLE/.test(says());
      await eventually("the new agent's words", stopped, { timeout: STOPPED_MS, describe: () => productLogs(cluster) });
      assert.match(says(), /another version of Portcullis[\s\S]*agent\.replacePins/);
      scene.allowed(server, pod, "web", "/bin/app");
      scene.refused(server, pod, "web", "/bin/other");
    });

    test("it can be seen in the profile's status, and in the plugin's", async () => {
      const describes = () => scene.describe("securityprofile", "shop");
      await eventually("the node's name", () => describes().includes(`node ${pod.spec.nodeName}: AgentMissing`), {
        timeout: STOPPED_MS,
        describe: describes,
      });
      const { status, stdout } = plugin(cluster, "status", "-n", scene.namespace);
      assert.equal(status, 1, stdout);
      assert.match(stdout, /not in force as asked:\n {2}pins\/shop: .*AgentMissing/);
      assert.match(
        stdout,
        new RegExp(`nodes that changes do not reach:\\n(.*\\n)*? {2}${pod.spec.nodeName}: .* is not ready`),
      );
    });

    test("agent.replacePins leads on", async () => {
      upgradeProduct(cluster, { agent: { replacePins: true } });
      productReady(cluster);
      await scene.enforced("shop");
      scene.allowed(server, pod, "web", "/bin/app");
      scene.refused(server, pod, "web", "/bin/other");
      upgradeProduct(cluster, {});
      productReady(cluster);
      await scene.enforced("shop");
    });
  });
}
