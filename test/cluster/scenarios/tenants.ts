/** What somebody writes who may edit one namespace costs no other one: enforcement goes on, and edits are in force at once. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster } from "../harness/cluster.ts";
import { eventually, FOLDER } from "../harness/place.ts";
import { EVENT_LOOP_LAG, OperatorMetrics } from "../harness/product/operator-metrics.ts";
import { productPods, productReady } from "../harness/product/product.ts";
import { app, container, deployment, profile, to } from "../harness/workloads/objects.ts";
import { Scene } from "../harness/workloads/scene.ts";
import { type Server, WEB_PORT } from "../harness/workloads/servers.ts";

const PATIENCE = Number(process.env.PORTCULLIS_TEST_PATIENCE ?? 1);
/** How late the event loop may be, 99 times of 100, in seconds: some 0.05 on a quiet machine. */
const LAG_SECONDS = 0.25 * PATIENCE;
/** An edit's way: kubectl twice, the operator, an agent, and a client that waits for an answer. */
const IN_FORCE_MS = 5_000 * PATIENCE;
/**
 * While 80,000 prefixes are written every second, which takes kubectl and the API server most of two processors. From the API server's answer
 * on it is some 0.15 s, and 2 s at worst on a machine that other work keeps busy.
 */
const IN_FORCE_BESIDE_PREFIXES_MS = 15_000 * PATIENCE;
/** Together more than what a namespace may have, in bytes and in rules. */
const LARGE_PROFILES = 16;
const LARGE_PREFIXES = 75_000;

/** Of each of two profiles that are edited; twice in a round. */
const EDITED_PREFIXES = 40_000;
const EDIT_ROUNDS = 6;
const COMPILES = 'portcullis_operator_compiles_total{result="ok"}';

const CHANGES = [
  [WEB_PORT + 1, "becomesRefused"],
  [WEB_PORT, "becomesAllowed"],
] as const;

