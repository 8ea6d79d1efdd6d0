/** Whoever is in the cluster without rights, and one node's agent that has gone wrong, take enforcement away from nobody. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Cluster } from "../harness/cluster.ts";
import { eventually, FOLDER } from "../harness/place.ts";
import { connectAgent } from "../harness/product/agent-connection.ts";
import { EVENT_LOOP_LAG, OperatorMetrics } from "../harness/product/operator-metrics.ts";
import { leader, type ProductPod, productPods, productReady, SYSTEM } from "../harness/product/product.ts";
import { attack, reaches } from "../harness/workloads/attacker.ts";
import { app, container, deployment, type Pod, profile, to } from "../harness/workloads/objects.ts";
import { Scene } from "../harness/workloads/scene.ts";
import { type Server, WEB_PORT } from "../harness/workloads/servers.ts";

const UNLISTED = "/bin/other";
/** How late the event loop may be, 99 times of 100, in seconds: some 0.05 on a quiet machine, of which this one has two processors for everything. */
const LAG_SECONDS = 0.25 * Number(process.env.PORTCULLIS_TEST_PATIENCE ?? 1);

export function hostile(cluster: Cluster, server: Server): void {
  describe("hostile", () => {
    let scene: Scene;
    let attacker: Pod;
    let metrics: OperatorMetrics;
    let restarts: string;
    const authority = join(FOLDER, "operator-ca.crt");
    const operators = () => productPods(cluster, "operator");
    const at = (pods: ProductPod[], port: number) => pods.map(({ status }) => `${status.podIP}:${port}`);
    const restartsOf = () =>
      [...operators(), ...productPods(cluster, "agent")]
        .map(({ metadata, status }) => `${metadata.name} ${status.containerStatuses[0]?.restartCount}`)
        .sort()
        .join("\n");
    const leading = () => {
      const { pod } = leader(cluster);
      const found = operators().filter(({ metadata }) => metadata.name === pod);
      assert.equal(found.length, 1, `${pod} leads`);
      return found;
    };

    /** Nothing has ended, and a pod that comes now is judged from its first moment on. */
    const stands = async (name: string) => {
      assert.equal(restartsOf(), restarts);
      scene.apply(profile(name, [app(to(server.address, "tcp", WEB_PORT))]));
      await scene.deploy(deployment(name, { containers: [container("app")] }));
      const pod = scene.pod(name);
      scene.allowed(server, pod, "app", "/bin/app");
      scene.refused(server, pod, "app", UNLISTED);
      await scene.enforced(name);
    };

    /** How late the leader's event loop was since it was asked last, and how many agents it has. */
    const figures = () => {
      const [lag = Number.NaN, agents] = metrics.values(EVENT_LOOP_LAG, "portcullis_operator_agents");
      return { lag, agents };
    };

    /** That the attack has come to the operator is in its metrics: so many times it refused what it stood. */
    const refusals = (metric: string) => {
      const count = () => metrics.values(metric)[0] || 0;
      const before = count();
      return () => count() - before;
    };
    const dropped = (listener: string) =>
      refusals(`portcullis_operator_connections_dropped_total{listener="${listener}",reason="rate"}`);

    before(async () => {
      productReady(cluster);
      scene = await Scene.make(cluster, "hostile");
      const path = "jsonpath={.data.ca\\.crt}";
      writeFileSync(authority, cluster.kubectl("-n", SYSTEM, "get", "configmap", "portcullis-ca", "-o", path));
      metrics = OperatorMetrics.make(cluster);
      await scene.deploy(deployment("attacker", { containers: [container("app")] }));
      attacker = scene.pod("attacker");
      restarts = restartsOf();
    });
    after(() => {
      scene.end();
      metrics.end();
    });

    test("bodies that are too long, to every operator", async () => {
      const answered = await attack(scene, attacker, "bodies", ...at(operators(), 8444));
      assert.ok(Number(answered) > 0, "the operators answer");
      await stands("after-bodies");
    });

    test("streams without a token, for a quarter of a minute", async (t) => {
      figures();
      const tokens = refusals('portcullis_operator_agent_connections_total{result="unauthenticated"}');
      const over = attack(scene, attacker, "streams", ...at(leading(), 8443));
      assert.ok(Number(await over) > 1_000);
      t.diagnostic(`${tokens()} tokens were looked at in vain`);
      assert.ok(tokens() > 10, "the attack has come to the operator");
      const { lag, agents } = figures();
      assert.equal(agents, cluster.nodes.length);
      assert.ok(lag < LAG_SECONDS, `the event loop was late by ${lag} s`);
      await stands("after-streams");
    });

    test("400 connections to the operator's metrics and probes; the agent's are not reached", async () => {
      figures();
      const connections = dropped("metrics");
      await attack(scene, attacker, "connections", ...at(leading(), 8080), ...at(leading(), 8081));
      assert.ok(connections() > 100, "the attack has come to the operator");
      const { lag, agents } = figures();
      assert.equal(agents, cluster.nodes.length);
      assert.ok(lag < LAG_SECONDS, `the event loop was late by ${lag} s`);
      for (const port of [9964, 9965]) {
        for (const address of at(productPods(cluster, "agent"), port)) {
          assert.equal(reaches(scene, attacker, address), false, address);
        }
      }
      await stands("after-connections");
    });

    test("metrics are shown to nobody without the right", async () => {
      const said = await attack(scene, attacker, "metrics", ...at(leading(), 8080));
      assert.match(String(said), /^HTTP\/1\.1 401 /);
      assert.doesNotMatch(String(said), /portcullis_/);
    });

    test("an agent that says what cannot be ends its own stream", async () => {
      const node = cluster.nodes[1]?.place.name ?? "";
      const own = productPods(cluster, "agent").find(({ spec }) => spec.nodeName === node);
      const bound = ["--bound-object-kind=Pod", `--bound-object-name=${own?.metadata.name}`];
      const audience = "--audience=portcullis-operator";
      const token = cluster.kubectl("-n", SYSTEM, "create", "token", "portcullis-agent", audience, ...bound).trim();
      const [address = ""] = at(leading(), 8443);
      const options = { address, token, saidNode: node, authority, system: SYSTEM, nonsense: true };
      const messages = refusals('portcullis_operator_bad_messages_total{kind="podStates"}');
      const { code, details } = connectAgent(cluster, options);
      assert.equal(code, "INVALID_ARGUMENT", details);
      // The metrics are rendered at most once a second.
      await eventually("the message is counted", () => messages() === 1);
      await stands("after-nonsense");
    });
  });
}
