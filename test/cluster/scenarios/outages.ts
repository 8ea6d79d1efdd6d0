/** Operator, API server and agents are killed, each for itself and together: what is in force stays so, and all goes on after. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster } from "../harness/cluster.ts";
import type { Node } from "../harness/kubernetes/node.ts";
import { eventually } from "../harness/place.ts";
import {
  COMPONENT,
  leader,
  OPERATOR,
  type ProductPod,
  productLogs,
  productPods,
  productReady,
  SYSTEM,
} from "../harness/product/product.ts";
import { Load, type LoadResult, loadProfile } from "../harness/workloads/load.ts";
import { app, container, deployment, type Pod, profile, spread, to } from "../harness/workloads/objects.ts";
import { containerId, request, Scene } from "../harness/workloads/scene.ts";
import { type Server, WEB_PORT } from "../harness/workloads/servers.ts";

/** A Lease that nobody gives back runs out after 15 seconds. */
const TAKE_OVER_MS = 30_000;
/** Agents look for an operator again and again, after half a minute at the latest. */
const AGENTS_BACK_MS = 45_000;
const API_AWAY_MS = 60_000;
/** The watchdog waits for a minute without a renewal; the operators take some seconds to end, and it some to write. */
const AGED_MS = 90_000;
/** The chart's agent.startupTimeout, and some seconds. */
const STARTUP_MS = 45_000;
const KILLS = 2;

export function outages(cluster: Cluster, server: Server): void {
  describe("outages", () => {
    let scene: Scene;
    const rules = (port: number) => [app(to(server.address, "tcp", port))];
    const closed = () => scene.apply(profile("shop", rules(WEB_PORT + 1)));
    const open = () => scene.apply(profile("shop", rules(WEB_PORT)));
    const shop = () => scene.pod("shop");

    before(async () => {
      scene = await Scene.make(cluster, "outages");
      open();
      scene.apply(loadProfile("loaded", server));
      const shops = deployment("shop", { replicas: 2, containers: [container("web")], pod: spread("shop") });
      await scene.deploy(shops, deployment("loaded", { containers: [container("web")] }));
      for (const name of ["shop", "loaded"]) await scene.enforced(name);
    });
    // One that has failed leaves to the next what that needs.
    afterEach(() => open());
    after(() => scene.end());

    test("the operator that leads is killed: what is in force stays so, and the other one takes over", async (t) => {
      const before = leader(cluster);
      const load = await loadOf(scene, server, "operator");
      const leading = productPods(cluster, "operator").find(({ metadata }) => metadata.name === before.pod);
      assert.ok(leading, `${before.pod} leads`);
      killNow(nodeOf(cluster, leading), leading);
      const killed = Date.now();
      closed();
      scene.refused(server, shop(), "web", "/bin/other");
      await eventually("another leader", () => ![before.identity, ""].includes(leader(cluster).identity), {
        timeout: TAKE_OVER_MS,
        describe: () => productLogs(cluster),
      });
      t.diagnostic(`the other one leads ${Date.now() - killed} ms after the kill`);
      for (const pod of scene.pods("shop")) {
        await scene.becomesRefused(server, pod, "web", "/bin/app", AGENTS_BACK_MS);
      }
      t.diagnostic(`an edit made after the kill is in force after ${Date.now() - killed} ms`);
      open();
      for (const pod of scene.pods("shop")) await scene.becomesAllowed(server, pod, "web", "/bin/app");
      nothingMisjudged(await load.stop(), (text) => t.diagnostic(text));
      productReady(cluster);
    });

    test("agents are killed under load, again and again: nothing is misjudged", async (t) => {
      const load = await loadOf(scene, server, "agent");
      for (let kill = 0; kill < KILLS; kill += 1) {
        const agents = productPods(cluster, "agent");
        for (const agent of agents) killNow(nodeOf(cluster, agent), agent);
        await eventually("the agents to be back", () => agents.every((agent) => restarted(cluster, agent)), {
          timeout: 60_000,
          interval: 500,
          describe: () => productLogs(cluster),
        });
      }
      nothingMisjudged(await load.stop(), (text) => t.diagnostic(text));
      productReady(cluster);
    });

    test("the API server is away for a minute, and agents are killed meanwhile", async (t) => {
      const pod = shop();
      const node = scene.nodeOf(pod);
      const probe = (program: string) => node.exec(containerId(pod, "web"), program, ...request(server, "1500"));
      const agents = productPods(cluster, "agent");
      const load = await loadOf(scene, server, "api");
      cluster.controlPlane.stopApiServer();
      const stopped = Date.now();
      try {
        for (const agent of agents) killNow(nodeOf(cluster, agent), agent);
        while (Date.now() - stopped < API_AWAY_MS) {
          assert.equal(probe("/bin/app"), 0, "what is allowed stays so");
          assert.equal(probe("/bin/other"), 3, "and what is not");
          await sleep(2_000);
        }
      } finally {
        await cluster.controlPlane.startApiServer();
      }
      productReady(cluster);
      nothingMisjudged(await load.stop(), (text) => t.diagnostic(text));
      closed();
      await scene.becomesRefused(server, pod, "web", "/bin/app", AGENTS_BACK_MS);
      open();
      await scene.becomesAllowed(server, pod, "web", "/bin/app");
    });

    test("no operator is left: statuses become Unknown by themselves, new pods are shut where profiles enforce, and all is well when one is back", async (t) => {
      const elsewhere = await Scene.make(cluster, "open");
      const replicas = (count: number) => cluster.kubectl("-n", SYSTEM, "scale", OPERATOR, `--replicas=${count}`);
      const pod = shop();
      await scene.enforced("shop");
      const before = conditionOf(scene, "shop");
      replicas(0);
      const away = Date.now();
      try {
        cluster.kubectl("-n", SYSTEM, "wait", "--for=delete", "pod", "-l", `${COMPONENT}=operator`, "--timeout=60s");
        const unheard = deployment("unheard", { containers: [container("web")] });
        await Promise.all([scene.deploy(unheard), elsewhere.deploy(unheard)]);
        const begun = Date.now();
        await scene.shows("shop", "ENFORCED to be Unknown", ([, , , enforced]) => enforced === "Unknown", AGED_MS);
        t.diagnostic(`Unknown ${Date.now() - away} ms after the operators were told to end`);
        assert.ok(Date.now() - away > 50_000, "no sooner: operators may follow one another");
        const { reason, message } = conditionOf(scene, "shop");
        assert.equal(reason, "OperatorAway");
        assert.ok(message.endsWith(`Its last word was True: ${before.message}`), message);
        scene.allowed(server, pod, "web", "/bin/app");
        scene.refused(server, pod, "web", "/bin/other");
        scene.apply(profile("late", rules(WEB_PORT)));
        await scene.shows("late", "a new one to be Unknown", (columns) => columns.includes("Unknown"), 30_000);
        await elsewhere.becomesAllowed(server, elsewhere.pod("unheard"), "web", "/bin/other", STARTUP_MS);
        await sleep(Math.max(0, begun + STARTUP_MS - Date.now()));
        scene.refused(server, scene.pod("unheard"), "web", "/bin/other");
      } finally {
        replicas(2);
      }
      productReady(cluster);
      const back = Date.now();
      await scene.enforced("shop", 60_000);
      t.diagnostic(`True again ${Date.now() - back} ms after an operator was back`);
      await scene.becomesAllowed(server, scene.pod("unheard"), "web", "/bin/other");
      scene.kubectl("delete", "securityprofile/late", "deployment/unheard");
      elsewhere.end();
    });

    test("versions are forgotten while the operator sleeps: it lists again, and misses nothing", async () => {
      const operators = productPods(cluster, "operator");
      const signal = (name: string) => {
        for (const operator of operators) {
          nodeOf(cluster, operator).ctr("task", "kill", "-s", name, idOf(operator));
        }
      };
      signal("SIGSTOP");
      try {
        closed();
        cluster.kubectl("-n", scene.namespace, "create", "configmap", "passing");
        cluster.controlPlane.stopApiServer();
        cluster.controlPlane.compact();
        await cluster.controlPlane.startApiServer();
      } finally {
        signal("SIGCONT");
      }
      for (const pod of scene.pods("shop")) {
        await scene.becomesRefused(server, pod, "web", "/bin/app", AGENTS_BACK_MS);
      }
      open();
      for (const pod of scene.pods("shop")) await scene.becomesAllowed(server, pod, "web", "/bin/app");
      await scene.enforced("shop", 60_000);
      productReady(cluster);
    });
  });
}

