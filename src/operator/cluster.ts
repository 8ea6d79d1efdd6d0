/** Copies of what the operator reads of the cluster. */
import type { KubeConnection } from "../kube/connection.ts";
import { Informer, type InformerObserver } from "../kube/informer.ts";
import type { Logger } from "../telemetry/logger.ts";
import { ENDPOINT_SLICES, NAMESPACES, PODS, SECURITY_PROFILES, SERVICES } from "./kinds.ts";
import { LIVE_PODS, type PodRecord, podRecord } from "./pod-record.ts";
import { asksForTheSame, type ProfileRecord, profileRecord } from "./profile-record.ts";
import {
  type NamespaceRecord,
  namespaceRecord,
  type ServiceRecord,
  type SliceRecord,
  serviceRecord,
  sliceRecord,
} from "./service-record.ts";

export class Cluster {
  readonly profiles: Informer<ProfileRecord>;
  readonly pods: Informer<PodRecord>;
  readonly namespaces: Informer<NamespaceRecord>;
  readonly services: Informer<ServiceRecord>;
  readonly slices: Informer<SliceRecord>;

  constructor(connection: KubeConnection, log: Logger, observer?: InformerObserver) {
    const common = { log, ...(observer ? { observer } : {}) };
    this.profiles = new Informer(connection, {
      ...common,
      kind: SECURITY_PROFILES,
      transform: profileRecord,
      isSame: asksForTheSame,
    });
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

  get informers(): readonly Informer<unknown>[] {
    return [this.profiles, this.pods, this.namespaces, this.services, this.slices] as Informer<unknown>[];
  }

  get isSynced(): boolean {
    return this.informers.every((informer) => informer.isSynced);
  }

  start(): void {
    for (const informer of this.informers) informer.start();
  }

  async whenSynced(): Promise<void> {
    await Promise.all(this.informers.map((informer) => informer.whenSynced()));
  }

  async stop(): Promise<void> {
    await Promise.all(this.informers.map((informer) => informer.stop()));
  }
}
