/** Portcullis on the tests' cluster, installed by its chart as anybody would. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { imageReference } from "../../../../tools/image/image-reference.ts";
import { writeImage } from "../../../../tools/image/oci-image.ts";
import { ENTRYPOINT, makeRoot } from "../../../../tools/image/root.ts";
import type { Cluster } from "../cluster.ts";
import { clusterShell } from "../cluster-shell.ts";

export const PROJECT = join(import.meta.dirname, "../../../..");
export const RELEASE = "portcullis";
export const SYSTEM = "portcullis-system";
export const OPERATOR = "deploy/portcullis-operator";
const WATCHDOG = "deploy/portcullis-watchdog";
export const AGENTS = "daemonset/portcullis-agent";
export const COMPONENT = "app.kubernetes.io/component";

const CHART = join(PROJECT, "charts/portcullis");
const TIMEOUT = "--timeout=120s";
const TIMEOUT_MS = 180_000;

/** Writes the image to a tar file and gives it to all nodes, as a registry would. */
export async function distributeImage(cluster: Cluster): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "pc-image-"));
  try {
    const [root, file] = [join(folder, "root"), join(folder, "portcullis.tar")];
    makeRoot(root);
    await writeImage({ root, reference: imageReference(), entrypoint: ENTRYPOINT }, file);
    for (const node of cluster.nodes) node.importImage(file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Upgrades the release to values of its own, beside the chart's; returns without waiting for what that starts. */
export function upgradeProduct(cluster: Cluster, values: object): void {
  const args = ["upgrade", RELEASE, CHART, "--namespace", SYSTEM, "--values", "-"];
  shell(cluster, ["helm", ...args], JSON.stringify(values));
}

/** Takes it away again, and with it what is in force. */
export function uninstallProduct(cluster: Cluster): void {
  shell(cluster, ["helm", "uninstall", RELEASE, "--namespace", SYSTEM, "--wait"]);
}

/** Waits until the operator, the watchdog and every agent are ready. */
export function productReady(cluster: Cluster): void {
  cluster.kubectl("-n", SYSTEM, "rollout", "status", WATCHDOG, TIMEOUT);
  cluster.kubectl("-n", SYSTEM, "rollout", "status", OPERATOR, TIMEOUT);
  cluster.kubectl("-n", SYSTEM, "rollout", "status", AGENTS, TIMEOUT);
}

/** Output of a command in the project's folder, with helm and kubectl on the path and the cluster as the current one. */
export function shell(cluster: Cluster, command: readonly string[], input = ""): string {
  return execFileSync(clusterShell(cluster), command, {
    cwd: PROJECT,
    input,
    encoding: "utf8",
    timeout: TIMEOUT_MS,
    maxBuffer: 64 * 1024 * 1024,
    stdio: ["pipe", "pipe", "pipe"],
  });
}

/** For errors: what operator and agents have said last. */
export function productLogs(cluster: Cluster): string {
  const logs = (component: string) => {
    const args = ["-n", SYSTEM, "logs", "-l", `${COMPONENT}=${component}`, "--tail=15", "--prefix"];
    return cluster.said(...args);
  };
  const pods = cluster.said("-n", SYSTEM, "get", "pods", "-o", "wide");
  return [pods, logs("operator"), logs("agent")].join("\n");
}

export interface ProductPod {
  metadata: { name: string; uid: string };
  spec: { nodeName: string };
  status: { podIP: string; containerStatuses: { containerID: string; restartCount: number; ready: boolean }[] };
}

/** Pods of one component, of those that are not about to go. */
export function productPods(cluster: Cluster, component: "operator" | "agent"): ProductPod[] {
  const { items } = cluster.get<{ items: (ProductPod & { metadata: { deletionTimestamp?: string } })[] }>(
    "pods",
    "-n",
    SYSTEM,
    "-l",
    `${COMPONENT}=${component}`,
  );
  return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
}

/** Identity and pod of the operator that leads. */
export function leader(cluster: Cluster): { identity: string; pod: string } {
  const path = "jsonpath={.spec.holderIdentity}";
  const identity = cluster.kubectl("-n", SYSTEM, "get", "lease", "portcullis-operator", "-o", path);
  return { identity, pod: identity.split("_")[0] ?? "" };
}
