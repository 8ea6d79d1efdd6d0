/** The operator's metrics, and who counts what. */
import type { Controller, ControllerMeter } from "../kube/controller.ts";
import type { InformerMeter } from "../kube/informer.ts";
import type { DropReason } from "../net/connection-limits.ts";
import { createMetrics } from "../telemetry/metrics.ts";
import { OPERATOR_METRICS } from "../telemetry/operator-metrics.ts";
import type { Cluster } from "./cluster/cluster.ts";
import type { DeletionGuard } from "./cluster/deletion-guard.ts";
import type { AgentRecords } from "./distribution/agent-records.ts";
import type { DistributionMeter } from "./distribution/server.ts";
import type { ObserverHub } from "./observe/hub.ts";
import type { Plan } from "./plan/plan.ts";

export interface OperatorMeter extends ControllerMeter, InformerMeter, DistributionMeter {
  compiled(seconds: number, failed: boolean): void;
  packets(profile: string, direction: string, verdict: string, reason: string, packets: number): void;
  lost(events: number): void;
  suppressed(count: number): void;
  statusWritten(failed: boolean): void;
  enforced(seconds: number): void;
  observation(result: "accepted" | "refused"): void;
  dropped(listener: "agents" | "observe" | "metrics", reason: DropReason): void;
  confined(what: string): void;
  clamped(what: "packets" | "time"): void;
}

/** The parts of an operator whose state is looked up. */
export interface OperatorParts {
  readonly cluster: Cluster;
  readonly plan: Pick<Plan, "profiles" | "tables">;
  readonly deletions: DeletionGuard | null;
  readonly records: AgentRecords;
  readonly observers: ObserverHub;
  readonly controllers: readonly Controller[];
  readonly isLeader: boolean;
  readonly server: { readonly certificateExpiresAt: number | null };
}

export class OperatorTelemetry {
  readonly #made = createMetrics(OPERATOR_METRICS);
  readonly meter: OperatorMeter = this.#makeMeter();

  get registry() {
    return this.#made.registry;
  }

  /** Sets what is looked up rather than counted. */
  collect(operator: OperatorParts): void {
    const { metrics } = this.#made;
    const { cluster, plan, controllers, deletions, records, isLeader, observers } = operator;
    metrics.isLeader.set(isLeader ? 1 : 0);
    const expiry = operator.server.certificateExpiresAt;
    if (expiry !== null) metrics.certificateExpiry.set(expiry / 1000);
    for (const { name, queue } of controllers) {
      metrics.queueDepth.set({ controller: name }, queue.depth + queue.delayed);
    }
    for (const { plural, size, age } of cluster.informers) {
      metrics.cachedObjects.set({ resource: plural }, size);
      if (Number.isFinite(age)) metrics.watchAge.set({ resource: plural }, age / 1000);
    }
    const profiles = [...plan.profiles.all()];
    const accepted = profiles.filter(({ errors, overBudget }) => errors.count === 0 && overBudget === null).length;
    metrics.profiles.set({ accepted: "true" }, accepted);
    const overBudget = profiles.filter((profile) => profile.overBudget !== null).length;
    metrics.profiles.set({ accepted: "false" }, profiles.length - accepted - overBudget);
    metrics.profiles.set({ accepted: "over_budget" }, overBudget);
    metrics.heldProfiles.set(deletions?.held.size ?? 0);
    metrics.tables.set(plan.tables.size);
    metrics.agents.set(records.connected);
    metrics.observers.set(observers.size);
  }

  #makeMeter(): OperatorMeter {
    const { metrics } = this.#made;
    return {
      reconciled: (controller, seconds, failed) => {
        metrics.reconciles.inc({ controller, result: resultOf(failed) });
        metrics.reconcileSeconds.observe({ controller }, seconds);
      },
      listed: () => {},
      watchBroke: (resource) => metrics.watchFailures.inc({ resource }),
      wentBack: (resource) => metrics.wentBack.inc({ resource }),
      connection: (result) => metrics.agentConnections.inc({ result }),
      sent: (isFull, bytes) => {
        metrics.revisionsSent.inc({ kind: isFull ? "full" : "delta" });
        metrics.sentBytes.inc(bytes);
      },
      acknowledged: (seconds) => metrics.acknowledgeSeconds.observe(seconds),
      refused: () => metrics.revisionsRefused.inc(),
      compiled: (seconds, failed) => {
        metrics.compiles.inc({ result: resultOf(failed) });
        metrics.compileSeconds.observe(seconds);
      },
      packets: (key, direction, verdict, reason, packets) => {
        const [namespace = "", profile = ""] = key.split("/");
        metrics.packets.inc({ namespace, profile, direction, verdict, reason }, packets);
      },
      lost: (events) => metrics.nodeEventsLost.inc(events),
      suppressed: (count) => metrics.eventsSuppressed.inc(count),
      statusWritten: (failed) => metrics.statusWrites.inc({ result: resultOf(failed) }),
      enforced: (seconds) => metrics.enforceSeconds.observe(seconds),
      observation: (result) => metrics.observations.inc({ result }),
      dropped: (listener, reason) => metrics.connectionsDropped.inc({ listener, reason }),
      confined: (what) => metrics.confinedErrors.inc({ what }),
      badMessage: (kind) => metrics.badMessages.inc({ kind }),
      clamped: (what) => metrics.clampedReports.inc({ what }),
    };
  }
}

function resultOf(failed: boolean): string {
  return failed ? "error" : "ok";
}
