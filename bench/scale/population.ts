/** Fills the API server: nodes, pods that run, profiles, and the agents' tokens. */
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TOKEN_AUDIENCE } from "../../src/protocol/service.ts";
import type { ApiClient } from "./api-client.ts";
import type { ControlPlane } from "./control-plane.ts";
import { namespaces, nodeName, pods, profiles, type ScalePod, type Size } from "./layout.ts";

export const SYSTEM = "portcullis-system";
const CONFIG = join(import.meta.dirname, "../../config");
const TOKEN_SECONDS = 3 * 3600;
const PROGRESS_EVERY = 10_000;
const STARTED = "2026-01-01T00:00:00Z";

export interface Population {
  /** Uids of pods by `namespace/name`. */
  uids: Map<string, string>;
  /** A file with the token of each node's agent. */
  tokenFiles: string[];
}

/** @throws BenchError where the API server refuses something */
export async function populate(
  plane: ControlPlane,
  size: Size,
  folder: string,
  say: (line: string) => void,
): Promise<Population> {
  plane.kubectl("apply", "-f", join(CONFIG, "crd/security.datadoghq.com_securityprofiles.yaml"));
  plane.kubectl("apply", "-f", join(CONFIG, "default/namespace.yaml"), "-f", join(CONFIG, "rbac/rbac.yaml"));
  plane.kubectl("wait", "--for=condition=Established", "crd/securityprofiles.security.datadoghq.com");
  const { api } = plane;
  const nodes = Array.from({ length: size.nodes }, (_, node) => node);
  await api.each(namespaces(), (name) => api.create("/api/v1/namespaces", { metadata: { name } }));
  await api.each(nodes, (node) => api.create("/api/v1/nodes", { metadata: { name: nodeName(node) } }));
  const uids = new Map<string, string>();
  await api.each(pods(size), async (pod, index) => {
    uids.set(`${pod.namespace}/${pod.name}`, await createPod(api, pod, index));
    if (uids.size % PROGRESS_EVERY === 0) say(`${uids.size} of ${size.pods} pods run`);
  });
  await api.each(profiles(size), ({ namespace, name, spec }) =>
    api.create(profilesPath(namespace), {
      apiVersion: "security.datadoghq.com/v1",
      kind: "SecurityProfile",
      metadata: { name },
      spec,
    }),
  );
  const tokenFolder = join(folder, "tokens");
  mkdirSync(tokenFolder);
  const tokenFiles = nodes.map((node) => join(tokenFolder, nodeName(node)));
  await api.each(nodes, async (node) => writeFileSync(tokenFiles[node] ?? "", await agentToken(api, node)));
  return { uids, tokenFiles };
}

export function profilesPath(namespace: string): string {
  return `/apis/security.datadoghq.com/v1/namespaces/${namespace}/securityprofiles`;
}

/** A token of a service account of ours, as the kubelet would get it for a pod, or for whoever needs none. */
export async function serviceAccountToken(
  api: ApiClient,
  account: string,
  audiences: readonly string[],
  boundObjectRef?: unknown,
): Promise<string> {
  const spec = { audiences, expirationSeconds: TOKEN_SECONDS, boundObjectRef };
  const { status } = await api.create(`/api/v1/namespaces/${SYSTEM}/serviceaccounts/${account}/token`, { spec });
  return status?.token ?? "";
}

/** With a pod of the DaemonSet, to which its token is bound. */
async function agentToken(api: ApiClient, node: number): Promise<string> {
  const account = "portcullis-agent";
  const { metadata } = await api.create(`/api/v1/namespaces/${SYSTEM}/pods`, {
    metadata: { name: `${account}-${node}`, labels: { "app.kubernetes.io/name": "portcullis" } },
    spec: { ...podSpec(node), hostNetwork: true, serviceAccountName: account },
  });
  const pod = { apiVersion: "v1", kind: "Pod", name: metadata.name, uid: metadata.uid };
  return serviceAccountToken(api, account, [TOKEN_AUDIENCE], pod);
}

async function createPod(api: ApiClient, { namespace, name, app, node }: ScalePod, index: number): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/pods`;
  const labels = { app, "app.kubernetes.io/part-of": namespace, "pod-template-hash": hash(app).slice(0, 10) };
  const { metadata } = await api.create(path, { metadata: { name, labels }, spec: podSpec(node) });
  await api.patch(`${path}/${name}/status`, { status: runningStatus(name, node, index) });
  return metadata.uid;
}

function podSpec(node: number) {
  return {
    nodeName: nodeName(node),
    automountServiceAccountToken: false,
    containers: [
      {
        name: "app",
        image: "registry.example.com/app:1",
        ports: [{ containerPort: 8080 }],
        resources: { requests: { cpu: "100m", memory: "128Mi" } },
      },
    ],
  };
}

/** As a kubelet writes it. */
function runningStatus(name: string, node: number, index: number) {
  const ip = `10.${128 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
  const types = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];
  return {
    phase: "Running",
    podIP: ip,
    podIPs: [{ ip }],
    hostIP: `10.64.${node >> 8}.${node & 255}`,
    startTime: STARTED,
    conditions: types.map((type) => ({ type, status: "True", lastTransitionTime: STARTED })),
    containerStatuses: [
      {
        name: "app",
        containerID: `containerd://${hash(name)}`,
        image: "registry.example.com/app:1",
        imageID: `registry.example.com/app@sha256:${hash("image")}`,
        ready: true,
        restartCount: 0,
        started: true,
        state: { running: { startedAt: STARTED } },
      },
    ],
  };
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
