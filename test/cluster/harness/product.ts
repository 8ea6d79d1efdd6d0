/** Portcullis on the tests' cluster, installed by its chart as anybody would. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { helmBinary } from "../../../tools/helm/helm.ts";
import type { Cluster } from "./cluster.ts";
import { NAME } from "./place.ts";

export const SYSTEM = "portcullis-system";
export const OPERATOR = "deploy/portcullis-operator";
export const AGENTS = "daemonset/portcullis-agent";
export const COMPONENT = "app.kubernetes.io/component";

const CHART = join(import.meta.dirname, "../../../charts/portcullis");
const TIMEOUT = "--timeout=90s";
const TIMEOUT_MS = 180_000;

/** What this cluster has otherwise than others: no registry, and the nodes' pods in cgroups of their own names. */
function values(image: string): object {
  const [repository, tag] = image.split(/:(?=[^:]*$)/);
  return {
    image: { repository, tag, pullPolicy: "Never" },
    operator: { replicas: 1 },
    agent: {
      extraArgs: [`--gate=${NAME}/$(NODE_NAME)/kubepods`],
      // Sandboxes in which CI runs may not have SYS_RESOURCE to give; kernels since 5.11 do not ask for it.
      capabilities: ["BPF", "PERFMON", "NET_ADMIN", "SYS_ADMIN", "SYS_PTRACE", "DAC_READ_SEARCH"],
    },
    // The bridge plugin enforces none.
    networkPolicy: { enabled: false },
  };
}

/** Installs or upgrades the product, and returns when the operator and every agent are ready. */
export async function installProduct(cluster: Cluster, image: string): Promise<void> {
  const given = JSON.stringify(values(image));
  helm(cluster, ["upgrade", "--install", "portcullis", CHART, "--create-namespace", "--values", "-"], given);
  await productReady(cluster);
}

/** Waits until the operator and every agent are ready. */
export async function productReady(cluster: Cluster): Promise<void> {
  cluster.kubectl("-n", SYSTEM, "rollout", "status", OPERATOR, TIMEOUT);
  cluster.routeServices();
  cluster.kubectl("-n", SYSTEM, "rollout", "status", AGENTS, TIMEOUT);
}

/** Takes it away again, and with it what is in force. */
export function uninstallProduct(cluster: Cluster): void {
  helm(cluster, ["uninstall", "portcullis", "--wait"]);
}

function helm(cluster: Cluster, args: readonly string[], input = ""): string {
  const binary = helmBinary();
  if (binary === null) throw new Error("helm is built with Go, and there is none; run: make test-cluster");
  const [node] = cluster.nodes;
  const place = [`--net=/run/netns/${node?.place.netns}`, "--"];
  const access = ["--kubeconfig", cluster.controlPlane.kubeconfig, "--namespace", SYSTEM];
  return execFileSync("nsenter", [...place, binary, ...args, ...access], {
    input,
    encoding: "utf8",
    timeout: TIMEOUT_MS,
    stdio: ["pipe", "pipe", "pipe"],
  });
}

/** For errors: what operator and agents have said last. */
export function productLogs(cluster: Cluster): string {
  const logs = (component: string) => {
    const args = ["-n", SYSTEM, "logs", "-l", `${COMPONENT}=${component}`, "--tail=15", "--prefix"];
    return cluster.kubectl(...args);
  };
  return `${logs("operator")}\n${logs("agent")}`;
}
