/** `kubectl portcullis observe`: a pod's verdicts, live, through the API server and the operator, for those who may. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Cluster } from "../harness/cluster.ts";
import { eventually, FOLDER } from "../harness/place.ts";
import { pluginCommand } from "../harness/product/plugin.ts";
import { leader, productLogs, productReady, SYSTEM } from "../harness/product/product.ts";
import { app, container, deployment, type Pod, profile, to } from "../harness/workloads/objects.ts";
import { Scene } from "../harness/workloads/scene.ts";
import { type Server, WEB_PORT } from "../harness/workloads/servers.ts";

const SEEN_MS = 30_000;

interface Line {
  type: string;
  verdict?: string;
  process?: { path?: string };
  dst?: { ip: string; port?: number };
  notes?: string[];
  profiles?: string[];
}

/** The plugin at work, with what it has said. */
class Observer {
  stdout = "";
  stderr = "";
  status: number | null = null;
  readonly #child;
  readonly #closed: Promise<void>;

  constructor(cluster: Cluster, kubeconfig: string, args: readonly string[]) {
    const command = pluginCommand(cluster, ["observe", ...args], kubeconfig);
    this.#child = spawn(command.file, command.args, command.options);
    this.#child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
    });
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    this.#closed = new Promise((settle) => {
      this.#child.once("close", (status) => {
        this.status = status;
        settle();
      });
    });
  }

  get lines(): Line[] {
    return this.stdout
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line);
  }

  verdicts(path: string): Line[] {
    return this.lines.filter(({ type, process }) => type === "verdict" && process?.path === path);
  }

  /** Waits until it has said that it looks. */
  async looks(): Promise<void> {
    await this.says("that it looks", () => this.lines.some(({ type }) => type === "observing"));
  }

  async says(what: string, condition: () => boolean): Promise<void> {
    const describe = () => `${this.stdout}\n${this.stderr}\nstatus ${this.status}`;
    await eventually(what, condition, { timeout: SEEN_MS, describe });
  }

  /** How it ended, once it has. */
  async end(): Promise<{ status: number | null; stderr: string }> {
    await this.#closed;
    return { status: this.status, stderr: this.stderr };
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGINT");
    await this.#closed;
  }
}

