/** Uninstalling leaves the definition and the profiles, and nothing else: not on the nodes, not in the cluster. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Cluster } from "../harness/cluster.ts";
import type { Node } from "../harness/kubernetes/node.ts";
import { eventually } from "../harness/place.ts";
import { productLogs, SYSTEM, uninstallProduct } from "../harness/product/product.ts";
import { app, container, deployment, type Pod, profile, spread, to } from "../harness/workloads/objects.ts";
import { Scene } from "../harness/workloads/scene.ts";
import { type Server, WEB_PORT } from "../harness/workloads/servers.ts";

/** What Kubernetes itself keeps in each namespace. */
const KEPT = /^(configmap\/kube-root-ca\.crt|serviceaccount\/default|event(\.events\.k8s\.io)?\/.*)$/;
const OF_THE_CHART = "app.kubernetes.io/part-of=portcullis";

export function uninstallation(cluster: Cluster, server: Server): void {
  describe("uninstallation", () => {
    let scene: Scene;
    let pods: Pod[];
    let programs: Map<Node, string[]>;

    before(async () => {
      scene = await Scene.make(cluster, "uninstallation");
      scene.apply(profile("shop", [app(to(server.address, "tcp", WEB_PORT))]));
      await scene.deploy(deployment("shop", { replicas: 2, containers: [container("web")], pod: spread("shop") }));
      await scene.enforced("shop");
      pods = scene.pods("shop");
      programs = new Map(cluster.nodes.map((node) => [node, pinnedPrograms(node)]));
    });
    after(() => scene.end());

    test("nothing is judged any more once helm uninstall is back", () => {
      for (const pod of pods) scene.refused(server, pod, "web", "/bin/other");
      try {
        uninstallProduct(cluster);
      } catch (cause) {
        throw new Error(productLogs(cluster), { cause });
      }
      for (const pod of pods) scene.allowed(server, pod, "web", "/bin/other");
    });

    test("on the nodes there are no pins, programs or links, and no state", async () => {
      await eventually("the product's pods to end", () => left(cluster, "pods").length === 0, {
        timeout: 60_000,
        describe: () => cluster.said("-n", SYSTEM, "get", "pods", "-o", "wide"),
      });
      for (const [node, ids] of programs) {
        assert.equal(pins(node), "", `pins on ${node.place.name}`);
        assert.ok(ids.length > 0, `programs were in force on ${node.place.name}`);
        const loaded = new Set(programIds(node));
        assert.deepEqual(
          ids.filter((id) => loaded.has(id)),
          [],
          `programs on ${node.place.name}`,
        );
        assert.doesNotMatch(node.run("tc", "qdisc", "show"), /clsact/, `filters on ${node.place.name}`);
        assert.equal(state(node), "", `state on ${node.place.name}`);
      }
    });

    test("in the cluster there are the definition and the profiles, and nothing else of ours", async () => {
      const kinds = cluster.kubectl("api-resources", "--verbs=list", "--namespaced", "-o", "name").trim().split("\n");
      const rest = () => left(cluster, kinds.filter((kind) => !/^events/.test(kind)).join(","));
      await eventually("all to be collected", () => rest().length === 0, {
        timeout: 40_000,
        interval: 1_000,
        describe: () => rest().join("\n"),
      });
      const wide = cluster
        .kubectl("api-resources", "--verbs=list", "--namespaced=false", "-o", "name")
        .trim()
        .split("\n");
      const ours = cluster
        .kubectl("get", wide.join(","), "-l", OF_THE_CHART, "-o", "name", "--ignore-not-found")
        .trim();
      assert.equal(ours, "");
      cluster.kubectl("get", "crd", "securityprofiles.security.datadoghq.com");
      assert.match(scene.kubectl("get", "securityprofiles", "-o", "name"), /shop/);
    });
  });
}

function left(cluster: Cluster, kinds: string): string[] {
  const names = cluster.kubectl("-n", SYSTEM, "get", kinds, "-o", "name", "--ignore-not-found").trim().split("\n");
  return names.filter((name) => name !== "" && !KEPT.test(name));
}

/** What is there but for the kernel's own two files. */
function pins(node: Node): string {
  return node.run("find", "/sys/fs/bpf", "-mindepth", "1", "!", "-name", "*.debug");
}

/** What there is in the product's folders. The two themselves are the kubelet's: it makes them before an agent starts. */
function state(node: Node): string {
  const folders = "/run/portcullis /var/lib/portcullis";
  return node.run("sh", "-c", `for folder in ${folders}; do [ ! -d $folder ] || find $folder -mindepth 1; done`);
}

interface Listed {
  id: number;
  pinned?: string[];
}

/** Ids of the programs that have a pin on the node, by themselves or by their links. */
function pinnedPrograms(node: Node): string[] {
  const links = JSON.parse(node.run("bpftool", "-j", "-f", "link", "show")) as (Listed & { prog_id: number })[];
  const programs = JSON.parse(node.run("bpftool", "-j", "-f", "prog", "show")) as Listed[];
  const isPinned = ({ pinned = [] }: Listed) => pinned.length > 0;
  const ids = [
    ...links.filter(isPinned).map(({ prog_id }) => prog_id),
    ...programs.filter(isPinned).map(({ id }) => id),
  ];
  return [...new Set(ids.map(String))];
}

function programIds(node: Node): string[] {
  return (JSON.parse(node.run("bpftool", "-j", "prog", "show")) as Listed[]).map(({ id }) => String(id));
}
