/** A real cluster on this machine, without a registry or a network: started for a test file, removed after it. */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { causeText } from "../../../src/api/errors.ts";
import { kubernetesPrograms } from "./kubernetes/binaries.ts";
import { Authority } from "./kubernetes/certificates.ts";
import { ControlPlane } from "./kubernetes/control-plane.ts";
import { CLUSTER_DNS, DNS_DEPLOYMENT, DNS_FOLDER, dnsObjects } from "./kubernetes/dns.ts";
import { makeImages } from "./kubernetes/images.ts";
import { makeNetwork, type NodePlace, nodePlace, routeServices } from "./kubernetes/network.ts";
import { kubeletLog, Node } from "./kubernetes/node.ts";
import { removeOwnFolders } from "./kubernetes/own-folders.ts";
import { apiService } from "./kubernetes/services.ts";
import { eventually, FOLDER, removeAll } from "./place.ts";

const CRD = join(import.meta.dirname, "../../../crds/security.datadoghq.com_securityprofiles.yaml");
const NODES_TIMEOUT_MS = 120_000;

export interface ClusterOptions {
  nodes?: number;
  /** Further OCI tar files for each node. */
  images?: readonly string[];
  /** Says what is being done. */
  progress?: (line: string) => void;
}

export class Cluster {
  readonly controlPlane: ControlPlane;
  readonly nodes: readonly Node[];

  private constructor(controlPlane: ControlPlane, nodes: readonly Node[]) {
    this.controlPlane = controlPlane;
    this.nodes = nodes;
  }

  /** Starts it, and returns when all nodes are ready. What an earlier run has left is removed first. */
  static async start({ nodes = 2, images = [], progress = () => {} }: ClusterOptions = {}): Promise<Cluster> {
    const programs = kubernetesPrograms(progress);
    await Cluster.remove();
    try {
      return await Cluster.#make(programs, nodes, images, progress);
    } catch (error) {
      await Cluster.remove();
      throw error;
    }
  }

  /** Ends and removes the cluster of this machine, if there is one. */
  static async remove(): Promise<void> {
    await removeAll();
    removeOwnFolders();
  }

  static async #make(
    programs: string,
    count: number,
    images: readonly string[],
    progress: (line: string) => void,
  ): Promise<Cluster> {
    mkdirSync(join(FOLDER, "pki"), { recursive: true });
    const places = Array.from({ length: count }, (_, index) => nodePlace(index + 1));
    const [first] = places;
    if (first === undefined) throw new Error("a cluster needs a node");
    progress("network, certificates, images");
    makeNetwork(places);
    const authority = new Authority(join(FOLDER, "pki"));
    const files = [...(await makeImages(join(FOLDER, "images"))), ...images];
    progress("etcd, API server, controller manager, scheduler");
    const controlPlane = await ControlPlane.start({ place: first, programs, authority });
    routeServices(places, [apiService(first)]);
    mkdirSync(DNS_FOLDER);
    controlPlane.startServiceProxy(count);
    progress(`${count} nodes: containerd, kubelet`);
    const { server } = controlPlane;
    const nodes: Node[] = [];
    for (const place of places) {
      nodes.push(await Node.start({ place, programs, authority, server, clusterDns: CLUSTER_DNS, images: files }));
    }
    const cluster = new Cluster(controlPlane, nodes);
    await cluster.#nodesReady(places);
    cluster.apply(dnsObjects(first.name));
    cluster.kubectl("rollout", "status", ...DNS_DEPLOYMENT, "--timeout=60s");
    progress("ready");
    return cluster;
  }

  /** Output of kubectl, with an administrator's rights. */
  kubectl(...args: string[]): string {
    return this.controlPlane.kubectl(args);
  }

  /** What kubectl says, be it that something is wrong: for errors and for people. */
  said(...args: string[]): string {
    try {
      return this.kubectl(...args);
    } catch (cause) {
      return causeText(cause);
    }
  }

  /** Applies objects, or the text of manifests. @throws Error with the API server's words */
  apply(manifest: object | string, ...args: string[]): string {
    const text = typeof manifest === "string" ? manifest : JSON.stringify(manifest);
    return this.controlPlane.kubectl(["apply", "-f", "-", ...args], text);
  }

  /** Adds the CRD, and waits until the API server serves its objects. */
  async installCrd(): Promise<void> {
    this.apply(readFileSync(CRD, "utf8"), "--server-side");
    const served = () => this.controlPlane.kubectlStatus(["get", "securityprofiles", "--all-namespaces"]) === 0;
    await eventually("the CRD to be served", served, { timeout: 30_000 });
  }

  /** Removes the CRD, and every profile with it. */
  removeCrd(): void {
    this.kubectl("delete", "crd", "securityprofiles.security.datadoghq.com", "--timeout=60s");
  }

  /** One object, or a list of them, as JSON. */
  get<T>(...args: string[]): T {
    return JSON.parse(this.kubectl("get", ...args, "-o", "json")) as T;
  }

  async #nodesReady(places: readonly NodePlace[]): Promise<void> {
    const conditions = 'jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}';
    const ready = () =>
      this.kubectl("get", "nodes", "-o", conditions)
        .split("\n")
        .filter((status) => status === "True").length === places.length;
    const describe = () => `${this.kubectl("get", "nodes", "-o", "wide")}\n${places.map(kubeletLog).join("\n")}`;
    await eventually("the nodes to be ready", ready, { timeout: NODES_TIMEOUT_MS, describe });
  }
}
