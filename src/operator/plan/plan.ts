/** What is planned for a cluster: its profiles and pods, the policies that they come to, and what each node is to have. */
import type { WorkQueue } from "../../kube/work-queue.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { EnforcingNamespaces } from "../cluster/enforcing-namespaces.ts";
import { PeerIndex } from "../cluster/peer-index.ts";
import { PodIndex } from "../cluster/pod-index.ts";
import type { PodRecord } from "../cluster/pod-record.ts";
import { ProfileIndex } from "../cluster/profile-index.ts";
import { NodeStates } from "./node-states.ts";
import { Planner } from "./planner.ts";
import { Policies } from "./policies.ts";
import { TableStore } from "./table-store.ts";

export interface PlanOptions {
  cluster: Pick<Cluster, "namespaces" | "services" | "profiles">;
  /** Search list of a pod's resolv.conf. */
  searchDomains: (pod: PodRecord) => string[];
  onCompiled?: (seconds: number, failed: boolean) => void;
  log: Logger;
}

/** Pods and policies that have to be looked at. */
export interface PlanQueues {
  pods: WorkQueue;
  policies: WorkQueue;
}

/** Addresses that change within this many milliseconds make one new table. */
const PEERS_MS = 100;
/** Tables go in numbers, as pods do: a policy for which there was no room is looked at again once. */
const ROOM_MS = 1_000;

export class Plan {
  readonly profiles = new ProfileIndex();
  readonly pods = new PodIndex();
  readonly nodes = new NodeStates();
  readonly tables = new TableStore();
  readonly enforcing = new EnforcingNamespaces();
  readonly peers: PeerIndex;
  readonly policies: Policies;
  readonly planner: Planner;

  constructor({ cluster, searchDomains, onCompiled, log }: PlanOptions, queues: PlanQueues) {
    const { profiles, pods, nodes, tables } = this;
    this.peers = new PeerIndex({
      pods,
      namespace: (name) => cluster.namespaces.get(name),
      service: (key) => cluster.services.get(key),
    });
    this.policies = new Policies({
      peers: this.peers,
      tables,
      profile: (key) => profiles.get(key),
      compile: (order) => cluster.profiles.compile(order),
      onRoom: (key) => queues.policies.addAfter(key, ROOM_MS),
      onForgotten: (key) => cluster.profiles.forget(key),
      ...(onCompiled ? { onCompiled } : {}),
    });
    this.planner = new Planner({ pods, profiles, policies: this.policies, tables, nodes, searchDomains, queues, log });
    this.peers.subscribe((set) => {
      for (const { key } of this.policies.ofPeer(set)) queues.policies.addAfter(key, PEERS_MS);
    });
  }
}
