/** Clocks that differ by hours: the agents' is ahead, then the operators' is behind. What is enforced, and what is said, does not go by them. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Cluster } from "../harness/cluster.ts";
import { eventually } from "../harness/place.ts";
import { AGENTS, COMPONENT, OPERATOR, productReady, SYSTEM } from "../harness/product/product.ts";
import { app, container, deployment, profile, to } from "../harness/workloads/objects.ts";
import { Scene } from "../harness/workloads/scene.ts";
import { type Server, WEB_PORT } from "../harness/workloads/servers.ts";

const HOUR_MS = 3_600_000;
const AHEAD_MS = 2 * HOUR_MS;
const BEHIND_MS = -3 * HOUR_MS;
/** The status has whole seconds. */
const SECOND_MS = 1_000;

export function clocks(cluster: Cluster, server: Server): void {
  describe("clocks", () => {
    let scene: Scene;
    let begun = "";
    const rules = (port: number) => profile("shop", [app(to(server.address, "tcp", port))]);
    const setClock = (what: string, by: number | null) => {
      const variable = by === null ? "NODE_OPTIONS-" : `NODE_OPTIONS=${clockOptions(by)}`;
      cluster.kubectl("-n", SYSTEM, "set", "env", what, variable);
      productReady(cluster);
    };
    const lastViolation = () => {
      const path = "jsonpath={.status.lastViolation.time}";
      return Date.parse(scene.kubectl("get", "securityprofile", "shop", "-o", path));
    };
    /** Attempts until one of them is the last violation, by a clock that is so far from this one. */
    const violated = async (by: number): Promise<void> => {
      const pod = scene.pod("shop");
      const earliest = Date.now() + by;
      const seen = () => {
        scene.refused(server, pod, "web", "/bin/other");
        const time = lastViolation();
        return earliest - SECOND_MS <= time && time <= Date.now() + by;
      };
      const describe = () => scene.describe("securityprofiles");
      await eventually("a last violation of now", seen, { timeout: 30_000, interval: 1_000, describe });
    };
    /** A new pod is blocked until its profile has come, which an operator that has just been started may take a moment for. */
    const judgedFromTheStart = async () => {
      scene.kubectl("rollout", "restart", "deploy/shop");
      scene.rolledOut("shop");
      await scene.enforced("shop", 60_000);
      await scene.becomesAllowed(server, scene.pod("shop"), "web", "/bin/app");
      scene.refused(server, scene.pod("shop"), "web", "/bin/other");
    };
    const edited = async () => {
      scene.apply(rules(WEB_PORT + 1));
      await scene.becomesRefused(server, scene.pod("shop"), "web", "/bin/app");
      await scene.enforced("shop");
      scene.apply(rules(WEB_PORT));
      await scene.becomesAllowed(server, scene.pod("shop"), "web", "/bin/app");
      await scene.enforced("shop");
    };

    before(async () => {
      begun = new Date().toISOString();
      scene = await Scene.make(cluster, "clocks");
      scene.apply(rules(WEB_PORT));
      await scene.deploy(deployment("shop", { containers: [container("web")] }));
      await scene.enforced("shop");
    });
    after(() => {
      setClock(AGENTS, null);
      setClock(OPERATOR, null);
      scene.end();
    });

    test("the agents' clock is two hours ahead: pods are judged, edits come into force, what happens happened now", async () => {
      setClock(AGENTS, AHEAD_MS);
      await judgedFromTheStart();
      await edited();
      await violated(0);
    });

    test("and the operators' three hours behind: one leads, agents are with it, and violations of now are not taken for old ones", async () => {
      setClock(OPERATOR, BEHIND_MS);
      await judgedFromTheStart();
      await edited();
      await violated(BEHIND_MS);
    });

    test("the watchdog, whose clock is right, has never taken the operators for gone", () => {
      const said = cluster.kubectl(
        "-n",
        SYSTEM,
        "logs",
        "-l",
        `${COMPONENT}=watchdog`,
        "--tail=-1",
        `--since-time=${begun}`,
      );
      assert.doesNotMatch(said, /no operator is at work/);
      assert.doesNotMatch(scene.describe("securityprofiles"), /OperatorAway|AgentMissing/);
    });

    test("set right again, all goes on", async () => {
      setClock(AGENTS, null);
      setClock(OPERATOR, null);
      await scene.enforced("shop");
      await edited();
      await violated(0);
    });
  });
}

/** Of Node: each of the process's threads begins with another clock, as on a machine whose clock is wrong. */
function clockOptions(by: number): string {
  const code = [
    "const Right=Date",
    `globalThis.Date=class extends Right{constructor(...given){given.length?super(...given):super(Right.now()+${by})}static now(){return Right.now()+${by}}}`,
    `Object.defineProperty(performance,"timeOrigin",{value:performance.timeOrigin+${by}})`,
  ].join(";");
  return `--import=data:text/javascript,${encodeURIComponent(code)}`;
}
