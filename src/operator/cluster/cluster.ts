/** Informers of the objects that the operator reads. */
import type { KubeConnection } from "../../kube/connection.ts";
import { Informer, type InformerMeter } from "../../kube/informer.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { BudgetLimits } from "../profiles/budget.ts";
import { ProfileThread } from "../profiles/thread.ts";
import { ENDPOINT_SLICES, NAMESPACES, PODS, SERVICES } from "./kinds.ts";
import { LIVE_PODS, type PodRecord, podRecord } from "./pod-record.ts";
import {
  type NamespaceRecord,
  namespaceRecord,
  type ServiceRecord,
  type SliceRecord,
  serviceRecord,
  sliceRecord,
} from "./service-record.ts";

/** MiB of JavaScript heap for profiles and their compilation. */
export const DEFAULT_PROFILES_HEAP = 384;

/** What is known of a copy. */
export interface CopyState {
  plural: string;
  size: number;
  isSynced: boolean;
  /** Milliseconds since the API server was last heard of; infinite before that. */
  age: number;
  /** What is wrong at the moment, null if nothing is. */
  problem: unknown;
}

export interface ClusterOptions {
  budget: BudgetLimits;
  /** MiB of JavaScript heap for profiles and their compilation. */
  profilesHeap: number;
  meter?: InformerMeter;
  log: Logger;
}

export class Cluster {
  readonly profiles: ProfileThread;
  readonly pods: Informer<PodRecord>;
  readonly namespaces: Informer<NamespaceRecord>;
  readonly services: Informer<ServiceRecord>;
  readonly slices: Informer<SliceRecord>;

  constructor(connection: KubeConnection, { budget, profilesHeap, log, meter }: ClusterOptions) {
    const common = { log, ...(meter ? { meter } : {}) };
    this.profiles = new ProfileThread({ origin: connection.origin, budget, heap: profilesHeap, ...common });
    this.pods = new Informer(connection, { ...common, kind: PODS, fieldSelector: LIVE_PODS, transform: podRecord });
    this.namespaces = new Informer(connection, {
      ...common,
      kind: NAMESPACES,
      metadataOnly: true,
      transform: namespaceRecord,
    });
    this.services = new Informer(connection, { ...common, kind: SERVICES, transform: serviceRecord });
    this.slices = new Informer(connection, { ...common, kind: ENDPOINT_SLICES, transform: sliceRecord });
  }

  get informers(): readonly CopyState[] {
    return this.#all;
  }

  get #all(): readonly (ProfileThread | Informer<unknown>)[] {
    return [this.profiles, ...([this.pods, this.namespaces, this.services, this.slices] as Informer<unknown>[])];
  }

  get isSynced(): boolean {
    return this.informers.every((informer) => informer.isSynced);
  }

  start(): void {
    for (const informer of this.#all) informer.start();
  }

  async whenSynced(): Promise<void> {
    await Promise.all(this.#all.map((informer) => informer.whenSynced()));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all.map((informer) => informer.stop()));
  }
}
