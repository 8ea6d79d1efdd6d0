/** The cluster's DNS: dnsmasq in a pod, behind the Service that every kubelet tells its pods of. */
import { join } from "node:path";
import { FOLDER } from "../place.ts";
import { DEMO_IMAGE } from "./images.ts";
import { CLUSTER_DOMAIN } from "./services.ts";

export const CLUSTER_DNS = "10.96.0.10";
/** Files with names of Services, which dnsmasq reads as they change. */
export const DNS_FOLDER = join(FOLDER, "dns");

const NAMES = "/names";
const NAMESPACE = "kube-system";
const LABELS = { "k8s-app": "kube-dns" };
const COMMAND = [
  "/usr/sbin/dnsmasq",
  "--keep-in-foreground",
  "--user=root",
  "--log-facility=-",
  "--pid-file=",
  "--no-resolv",
  "--no-hosts",
  `--hostsdir=${NAMES}`,
  `--local=/${CLUSTER_DOMAIN}/`,
];

/** Where it runs, for whoever waits for it. */
export const DNS_DEPLOYMENT = ["-n", NAMESPACE, "deploy/kube-dns"] as const;

/** Its objects. It stays on one node, which tests do not empty. */
export function dnsObjects(node: string): object {
  const container = {
    name: "dns",
    image: DEMO_IMAGE,
    imagePullPolicy: "Never",
    command: COMMAND,
    ports: [{ containerPort: 53, protocol: "UDP" }],
    readinessProbe: { tcpSocket: { port: 53 }, periodSeconds: 1 },
    volumeMounts: [{ name: "names", mountPath: NAMES, readOnly: true }],
  };
  const spec = {
    dnsPolicy: "Default",
    nodeSelector: { "kubernetes.io/hostname": node },
    containers: [container],
    volumes: [{ name: "names", hostPath: { path: DNS_FOLDER, type: "Directory" } }],
  };
  const deployment = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "kube-dns", namespace: NAMESPACE },
    spec: { selector: { matchLabels: LABELS }, template: { metadata: { labels: LABELS }, spec } },
  };
  const ports = ["UDP", "TCP"].map((protocol) => ({ name: protocol.toLowerCase(), port: 53, protocol }));
  const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "kube-dns", namespace: NAMESPACE },
    spec: { clusterIP: CLUSTER_DNS, selector: LABELS, ports },
  };
  return { apiVersion: "v1", kind: "List", items: [deployment, service] };
}