export function tenants(cluster: Cluster, server: Server): void {
  describe("tenants", () => {
    let scene: Scene;
    let greedy: Scene;
    let restless: Scene;
    let metrics: OperatorMetrics;
    let restarts: string;

    const restartsOf = () =>
      [...productPods(cluster, "operator"), ...productPods(cluster, "agent")]
        .map(({ metadata, status }) => `${metadata.name} ${status.containerStatuses[0]?.restartCount}`)
        .sort()
        .join("\n");
    const rules = (port: number) => profile("shop", [app(to(server.address, "tcp", port))]);
    const filesOf = (name: string, objects: object[]) => {
      const folder = join(FOLDER, "tenant");
      mkdirSync(folder, { recursive: true });
      return objects.map((object, index) => {
        const file = join(folder, `${name}-${index}.json`);
        writeFileSync(file, JSON.stringify(object));
        return file;
      });
    };
    const asTenant = ({ namespace }: Scene, command: string) => `kubectl -n ${namespace} --as=tenant ${command}`;
    /** Has the tenant, whose right is `edit` in its namespace, write these one after the other. */
    const write = async (objects: object[]) => {
      const create = (file: string) => asTenant(greedy, `create --validate=false -f ${file}`);
      await inBackground(cluster, filesOf("large", objects).map(create).join("\n"));
    };

    /** Another namespace's edits are in force at once while the load lasts, and a pod that comes then is judged. */
    const stands = async (t: TestContext, name: string, load: Promise<void>, within = IN_FORCE_MS) => {
      metrics.values();
      const edits: number[] = [];
      let isLoaded = true;
      const loaded = load.then(
        () => null,
        (error: unknown) => error,
      );
      void loaded.then(() => {
        isLoaded = false;
      });
      while (isLoaded) {
        for (const [port, becomes] of CHANGES) {
          scene.apply(rules(port));
          const applied = performance.now();
          await scene[becomes](server, scene.pod("shop"), "web", "/bin/app", within);
          edits.push(performance.now() - applied);
          // What is in force at the first look has waited for nothing: the load's end would not be heard of.
          await sleep(1);
        }
      }
      assert.ifError(await loaded);
      const [lag = 0, agents] = metrics.values(EVENT_LOOP_LAG, "portcullis_operator_agents");
      const slowest = Math.max(...edits);
      t.diagnostic(
        `${edits.length} edits of another namespace, ${Math.round(slowest)} ms the slowest; event loop p99 ${lag} s`,
      );
      assert.equal(restartsOf(), restarts);
      assert.equal(agents, cluster.nodes.length);
      assert.ok(slowest < within, "edits of another namespace are in force at once");
      assert.ok(lag < LAG_SECONDS, `the event loop was late by ${lag} s`);
      scene.apply(profile(name, [app(to(server.address, "tcp", WEB_PORT))]));
      await scene.deploy(deployment(name, { containers: [container("web")] }));
      await scene.enforced(name);
      scene.allowed(server, scene.pod(name), "web", "/bin/app");
      scene.refused(server, scene.pod(name), "web", "/bin/other");
    };

    before(async () => {
      productReady(cluster);
      metrics = OperatorMetrics.make(cluster);
      // The second is not to have what the first one's profiles leave behind: those that are deleted in numbers are held.
      [greedy, restless] = [await Scene.make(cluster, "greedy"), await Scene.make(cluster, "restless")];
      for (const one of [greedy, restless]) {
        one.kubectl("create", "rolebinding", "tenant", "--clusterrole=edit", "--user=tenant");
      }
      scene = await Scene.make(cluster, "tenants");
      scene.apply(rules(WEB_PORT));
      await scene.deploy(deployment("shop", { containers: [container("web")] }));
      await scene.enforced("shop");
      restarts = restartsOf();
    });
    after(() => {
      greedy.end();
      restless.end();
      scene.end();
      metrics.end();
    });

    test("many profiles of more than a megabyte that select nothing: what is over the budget is not taken, and said so", async (t) => {
      const all = Array.from({ length: LARGE_PROFILES }, (_, index) => large(`large-${index}`, LARGE_PREFIXES));
      await stands(t, "after-large", write(all));
      const last = `large-${LARGE_PROFILES - 1}`;
      const said = () => greedy.describe("securityprofile", last);
      await eventually("words about the budget", () => /OverBudget/.test(said()), { timeout: 30_000, describe: said });
      assert.match(said(), /Events:[\s\S]*OverBudget/);
      const [refused = 0] = metrics.values('portcullis_operator_profiles{accepted="over_budget"}');
      assert.ok(refused > LARGE_PROFILES / 2, `${refused} are over the budget`);
      greedy.kubectl("delete", "securityprofiles", "--all");
    });

    test("two profiles of 40,000 prefixes on a pod of the tenant's, edited every second", async (t) => {
      await restless.deploy(deployment("victim", { containers: [container("web")] }));
      const files = ["one", "two"].flatMap((name) =>
        [10, 60].map((first) => large(name, EDITED_PREFIXES, { app: "victim", first })),
      );
      const apply = asTenant(restless, "apply --server-side --force-conflicts --validate=false");
      const [a1, a2, b1, b2] = filesOf("edited", files);
      const round = [
        [a1, b1],
        [a2, b2],
      ].map(([one, two]) => `${apply} -f ${one} & ${apply} -f ${two} & sleep 1; wait`);
      const script = `for n in ${Array.from({ length: EDIT_ROUNDS }, (_, n) => n).join(" ")}; do ${round.join("; ")}; done`;
      const [before = 0] = metrics.values(COMPILES);
      await stands(t, "after-edited", inBackground(cluster, script), IN_FORCE_BESIDE_PREFIXES_MS);
      const [compiles = 0] = metrics.values(COMPILES);
      t.diagnostic(`${compiles - before} tables compiled`);
      assert.ok(compiles - before >= EDIT_ROUNDS, "what the tenant wrote was compiled");
      await restless.enforced("one", 60_000);
      restless.refused(server, restless.pod("victim"), "web", "/bin/other");
    });
  });
}

/** Runs a script beside this process, with kubectl on the path. */
function inBackground({ nodes, controlPlane }: Cluster, script: string): Promise<void> {
  const env = {
    ...process.env,
    PATH: `${dirname(controlPlane.program("kubectl"))}:${process.env.PATH}`,
    KUBECONFIG: controlPlane.kubeconfig,
  };
  const command = [`--net=/run/netns/${nodes[0]?.place.netns}`, "--", "sh", "-ec", script];
  const child = spawn("nsenter", command, { env, stdio: ["ignore", "ignore", "pipe"] });
  let words = "";
  child.stderr.on("data", (data) => {
    words += data;
  });
  return new Promise((settle, fail) => {
    child.on("error", fail);
    child.on("close", (status) => (status === 0 ? settle() : fail(new Error(words))));
  });
}

/** A profile of many prefixes, for pods of an app. */
function large(name: string, prefixes: number, { app: of = "nobody", first = 10 } = {}): object {
  const processes = Array.from({ length: 100 }, (_, process) => {
    const cidr4 = Array.from({ length: prefixes / 100 }, (_, index) => {
      const number = (process * prefixes) / 100 + index;
      return `${first + (number >> 16)}.${(number >> 8) & 255}.${number & 255}.0/24`;
    });
    return { path: `/bin/${process}`, network: { egress: { cidr4, l4: { protocols: ["tcp" as const] } } } };
  });
  return profile(of, processes, ["enforce"], name);
}
