/** What the agent measures of itself. */

import { RecordMetrics } from "../../export/prometheus/record-metrics.ts";
import type { ExportState } from "../../export/settings.ts";
import type { EventSink } from "../../export/sink.ts";
import type { AgentEvent, LossPlace, RecordKind } from "../../flow/record.ts";
import { type PodPhase, PodPhaseSchema, type PodState } from "../../gen/agent_pb.js";
import { AGENT_METRICS } from "../../telemetry/agent-metrics.ts";
import { createMetrics, type MetricsOf } from "../../telemetry/metrics.ts";
import { RECORD_METRICS } from "../../telemetry/record-metrics.ts";
import type { Enforcement } from "../enforce/enforcement.ts";
import { type CountedError, readKernelErrors } from "../enforce/kernel-errors.ts";
import { exhaustedClaims } from "../enforce/tables/claims.ts";
import { type MapFill, mapFills } from "../enforce/tables/map-fill.ts";
import { fullShares } from "../enforce/tables/shares.ts";
import type { LookCounts } from "../foreign-files/foreign-files.ts";
import type { RecordsState } from "../records/messages.ts";
import type { ConnectionState } from "./operator-client.ts";
import type { CountedPackets } from "./reports/counter-report.ts";

/** How full the kernel's maps are, and what has failed there. */
export interface NodeFigures {
  maps: MapFill[];
  /** What workloads had their shares of, and how much more they wanted, all together. */
  lost: { share: string; count: number }[];
  errors: CountedError[];
  /** What became of looks at files of pods. */
  looks: LookCounts;
}

/** To count entries is to read a map; scrapes in quick succession see one count. */
const FIGURES_AGE_MS = 10_000;

/** Names of phases as labels: POD_PHASE_ENFORCED is `enforced`. */
const PHASES: readonly (readonly [PodPhase, string])[] = PodPhaseSchema.values
  .filter(({ number }) => number !== 0)
  .map(({ number, name }) => [number, name.replace("POD_PHASE_", "").toLowerCase()]);

export class AgentMetrics implements EventSink {
  readonly #metrics: MetricsOf<typeof AGENT_METRICS>;
  readonly #records: RecordMetrics;
  readonly registry: ReturnType<typeof createMetrics>["registry"];
  #describe: (() => NodeFigures) | null = null;
  #describedAt = Number.NEGATIVE_INFINITY;
  #connection: ConnectionState = "waiting";
  #reason = "";

  constructor() {
    const { registry, metrics } = createMetrics({ ...AGENT_METRICS, ...RECORD_METRICS });
    this.registry = registry;
    this.#metrics = metrics;
    this.#records = new RecordMetrics(metrics);
    this.#metrics.connected.set(0);
  }

  /** Why the operator is not connected to; null if it is. */
  get disconnected(): string | null {
    return this.#connection === "connected" ? null : this.#reason || this.#connection;
  }

  describeWith(describe: () => NodeFigures): void {
    this.#describe = describe;
  }

  /** Looks up what is looked up. To be called before metrics are read. */
  collect(): void {
    if (this.#describe === null || performance.now() - this.#describedAt < FIGURES_AGE_MS) return;
    this.#describedAt = performance.now();
    const { maps, errors, lost, looks } = this.#describe();
    for (const { name, entries, maxEntries } of maps) {
      this.#metrics.mapEntries.set({ map: name }, entries);
      this.#metrics.mapCapacity.set({ map: name }, maxEntries);
    }
    for (const { name: kind, count, sites } of errors) {
      this.#metrics.kernelErrors.set({ kind }, count);
      for (const { site, count: atSite } of sites) this.#metrics.kernelErrorSites.set({ kind, site }, atSite);
    }
    for (const [result, count] of Object.entries(looks)) this.#metrics.fileLooks.set({ result }, count);
    for (const { share, count } of lost) this.#metrics.shareLosses.set({ share }, count);
    this.#metrics.learnedNames.set(maps.find(({ name }) => name === "learned")?.entries ?? 0);
  }

  counted(
    { direction, verdict, reason }: Pick<CountedPackets, "direction" | "verdict" | "reason">,
    packets: number,
  ): void {
    this.#metrics.packets.inc({ direction, verdict, reason }, packets);
  }

  connection(state: ConnectionState, reason: string): void {
    if (state === "connecting") this.#metrics.connections.inc();
    if (state !== "connecting") this.#reason = reason;
    this.#connection = state;
    this.#metrics.connected.set(state === "connected" ? 1 : 0);
  }

  revision(result: "acknowledged" | "refused", code: string): void {
    this.#metrics.revisions.inc({ result, code });
  }

  badMessage(kind: string): void {
    this.#metrics.badMessages.inc({ kind });
  }

  enforced(seconds: number): void {
    this.#metrics.enforceSeconds.observe(seconds);
  }

  reconciled(seconds: number): void {
    this.#metrics.reconcileSeconds.observe(seconds);
  }

  pods(states: readonly PodState[]): void {
    for (const [phase, label] of PHASES) {
      this.#metrics.pods.set({ phase: label }, states.filter((state) => state.phase === phase).length);
    }
  }

  /** How the keeping of records goes. */
  records({ segments, bytes, damaged, problem }: RecordsState): void {
    this.#metrics.recordsBytes.set(bytes);
    this.#metrics.recordsSegments.set({ state: "whole" }, segments - damaged);
    this.#metrics.recordsSegments.set({ state: "damaged" }, damaged);
    this.#metrics.recordsKept.set(problem === null ? 1 : 0);
  }

  /** How exports go: counts since the last time. */
  exports(states: readonly ExportState[]): void {
    for (const { name, waiting, problem, ...counts } of states) {
      for (const result of ["taken", "overflowed", "refused"] as const) {
        this.#metrics.exportRecords.inc({ export: name, result }, counts[result]);
      }
      this.#metrics.exportWaiting.set({ export: name }, waiting);
      this.#metrics.exportWorking.set({ export: name }, problem === null ? 1 : 0);
    }
  }

  lost(where: LossPlace, count: number, kind: RecordKind | "" = ""): void {
    this.#metrics.eventsLost.inc({ where, kind }, count);
  }

  write(event: AgentEvent): void {
    if (event.type === "lost") this.lost(event.where, event.count, event.kind);
    this.#records.write(event);
  }

  end(): Promise<void> {
    return Promise.resolve();
  }
}

export function describeNode({ maps }: Pick<Enforcement, "maps">, looks: LookCounts): NodeFigures {
  return {
    looks,
    maps: mapFills(maps),
    lost: lostShares(maps),
    errors: readKernelErrors(maps),
  };
}

/** By share and claim, over all workloads: which one it is, `portcullis status` says. */
function lostShares(maps: Enforcement["maps"]): NodeFigures["lost"] {
  const all = [...[...fullShares(maps.shares).values()].flat(), ...exhaustedClaims(maps.claims)];
  return [...Map.groupBy(all, ({ name }) => name)].map(([share, entries]) => ({
    share,
    count: entries.reduce((sum, { lost }) => sum + lost, 0),
  }));
}