function conditionOf(scene: Scene, name: string): { reason: string; message: string } {
  const path = 'jsonpath={.status.conditions[?(@.type=="Enforced")]}';
  return JSON.parse(scene.kubectl("get", "securityprofile", name, "-o", path));
}

function loadOf(scene: Scene, server: Server, label: string): Promise<Load> {
  const pod: Pod = scene.pod("loaded");
  return Load.start(scene.nodeOf(pod), pod, server, label);
}

/** Asserts that all came through that is allowed, and nothing that is not; and says how much that was. */
export function nothingMisjudged(result: LoadResult, say: (text: string) => void): void {
  const { sent, arrived, talked, attempts, forbidden } = result;
  say(
    `allowed: ${sent} sent, ${arrived} arrived, ${talked} messages over one connection; denied: ${attempts} attempts, ${forbidden} arrived`,
  );
  assert.equal(arrived, sent, "every datagram of the listed program arrives");
  assert.ok(talked > 0, "the connection lives");
  assert.ok(attempts > 0);
  assert.equal(forbidden, 0, "nothing of the other program arrives");
}

function killNow(node: Node, { status }: ProductPod): void {
  const [only] = status.containerStatuses;
  assert.ok(only);
  node.ctr("task", "kill", "-s", "SIGKILL", only.containerID.replace("containerd://", ""));
}

function restarted(cluster: Cluster, { metadata, status }: ProductPod): boolean {
  const now = productPods(cluster, "agent").find((pod) => pod.metadata.uid === metadata.uid)?.status
    .containerStatuses[0];
  return now?.ready === true && now.restartCount > (status.containerStatuses[0]?.restartCount ?? 0);
}

function idOf({ status }: ProductPod): string {
  return status.containerStatuses[0]?.containerID.replace("containerd://", "") ?? "";
}

function nodeOf(cluster: Cluster, { spec }: ProductPod): Node {
  const node = cluster.nodes.find(({ place }) => place.name === spec.nodeName);
  assert.ok(node, spec.nodeName);
  return node;
}
