/** Pods that see the node's processes, containers that see each other's, and a program that may ask for thousands of names. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Cluster } from "../harness/cluster.ts";
import { eventually } from "../harness/place.ts";
import { app, container, deployment, profile, service, to } from "../harness/workloads/objects.ts";
import { Scene } from "../harness/workloads/scene.ts";
import { type Server, WEB_PORT } from "../harness/workloads/servers.ts";

const CURL = "/usr/local/bin/my-app";
const NAMES = 5_000;

export function kindsOfPods(cluster: Cluster, server: Server): void {
  describe("kinds of pods", () => {
    let scene: Scene;
    const toServer = to(server.address, "tcp", WEB_PORT);

    before(async () => {
      scene = await Scene.make(cluster, "kinds");
    });
    after(() => scene.end());

    test("a pod with the node's PIDs has its profile's rights, and no others", async () => {
      scene.apply(profile("node-pids", [app(toServer)]));
      await scene.deploy(deployment("node-pids", { containers: [container("web")], pod: { hostPID: true } }));
      await scene.enforced("node-pids");
      const pod = scene.pod("node-pids");
      scene.allowed(server, pod, "web", "/bin/app");
      scene.refused(server, pod, "web", "/bin/other");
    });

    test("containers that share their PIDs are still distinguished", async () => {
      scene.apply(profile("shared-pids", [app(toServer, "web")]));
      const containers = [container("web"), container("aside")];
      await scene.deploy(deployment("shared-pids", { containers, pod: { shareProcessNamespace: true } }));
      await scene.enforced("shared-pids");
      const pod = scene.pod("shared-pids");
      await scene.becomesAllowed(server, pod, "web", "/bin/app");
      scene.refused(server, pod, "web", "/bin/other");
      scene.refused(server, pod, "aside", "/bin/app");
    });

    test("of 5,000 names a program may ask for, each is good for it", async (t) => {
      const names = Array.from({ length: NAMES - 1 }, (_, index) => `name-${index}.example.com`);
      const name = `far.${scene.namespace}.svc.cluster.local`;
      const all = [...names, name];
      const [resolver = ""] = [
        cluster.kubectl("-n", "kube-system", "get", "service", "kube-dns", "-o", "jsonpath={.spec.clusterIP}"),
      ];
      const egress = {
        fqdns: all,
        cidr4: [`${resolver}/32`],
        l4: {
          protocolPorts: [
            { protocol: "udp" as const, port: 53 },
            { protocol: "tcp" as const, port: WEB_PORT },
          ],
        },
        l7: { protocols: ["dns" as const, "http" as const] },
        dns: all,
      };
      await scene.deploy(
        deployment("asking", { containers: [container("web")] }),
        deployment("far", {
          containers: [container("web", ["/bin/httpd", "-f", "-p", String(WEB_PORT), "-h", "/srv"])],
        }),
      );
      scene.apply(service("far", "far", WEB_PORT));
      const applied = performance.now();
      scene.apply(profile("asking", [{ path: CURL, network: { egress } }]));
      await scene.enforced("asking");
      t.diagnostic(`${NAMES} names are in force after ${Math.round(performance.now() - applied)} ms`);
      const get = (of: string) =>
        scene.exec(scene.pod("asking"), "web", CURL, "-s", "-m", "4", `http://${of}:${WEB_PORT}/`);
      await eventually("an answer", () => get(name) === 0, { timeout: 20_000, describe: () => scene.describe("sp") });
      assert.notEqual(get(`kube-dns.kube-system.svc.cluster.local`), 0);
    });
  });
}
