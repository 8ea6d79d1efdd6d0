/** Portcullis on the tests' cluster: the operator as a Deployment, the agents as a DaemonSet, with as little as they need. */
import { readFileSync } from "node:fs";
import type { Authority } from "./certificates.ts";
import type { Cluster } from "./cluster.ts";
import { NAME } from "./place.ts";

export const SYSTEM = "portcullis-system";
const OPERATOR = "portcullis-operator";
const AGENT = "portcullis-agent";
const OPERATOR_ADDRESS = "10.96.0.20";
const PORT = 8443;

/** Installs the product, and returns when the operator and every agent are ready. */
export async function installProduct(cluster: Cluster, authority: Authority, image: string): Promise<void> {
  authority.issue({ name: "operator", subject: `/CN=${OPERATOR}`, names: `DNS:${OPERATOR}.${SYSTEM}.svc` });
  await cluster.installCrd();
  for (const object of objects(authority, image)) cluster.apply(object);
  cluster.kubectl("-n", SYSTEM, "rollout", "status", `deploy/${OPERATOR}`, "--timeout=60s");
  cluster.routeServices();
  cluster.kubectl("-n", SYSTEM, "rollout", "status", `daemonset/${AGENT}`, "--timeout=60s");
}

function objects(authority: Authority, image: string): object[] {
  const text = (file: string) => readFileSync(authority.path(file), "utf8");
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: SYSTEM } },
    ...[OPERATOR, AGENT].map((name) => ({ apiVersion: "v1", kind: "ServiceAccount", metadata: named(name) })),
    {
      // Which rights the operator needs is the chart's affair, and tested there.
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: OPERATOR },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
      subjects: [{ kind: "ServiceAccount", name: OPERATOR, namespace: SYSTEM }],
    },
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata: named("operator-tls"),
      stringData: { "tls.crt": text("operator.crt"), "tls.key": text("operator.key") },
    },
    { apiVersion: "v1", kind: "ConfigMap", metadata: named("operator-ca"), data: { "ca.crt": text("ca.crt") } },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: named(OPERATOR),
      spec: {
        clusterIP: OPERATOR_ADDRESS,
        selector: { app: OPERATOR },
        ports: [{ port: PORT }],
      },
    },
    operator(image),
    agents(image),
  ];
}

const named = (name: string) => ({ name, namespace: SYSTEM });

function operator(image: string): object {
  const args = ["operator", "--tls-cert=/tls/tls.crt", "--tls-key=/tls/tls.key"];
  const container = {
    name: "operator",
    image,
    imagePullPolicy: "Never",
    args,
    env: [fieldEnvironment("POD_NAMESPACE", "metadata.namespace"), fieldEnvironment("POD_IP", "status.podIP")],
    volumeMounts: [{ name: "tls", mountPath: "/tls" }],
    readinessProbe: { httpGet: { path: "/readyz", port: 8080 }, periodSeconds: 1 },
  };
  const template = {
    metadata: { labels: { app: OPERATOR } },
    spec: {
      serviceAccountName: OPERATOR,
      terminationGracePeriodSeconds: 2,
      containers: [container],
      volumes: [{ name: "tls", secret: { secretName: "operator-tls" } }],
    },
  };
  const spec = { replicas: 1, selector: { matchLabels: { app: OPERATOR } }, template };
  return { apiVersion: "apps/v1", kind: "Deployment", metadata: named(OPERATOR), spec };
}

function agents(image: string): object {
  const args = [
    "agent",
    `--operator=${OPERATOR_ADDRESS}:${PORT}`,
    `--operator-name=${OPERATOR}.${SYSTEM}.svc`,
    "--token-file=/var/run/secrets/portcullis/token",
    "--ca-file=/etc/portcullis/ca.crt",
    `--gate=${NAME}/$(NODE_NAME)/kubepods`,
    "--metrics-address=:9090",
    `--exempt-namespace=${SYSTEM}`,
    "--event-interval=0ms",
    "--output=json",
  ];
  const folders = ["/sys/fs/bpf", "/sys/fs/cgroup", "/run/portcullis", "/var/log/pods"];
  const container = {
    name: "agent",
    image,
    imagePullPolicy: "Never",
    args,
    env: [fieldEnvironment("NODE_NAME", "spec.nodeName")],
    securityContext: { privileged: true },
    volumeMounts: [
      ...folders.map((path, index) => ({ name: `host-${index}`, mountPath: path })),
      { name: "token", mountPath: "/var/run/secrets/portcullis" },
      { name: "ca", mountPath: "/etc/portcullis" },
    ],
    readinessProbe: { httpGet: { path: "/readyz", port: 9090 }, periodSeconds: 1 },
  };
  const audience = { audience: "portcullis-operator", expirationSeconds: 3600, path: "token" };
  const template = {
    metadata: { labels: { app: AGENT } },
    spec: {
      serviceAccountName: AGENT,
      terminationGracePeriodSeconds: 2,
      hostNetwork: true,
      hostPID: true,
      containers: [container],
      volumes: [
        ...folders.map((path, index) => ({ name: `host-${index}`, hostPath: { path, type: "DirectoryOrCreate" } })),
        { name: "token", projected: { sources: [{ serviceAccountToken: audience }] } },
        { name: "ca", configMap: { name: "operator-ca" } },
      ],
    },
  };
  const spec = { selector: { matchLabels: { app: AGENT } }, template };
  return { apiVersion: "apps/v1", kind: "DaemonSet", metadata: named(AGENT), spec };
}

function fieldEnvironment(name: string, fieldPath: string): object {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}
