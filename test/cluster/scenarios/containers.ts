/** Every container of a pod: init containers, sidecars, shells by `kubectl exec`, `kubectl debug`; and pods on the node's network. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Cluster } from "../harness/cluster.ts";
import { DEMO_IMAGE } from "../harness/kubernetes/images.ts";
import { eventually } from "../harness/place.ts";
import { app, container, deployment, type Pod, profile, to } from "../harness/workloads/objects.ts";
import { request, Scene } from "../harness/workloads/scene.ts";
import { type Server, WEB_PORT } from "../harness/workloads/servers.ts";

const DEBUGGER = "debugger";
/** Longer than a sidecar's probes and pulls take. */
const DEBUG_TIMEOUT_MS = 40_000;

interface PodWithStates {
  status: {
    ephemeralContainerStatuses?: { name: string; state: { terminated?: { exitCode: number } } }[];
  };
}

export function containers(cluster: Cluster, server: Server): void {
  describe("containers", () => {
    let scene: Scene;
    let pod: Pod;
    const toServer = to(server.address, "tcp", WEB_PORT);

    before(async () => {
      scene = await Scene.make(cluster, "containers");
      scene.apply(
        profile(
          "shop",
          ["setup", "proxy", "web"].map((name) => app(toServer, name)),
        ),
      );
      await scene.shows("shop", "ACCEPTED to be True", ([, , accepted]) => accepted === "True");
    });
    after(() => scene.end());

    test("an init container has the rights of its name, from its first moment on, and no others", async () => {
      const asks = (program: string) => [program, ...request(server)].map((word) => `'${word}'`).join(" ");
      // What is not listed is tried first: as soon as it can run at all. The name of a new container is known a moment later.
      const script = `
        for n in 1 2 3; do ${asks("/bin/other")}; [ $? = 3 ] || exit 9; done
        n=0; until ${asks("/bin/app")}; do n=$((n + 1)); [ $n -lt 20 ] || exit 8; sleep 0.1; done`;
      const setup = container("setup", ["/bin/sh", "-c", script]);
      const proxy = container("proxy", undefined, { restartPolicy: "Always" });
      const pods = { initContainers: [setup, proxy] };
      await scene.deploy(deployment("shop", { containers: [container("web"), container("aside")], pod: pods }));
      pod = scene.pod("shop");
      await scene.enforced("shop");
    });

    test("a sidecar and a container have theirs, one that no profile names has none", async () => {
      for (const name of ["proxy", "web"]) {
        await scene.becomesAllowed(server, pod, name, "/bin/app");
        scene.refused(server, pod, name, "/bin/other");
      }
      scene.refused(server, pod, "aside", "/bin/app");
    });

    test("a shell by kubectl exec has no rights", () => {
      const talk = (address: string) => ["/bin/sh", "-c", `echo | nc -w 1 ${address} ${WEB_PORT}`];
      assert.notEqual(scene.exec(pod, "web", ...talk(server.address)), 0);
      // And a copy of the listed program, made after the container started, is another program.
      scene.exec(pod, "web", "/bin/cp", "/bin/app", "/tmp/app");
      scene.refused(server, pod, "web", "/tmp/app");
      scene.exec(pod, "web", "/bin/sh", "-c", "cp /bin/other /bin/new && mv /bin/new /bin/app");
      scene.refused(server, pod, "web", "/bin/app");
    });

    test("a container by kubectl debug has no rights either", async () => {
      const script = `${["/bin/app", ...request(server)].map((word) => `'${word}'`).join(" ")}; exit $?`;
      const flags = ["--image", DEMO_IMAGE, "--image-pull-policy=Never", "--container", DEBUGGER, "--attach=false"];
      scene.kubectl("debug", pod.metadata.name, ...flags, "--", "/bin/sh", "-c", script);
      const status = () => {
        const { status } = cluster.get<PodWithStates>("pod", pod.metadata.name, "-n", scene.namespace);
        const states = status.ephemeralContainerStatuses ?? [];
        return states.find(({ name }) => name === DEBUGGER)?.state.terminated?.exitCode ?? null;
      };
      await eventually("the debugging container to end", () => status() !== null, {
        timeout: DEBUG_TIMEOUT_MS,
        describe: () => scene.describe("pod", pod.metadata.name),
      });
      assert.equal(status(), 3, "its request times out");
    });

    test("a container that is started again has its rights again", async () => {
      const before = restarts(scene, pod.metadata.name);
      // From outside: the first process of a container ignores what it has no handler for.
      scene.nodeOf(pod).ctr("task", "kill", "-s", "SIGKILL", proxyId(scene, pod.metadata.name));
      await eventually("the sidecar to be started again", () => restarts(scene, pod.metadata.name) > before, {
        timeout: 40_000,
        describe: () => scene.describe("pod", pod.metadata.name),
      });
      await scene.becomesAllowed(server, pod, "proxy", "/bin/app");
      scene.refused(server, pod, "proxy", "/bin/other");
    });

    test("a pod on its node's network is counted as unprotected, with the reason", async () => {
      const guest = { hostNetwork: true, dnsPolicy: "Default" };
      await scene.deploy(deployment("guest", { containers: [container("main")], pod: guest }));
      scene.apply(profile("guest", [app(toServer)]));
      await scene.shows("guest", "0 of 1 pods", (columns) => columns[4] === "0/1");
      const described = scene.describe("securityprofile", "guest");
      assert.match(described, /Unprotected:\s+1/);
      assert.match(described, /PodsUnprotected/);
      assert.match(described, /hostNetwork: true/);
    });
  });
}

interface PodWithInitStates {
  status: { initContainerStatuses: { name: string; restartCount: number; containerID: string }[] };
}

function proxyState(scene: Scene, name: string) {
  const { status } = scene.cluster.get<PodWithInitStates>("pod", name, "-n", scene.namespace);
  const state = status.initContainerStatuses.find((candidate) => candidate.name === "proxy");
  assert.ok(state, "the sidecar's state");
  return state;
}

function restarts(scene: Scene, name: string): number {
  return proxyState(scene, name).restartCount;
}

function proxyId(scene: Scene, name: string): string {
  return proxyState(scene, name).containerID.replace("containerd://", "");
}
