/** `kubectl portcullis` on a real cluster, all but observe. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Cluster } from "../harness/cluster.ts";
import { plugin } from "../harness/product/plugin.ts";
import { app, container, deployment, profile, to } from "../harness/workloads/objects.ts";
import { Scene } from "../harness/workloads/scene.ts";
import { type Server, WEB_PORT } from "../harness/workloads/servers.ts";

export function pluginCommands(cluster: Cluster, server: Server): void {
  describe("the plugin", () => {
    let scene: Scene;

    before(async () => {
      scene = await Scene.make(cluster, "plugin");
      scene.apply(profile("shop", [app(to(server.address, "tcp", WEB_PORT))]));
      await scene.deploy(deployment("shop", { containers: [container("web")] }));
      await scene.enforced("shop");
    });
    after(() => scene.end());

    test("status: all is well, to people and to programs", () => {
      const text = plugin(cluster, "status", "-n", scene.namespace);
      assert.equal(text.status, 0, text.stdout + text.stderr);
      assert.match(text.stdout, /shop .*Enforce\+Alert.*\n\nevery node has an agent that is connected\n$/s);
      const report = JSON.parse(plugin(cluster, "status", "-n", scene.namespace, "-o", "json").stdout);
      assert.deepEqual([report.ok, report.profiles.length, report.nodes.length], [true, 1, cluster.nodes.length]);
      assert.match(plugin(cluster, "status", "shop", "-n", scene.namespace).stdout, /in force on 1 of 1 pods/);
      const missing = plugin(cluster, "status", "shup", "-n", scene.namespace);
      assert.equal(missing.status, 1);
      assert.match(missing.stderr, /securityprofiles\S* "shup" not found/);
    });

    test("explain: as it is enforced", () => {
      const { name } = scene.pod("shop").metadata;
      const ask = (path: string) => {
        const question = ["--process", path, "--to", `${server.address}:${WEB_PORT}/tcp`];
        return plugin(cluster, "explain", name, "-n", scene.namespace, ...question);
      };
      const allowed = ask("/bin/app");
      assert.equal(allowed.status, 0, allowed.stdout + allowed.stderr);
      const refused = ask("/bin/other");
      assert.equal(refused.status, 1, refused.stderr);
      assert.match(refused.stdout, /BinaryUnknown/);
    });

    test("doctor: what a node can enforce, and which node there is not", () => {
      const node = cluster.nodes[0]?.place.name ?? "";
      const report = plugin(cluster, "doctor", node, "-o", "json");
      assert.equal(report.status, 0, report.stderr);
      assert.equal(JSON.parse(report.stdout).canEnforce, true);
      const missing = plugin(cluster, "doctor", "nodo");
      assert.equal(missing.status, 1);
      assert.match(missing.stderr, /nodes "nodo" not found/);
    });
  });
}
