/** A namespace of its own for a scenario, what runs in it, and what its profiles do. */
import assert from "node:assert/strict";
import type { Cluster } from "../cluster.ts";
import type { Node } from "../kubernetes/node.ts";
import { eventually } from "../place.ts";
import { productLogs } from "../product/product.ts";
import type { Pod } from "./objects.ts";
import { type Server, WEB_PORT } from "./servers.ts";

/** Exit statuses of the test client. */
const DONE = 0;
const TIMED_OUT = 3;
/** Milliseconds: of what is to come, on a busy machine, and of what is not. */
const PATIENCE = "4000";
const IMPATIENCE = "700";
const REQUEST = "GET / HTTP/1.0\r\n\r\n";
const TAKES_EFFECT_MS = 20_000;
/** After an outage of the API server, Kubernetes' own controllers may wait a minute before they look again, and fail once more. */
const CONTROLLERS_BACK_MS = 120_000;

export class Scene {
  readonly cluster: Cluster;
  readonly namespace: string;

  private constructor(cluster: Cluster, namespace: string) {
    this.cluster = cluster;
    this.namespace = namespace;
  }

  /** A namespace that is there. */
  static of(cluster: Cluster, namespace: string): Scene {
    return new Scene(cluster, namespace);
  }

  static async make(cluster: Cluster, namespace: string): Promise<Scene> {
    const scene = new Scene(cluster, namespace);
    cluster.kubectl("create", "namespace", namespace);
    const account = () =>
      cluster.controlPlane.kubectlStatus(["-n", namespace, "get", "serviceaccount", "default"]) === 0;
    await eventually(`the service account of ${namespace}`, account, { timeout: CONTROLLERS_BACK_MS });
    return scene;
  }

  /** Removes the namespace, without waiting for it. */
  end(): void {
    this.kubectl("delete", "securityprofiles", "--all");
    this.cluster.kubectl("delete", "namespace", this.namespace, "--wait=false");
  }

  kubectl(...args: string[]): string {
    return this.cluster.kubectl("-n", this.namespace, ...args);
  }

  apply(...objects: object[]): void {
    for (const object of objects) this.cluster.apply(object, "-n", this.namespace);
  }

  /** Applies Deployments, and waits until their pods run. */
  async deploy(...deployments: object[]): Promise<void> {
    this.apply(...deployments);
    const names = deployments.map((object) => (object as { metadata: { name: string } }).metadata.name);
    for (const name of names) this.rolledOut(name);
  }

  /** Waits until a Deployment's pods run. */
  rolledOut(name: string): void {
    try {
      this.kubectl("rollout", "status", `deploy/${name}`, "--timeout=90s");
    } catch (cause) {
      throw new Error(`${name} does not run\n${this.describe("pods")}`, { cause });
    }
  }

  /** The running pods of an app that are not about to go. */
  pods(app: string): Pod[] {
    const { items } = this.cluster.get<{ items: (Pod & { metadata: { deletionTimestamp?: string } })[] }>(
      "pods",
      "-n",
      this.namespace,
      "-l",
      `app=${app}`,
    );
    return items.filter(
      ({ metadata, status }) => metadata.deletionTimestamp === undefined && status.phase === "Running",
    );
  }

  /** The first of them. */
  pod(app: string): Pod {
    const [pod] = this.pods(app);
    assert.ok(pod, `a pod of ${app}`);
    return pod;
  }

  /** Runs a command in a container. @returns its exit status */
  exec(pod: Pod, container: string, ...command: string[]): number {
    const args = ["-n", this.namespace, "exec", pod.metadata.name, "-c", container, "--", ...command];
    return this.cluster.controlPlane.kubectlStatus(args);
  }

  /** What a command in a container says. */
  output(pod: Pod, container: string, ...command: string[]): string {
    return this.kubectl("exec", pod.metadata.name, "-c", container, "--", ...command);
  }

  nodeOf(pod: Pod): Node {
    const node = this.cluster.nodes.find(({ place }) => place.name === pod.spec.nodeName);
    assert.ok(node, `the node of ${pod.metadata.name}`);
    return node;
  }

  /** Asserts that a program's request is answered. */
  allowed(server: Server, pod: Pod, container: string, program: string): void {
    const status = this.exec(pod, container, program, ...request(server, PATIENCE));
    assert.equal(status, DONE, `${program} in ${pod.metadata.name}/${container} is allowed\n${this.#report()}`);
  }

  /** Asserts that nothing answers it. */
  refused(server: Server, pod: Pod, container: string, program: string): void {
    const status = this.exec(pod, container, program, ...request(server, IMPATIENCE));
    assert.equal(status, TIMED_OUT, `${program} in ${pod.metadata.name}/${container} is refused\n${this.#report()}`);
  }

  /** Waits until a program's request is answered. */
  becomesAllowed(
    server: Server,
    pod: Pod,
    container: string,
    program: string,
    timeout = TAKES_EFFECT_MS,
  ): Promise<void> {
    return this.#becomes(DONE, server, pod, container, program, timeout);
  }

  /** Waits until it is not. */
  becomesRefused(
    server: Server,
    pod: Pod,
    container: string,
    program: string,
    timeout = TAKES_EFFECT_MS,
  ): Promise<void> {
    return this.#becomes(TIMED_OUT, server, pod, container, program, timeout);
  }

  /** Waits until the status says that the newest revision is in force on all pods. */
  async enforced(name: string, timeout = 30_000): Promise<void> {
    const path =
      'jsonpath={.metadata.generation} {.status.observedGeneration} {.status.conditions[?(@.type=="Enforced")].reason}';
    const said = () => this.kubectl("get", "securityprofile", name, "-o", path).split(" ");
    const isEnforced = () => {
      const [generation, observed, reason] = said();
      return generation === observed && reason === "Enforced";
    };
    await eventually(`profile ${name} in force`, isEnforced, { timeout, describe: () => this.#report() });
  }

  /** Waits until `kubectl get` shows something of a profile, its columns as words. */
  async shows(name: string, what: string, condition: (columns: string[]) => boolean, timeout = 20_000): Promise<void> {
    const columns = () => this.kubectl("get", "securityprofile", name, "--no-headers").trim().split(/\s+/);
    await eventually(what, () => condition(columns()), { timeout, describe: () => this.#report() });
  }

  /** What kubectl says of objects, for errors and for people. */
  describe(kind: string, ...name: string[]): string {
    return this.cluster.said("-n", this.namespace, "describe", kind, ...name);
  }

  async #becomes(
    expected: number,
    server: Server,
    pod: Pod,
    container: string,
    program: string,
    timeout: number,
  ): Promise<void> {
    const probe = () => this.exec(pod, container, program, ...request(server, IMPATIENCE)) === expected;
    await eventually(`exit status ${expected} of ${program} in ${container}`, probe, {
      timeout,
      describe: () => this.#report(),
    });
  }

  #report(): string {
    return `${this.describe("securityprofiles")}\n${productLogs(this.cluster)}`;
  }
}

/** Arguments of the test client for a request. */
export function request(server: Server, patience = IMPATIENCE): string[] {
  return ["timeout", patience, "tcp4", "connect", server.address, String(WEB_PORT), "send", REQUEST, "recv"];
}

/** Id of a pod's container at its runtime. */
export function containerId(pod: Pod, name: string): string {
  const status = pod.status.containerStatuses.find((candidate) => candidate.name === name);
  assert.ok(status, `container ${name} of ${pod.metadata.name}`);
  return status.containerID.replace("containerd://", "");
}
