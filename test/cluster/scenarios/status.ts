/** What people see: columns, `describe`, Events, and a node that enforces less than was asked for. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Cluster } from "../harness/cluster.ts";
import { eventually } from "../harness/place.ts";
import { AGENTS, productLogs, productReady, SYSTEM } from "../harness/product/product.ts";
import { app, container, deployment, type Pod, profile, spread, to } from "../harness/workloads/objects.ts";
import { containerId, request, Scene } from "../harness/workloads/scene.ts";
import { type Server, WEB_PORT } from "../harness/workloads/servers.ts";

const ATTEMPTS = 40;
/** Issue and contract: within so long it can be seen that a node enforces less. */
const SEEN_MS = 15_000;
/** A burst for one pod, and what a minute adds. */
const MAX_EVENTS = 12;

interface EventList {
  items: { note: string; type: string; reason: string; series?: { count: number }; regarding: { name: string } }[];
}

export function status(cluster: Cluster, server: Server): void {
  describe("status", () => {
    let scene: Scene;
    let pod: Pod;

    before(async () => {
      scene = await Scene.make(cluster, "status");
      scene.apply(profile("shop", [app(to(server.address, "tcp", WEB_PORT))]));
      await scene.deploy(deployment("shop", { replicas: 2, containers: [container("web")], pod: spread("shop") }));
      await scene.enforced("shop");
      pod = scene.pod("shop");
    });
    after(() => scene.end());

    test("columns: mode, conditions, pods, nodes, and what was dropped", async () => {
      for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) deniedAttempt(scene, pod, server);
      await scene.shows("shop", "drops", (columns) => Number(columns[6]) >= ATTEMPTS);
      const [head = "", row = ""] = scene.kubectl("get", "sp", "shop").split("\n");
      assert.deepEqual(
        head.trim().split(/\s+/),
        "NAME MODE ACCEPTED ENFORCED PODS NODES DROPPED ALERTED AGE".split(" "),
      );
      assert.deepEqual(row.trim().split(/\s+/).slice(0, 6), ["shop", "Enforce+Alert", "True", "True", "2/2", "2/2"]);
    });

    test("-o wide: the reason, and how long ago the last violation was", () => {
      const [head = "", row = ""] = scene.kubectl("get", "sp", "shop", "-o", "wide").split("\n");
      assert.match(head, /REASON\s+LAST VIOLATION/);
      assert.match(row, /Enforced\s+\d+\w+$/);
    });

    test("describe: conditions, counts per process, and the last violation, in words", () => {
      const text = scene.describe("securityprofile", "shop");
      assert.match(text, /in force on 2 of 2 pods/);
      assert.match(text, /2 of 2 nodes have taken the profile/);
      assert.match(text, /Path:\s+\/bin\/app/);
      assert.match(text, /Process:\s+\/bin\/other/);
      assert.match(text, new RegExp(`Remote:\\s+${server.address} port ${WEB_PORT}/tcp`));
    });

    test("violations are Events on the pod: few, and counted", async () => {
      const events = () =>
        cluster
          .get<EventList>("events.events.k8s.io", "-n", scene.namespace)
          .items.filter(
            ({ reason, regarding }) => reason === "PolicyViolation" && regarding.name === pod.metadata.name,
          );
      await eventually("an Event that is counted", () => events().some(({ series }) => (series?.count ?? 0) > 1), {
        timeout: 30_000,
        describe: () => JSON.stringify(events(), null, 1),
      });
      assert.ok(events().length <= MAX_EVENTS, `${events().length} Events for ${ATTEMPTS} attempts`);
      assert.ok(events().every(({ type }) => type === "Warning"));
      const notes = events().map(({ note }) => note);
      const expected = /^dropped egress of \/bin\/other.* to .*BinaryUnknown.*status\/shop/;
      assert.ok(
        notes.some((note) => expected.test(note)),
        notes.join("\n"),
      );
      assert.match(scene.describe("pod", pod.metadata.name), /PolicyViolation/);
    });

    test("a node whose agent is gone shows within 15 seconds, and is well again when it is back", async () => {
      const where = (pick: object) => JSON.stringify({ spec: { template: { spec: { nodeSelector: pick } } } });
      const patch = (pick: object) => cluster.kubectl("-n", SYSTEM, "patch", AGENTS, "--type=merge", "-p", where(pick));
      const [, second] = cluster.nodes;
      const lost = cluster.get<{ items: Pod[] }>("pods", "-n", SYSTEM, "-l", "app.kubernetes.io/component=agent").items;
      const agent = lost.find(({ spec }) => spec.nodeName === second?.place.name);
      assert.ok(agent);
      patch({ "kubernetes.io/hostname": cluster.nodes[0]?.place.name });
      cluster.kubectl("-n", SYSTEM, "wait", "--for=delete", `pod/${agent.metadata.name}`, "--timeout=60s");
      const gone = Date.now();
      await scene.shows("shop", "ENFORCED to be False", ([, , , enforced]) => enforced === "False", SEEN_MS + 5_000);
      assert.ok(Date.now() - gone <= SEEN_MS, `it took ${Date.now() - gone} ms`);
      const text = scene.describe("securityprofile", "shop");
      assert.match(text, new RegExp(`node ${second?.place.name}: AgentMissing`));
      // What was in force there stays so.
      for (const shop of scene.pods("shop")) scene.refused(server, shop, "web", "/bin/other");
      patch({ "kubernetes.io/hostname": null });
      productReady(cluster);
      await scene.enforced("shop");
    });

    test("what a hanging agent does not take is shown as not in force within 15 seconds, and its node by name within 30", async () => {
      const agent = agentOn(cluster, pod.spec.nodeName);
      const node = scene.nodeOf(pod);
      const stop = (signal: string) => node.ctr("task", "kill", "-s", signal, containerId(agent, "agent"));
      stop("SIGSTOP");
      try {
        scene.apply(profile("shop", [app(to(server.address, "tcp", WEB_PORT + 1))]));
        const failing = ([, , , enforced]: string[]) => enforced === "False";
        await scene.shows("shop", "ENFORCED to be False", failing, SEEN_MS);
        await eventually(
          "the node's name",
          () => scene.describe("sp", "shop").includes(`node ${node.place.name}: Agent`),
          {
            timeout: SEEN_MS + 15_000,
            describe: () => `${scene.describe("sp", "shop")}\n${productLogs(cluster)}`,
          },
        );
      } finally {
        stop("SIGCONT");
      }
      await scene.enforced("shop");
    });
  });
}

/** One that is refused, and is not waited for. */
function deniedAttempt(scene: Scene, pod: Pod, server: Server): void {
  scene.nodeOf(pod).exec(containerId(pod, "web"), "/bin/other", ...request(server, "20"));
}

function agentOn(cluster: Cluster, node: string): Pod {
  const { items } = cluster.get<{ items: Pod[] }>("pods", "-n", SYSTEM, "-l", "app.kubernetes.io/component=agent");
  const agent = items.find(({ spec }) => spec.nodeName === node);
  assert.ok(agent, `the agent of ${node}`);
  return agent;
}
