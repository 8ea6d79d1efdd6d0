/** The objects of the tests' workloads. */
import type { EgressRules, ProcessRules, SecurityProfile } from "../../../../src/api/types.ts";
import { DEMO_IMAGE } from "../kubernetes/images.ts";

/** A running pod, as far as tests look at it. */
export interface Pod {
  metadata: { name: string; uid: string; namespace: string };
  status: {
    phase: string;
    podIP: string;
    /** One of each family. */
    podIPs: { ip: string }[];
    containerStatuses: { name: string; containerID: string; restartCount: number }[];
  };
  spec: { nodeName: string };
}

/** A container of the demo image. */
export function container(name: string, command: readonly string[] = ["/bin/sleep", "infinity"], more: object = {}) {
  return { name, image: DEMO_IMAGE, imagePullPolicy: "Never", command, ...more };
}

export interface DeploymentOptions {
  replicas?: number;
  containers: object[];
  /** Of the pods' specification. */
  pod?: object;
}

/** A Deployment whose pods end at once when they are to. */
export function deployment(app: string, { replicas = 1, containers, pod = {} }: DeploymentOptions): object {
  const spec = { terminationGracePeriodSeconds: 0, containers, ...pod };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: app },
    spec: { replicas, selector: { matchLabels: { app } }, template: { metadata: { labels: { app } }, spec } },
  };
}

/** Of a pod's specification: the pods of an app on as many nodes as there are. */
export function spread(app: string): object {
  const constraint = {
    maxSkew: 1,
    topologyKey: "kubernetes.io/hostname",
    whenUnsatisfiable: "DoNotSchedule",
    labelSelector: { matchLabels: { app } },
  };
  return { topologySpreadConstraints: [constraint] };
}

/** Of a pod's specification: on this node. */
export function onNode(name: string): object {
  return { nodeSelector: { "kubernetes.io/hostname": name } };
}

export function service(name: string, app: string, port: number): object {
  const spec = { selector: { app }, ports: [{ port }] };
  return { apiVersion: "v1", kind: "Service", metadata: { name }, spec };
}

/** A profile for the pods of an app. */
export function profile(
  app: string,
  processes: ProcessRules[],
  actions: SecurityProfile["spec"]["actions"] = ["alert", "enforce"],
  name = app,
): object {
  return {
    apiVersion: "security.datadoghq.com/v1",
    kind: "SecurityProfile",
    metadata: { name },
    spec: { labelSelector: { matchLabels: { app } }, actions, processes },
  };
}

/** What /bin/app may do, in one container if one is named. */
export function app(egress: EgressRules, inContainer?: string): ProcessRules {
  return {
    path: "/bin/app",
    ...(inContainer === undefined ? {} : { container: inContainer }),
    network: { egress },
  };
}

/** To one address and ports of one protocol. */
export function to(address: string, protocol: "tcp" | "udp", ...ports: number[]): EgressRules {
  return { cidr4: [`${address}/32`], l4: { protocolPorts: ports.map((port) => ({ protocol, port })) } };
}