export function observe(cluster: Cluster, server: Server): void {
  describe("observe", () => {
    const { kubeconfig } = cluster.controlPlane;
    const observers: Observer[] = [];
    let scene: Scene;
    let pod: Pod;

    const look = (kubeconfigOf: string, ...args: string[]) => {
      const observer = new Observer(cluster, kubeconfigOf, [
        pod.metadata.name,
        "-n",
        scene.namespace,
        "-o",
        "json",
        ...args,
      ]);
      observers.push(observer);
      return observer;
    };

    before(async () => {
      scene = await Scene.make(cluster, "observe");
      scene.apply(profile("shop", [app(to(server.address, "tcp", WEB_PORT))]));
      await scene.deploy(
        deployment("shop", { containers: [container("web")] }),
        deployment("free", { containers: [container("web")] }),
      );
      await scene.enforced("shop");
      pod = scene.pod("shop");
    });
    after(async () => {
      for (const observer of observers) await observer.stop();
      scene.end();
    });

    test("shows what is refused as it happens, to one with a client certificate", async () => {
      const observer = look(kubeconfig, "--limit", "1", "--timeout", "60s");
      await observer.looks();
      assert.deepEqual(observer.lines[0]?.profiles, [`${scene.namespace}/shop`]);
      scene.refused(server, pod, "web", "/bin/other");
      const { status, stderr } = await observer.end();
      assert.equal(status, 0, stderr);
      const [line] = observer.verdicts("/bin/other");
      assert.deepEqual([line?.verdict, line?.dst], ["dropped", { ip: server.address, port: WEB_PORT }]);
    });

    test("shows allowed flows to who asks for them, and puts them into nobody's log", async () => {
      const observer = look(kubeconfig, "--verdict", "allowed");
      await observer.looks();
      await observer.says("an allowed flow", () => {
        scene.allowed(server, pod, "web", "/bin/app");
        return observer.verdicts("/bin/app").length > 0;
      });
      await observer.stop();
      const log = cluster.kubectl("-n", SYSTEM, "logs", "-l", "app.kubernetes.io/component=agent", "--tail=-1");
      assert.equal(/"type":"verdict","verdict":"allowed"/.test(log), false);
    });

    test("says so where no profile selects the pod", async () => {
      const free = scene.pod("free").metadata.name;
      const observer = new Observer(cluster, kubeconfig, [free, "-n", scene.namespace, "--timeout", "5s"]);
      const { status, stderr } = await observer.end();
      assert.equal(status, 0, stderr);
      assert.match(stderr, /note: no SecurityProfile selects this pod/);
    });

    test("every replica leads to the one that has the agents", async () => {
      // The API server's proxy takes a replica by chance.
      const several = Array.from({ length: 5 }, () => look(kubeconfig));
      for (const observer of several) await observer.looks();
      await several[0]?.says("one more event", () => {
        scene.refused(server, pod, "web", "/bin/other");
        return several.every((observer) => observer.verdicts("/bin/other").length > 0);
      });
      for (const observer of several) await observer.stop();
    });

    test("goes on when the operator that leads is gone", async () => {
      const observer = look(kubeconfig);
      await observer.looks();
      const { pod: gone } = leader(cluster);
      cluster.kubectl("-n", SYSTEM, "delete", "pod", gone, "--grace-period=0", "--force");
      await eventually("another to lead", () => leader(cluster).pod !== gone, {
        timeout: 60_000,
        describe: () => productLogs(cluster),
      });
      await observer.says(
        "that it looks again",
        () => observer.lines.filter(({ type }) => type === "observing").length > 1,
      );
      await observer.says("an event", () => {
        scene.refused(server, pod, "web", "/bin/other");
        return observer.verdicts("/bin/other").length > 0;
      });
      assert.match(observer.stderr, /asking again/);
      await observer.stop();
      productReady(cluster);
    });

    test("who has no right is told which one, and how to come by it", async () => {
      const anna = as(kubeconfig, "anna");
      const own = ["--service-account", "observer"];
      const refusal = async (words: RegExp, ...args: string[]) => {
        const { status, stderr } = await look(anna, ...args).end();
        assert.equal(status, 1, stderr);
        assert.match(stderr, words);
      };
      await refusal(/cannot create resource "serviceaccounts\/token"[\s\S]*portcullis-observer there gives it/);
      scene.kubectl("create", "serviceaccount", "observer");
      scene.kubectl("create", "rolebinding", "anna", "--clusterrole=edit", "--user=anna");
      await refusal(/services\/proxy[\s\S]*portcullis-observer-way/, ...own);
      cluster.kubectl("-n", SYSTEM, "create", "rolebinding", "anna", "--role=portcullis-observer-way", "--user=anna");
      await refusal(/may not observe pods of namespace observe[\s\S]*create rolebinding/, ...own);
      const account = `--serviceaccount=${scene.namespace}:observer`;
      scene.kubectl("create", "rolebinding", "observer", "--clusterrole=portcullis-observer", account);
      const observer = look(anna, ...own);
      await observer.looks();
      await observer.says("an event", () => {
        scene.refused(server, pod, "web", "/bin/other");
        return observer.verdicts("/bin/other").length > 0;
      });
      await observer.stop();
      cluster.kubectl("-n", SYSTEM, "delete", "rolebinding", "anna");
    });

    test("what is not there is refused in words", async () => {
      const { status, stderr } = await new Observer(cluster, kubeconfig, ["nobody", "-n", scene.namespace]).end();
      assert.equal(status, 1);
      assert.match(stderr, /there is no running pod nobody in namespace observe/);
    });
  });
}

/** The administrator's kubeconfig, in another's name. @returns its path */
function as(kubeconfig: string, user: string): string {
  const configuration = JSON.parse(readFileSync(kubeconfig, "utf8")) as { users: { user: Record<string, string> }[] };
  for (const each of configuration.users) each.user.as = user;
  const path = join(FOLDER, `${user}.kubeconfig`);
  writeFileSync(path, JSON.stringify(configuration));
  return path;
}
