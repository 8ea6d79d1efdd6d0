/**
 * What agents report, put where it belongs. An agent is believed about its own node only: what it says of pods of other nodes, or of
 * profiles that its node has nothing of, is left out.
 */
import { REASONS } from "../../api/reasons.ts";
import type { Counters } from "../../gen/agent_pb.js";
import type { Violation, Violations } from "../../gen/telemetry_pb.js";
import type { EventRecorder } from "../../kube/event-recorder.ts";
import { splitKey } from "../../kube/resources.ts";
import type { AgentRecords, ReportListener } from "../distribution/agent-records.ts";
import { PacketAllowance } from "../plan/packet-allowance.ts";
import type { Plan } from "../plan/plan.ts";
import type { PodPlan } from "../plan/planner.ts";
import { addCounts, addViolation, type ProfileTotals, type Totals } from "./totals.ts";
import { recordViolation } from "./violation-events.ts";

export interface ReportsOptions {
  plan: Pick<Plan, "profiles" | "planner" | "nodes" | "tables">;
  records: Pick<AgentRecords, "get">;
  totals: ProfileTotals;
  recorder: EventRecorder;
  /** A profile's status may be another now. */
  onChanged: (profile: string) => void;
  onPackets: (profile: string, direction: string, verdict: string, reason: string, packets: number) => void;
  onLost: (events: number) => void;
  /** A figure that cannot be was cut to what can. */
  onClamped: (what: "packets" | "time") => void;
}

/** Clocks of nodes may differ by so many milliseconds. */
const CLOCK_SKEW_MS = 1_000;
/** An Event counts in 32 bits. */
const EVENT_COUNT_MAX = 1_000_000;
const KNOWN_REASONS: ReadonlySet<string> = new Set(REASONS);

export class Reports implements ReportListener {
  readonly #options: ReportsOptions;
  readonly #allowance = new PacketAllowance();

  constructor(options: ReportsOptions) {
    this.#options = options;
  }

  reported(node: string, podUids: Iterable<string> | null): void {
    const profiles = new Set<string>();
    for (const pod of this.#podsOf(node, podUids)) for (const profile of pod.profiles) profiles.add(profile);
    for (const profile of profiles) this.#options.onChanged(profile);
  }

  domainsReported(node: string, podUids: Iterable<string> | null): void {
    for (const pod of this.#podsOf(node, podUids)) this.#options.plan.planner.domainsReported(pod);
  }

  counted(node: string, counters: Counters): void {
    const { onChanged, onPackets, onLost } = this.#options;
    const known = this.#profilesOf(node);
    for (const process of counters.processes) {
      if (!known.has(process.profile)) continue;
      const totals = this.#totals(process.profile);
      if (totals === null) continue;
      const counts = process.verdicts.map((count) => ({ ...count, packets: this.#packets(node, count.packets) }));
      addCounts(totals, process, counts);
      for (const { direction, verdict, reason, packets } of counts) {
        // Words of a newer agent, or of one that makes them up, are no new series each.
        onPackets(process.profile, direction, verdict, KNOWN_REASONS.has(reason) ? reason : "other", packets);
      }
      onChanged(process.profile);
    }
    if (counters.eventsLost > 0n) onLost(this.#packets(node, counters.eventsLost));
  }

  violated(node: string, { violations, lost }: Violations): void {
    for (const violation of violations) this.#violation(node, { ...violation, time: this.#time(violation.time) });
    if (lost > 0n) this.#options.onLost(this.#packets(node, lost));
  }

  #packets(node: string, packets: bigint): number {
    const taken = this.#allowance.take(node, packets);
    if (BigInt(taken) < packets) this.#options.onClamped("packets");
    return taken;
  }

  /** What a node has seen is over: a clock that is ahead says now. */
  #time(time: bigint): bigint {
    const now = Date.now();
    if (time <= now) return time;
    if (time > now + CLOCK_SKEW_MS) this.#options.onClamped("time");
    return BigInt(now);
  }

  #violation(node: string, violation: Violation): void {
    const { plan, recorder, onChanged } = this.#options;
    const pod = this.#podOf(node, violation.podUid);
    if (pod === undefined) return;
    const profiles = pod.profiles.filter((profile) => violation.profiles.includes(profile));
    const { namespace, name } = splitKey(pod.key);
    for (const profile of profiles) {
      const totals = this.#totals(profile);
      if (totals === null) continue;
      addViolation(totals, violation, node, pod.key);
      onChanged(profile);
    }
    const [first] = profiles;
    const profile = first === undefined ? undefined : plan.profiles.get(first);
    const count = violation.count > EVENT_COUNT_MAX ? BigInt(EVENT_COUNT_MAX) : violation.count;
    recordViolation(recorder, { ...violation, count, profiles }, { namespace, name, uid: pod.uid }, profile, node);
  }

  #podsOf(node: string, podUids: Iterable<string> | null): PodPlan[] {
    const uids = podUids ?? this.#options.plan.nodes.bindings(node).keys();
    return Array.from(uids, (uid) => this.#podOf(node, uid)).filter((pod) => pod !== undefined);
  }

  #podOf(node: string, uid: string): PodPlan | undefined {
    const pod = this.#options.plan.planner.planOfUid(uid);
    return pod?.node === node ? pod : undefined;
  }

  #totals(profile: string): Totals | null {
    const { plan, totals } = this.#options;
    const stored = plan.profiles.get(profile);
    return stored === undefined ? null : totals.of({ key: profile, uid: stored.uid, status: stored.status });
  }

  /** Profiles that the node has something of, or had until a moment ago. */
  #profilesOf(node: string): Set<string> {
    const { plan, records } = this.#options;
    const profiles = new Set<string>();
    for (const uid of plan.nodes.bindings(node).keys()) {
      for (const profile of this.#podOf(node, uid)?.profiles ?? []) profiles.add(profile);
    }
    for (const { tableHash } of records.get(node)?.acknowledged?.values() ?? []) {
      for (const profile of plan.tables.tables.get(tableHash)?.profiles ?? []) profiles.add(profile);
    }
    return profiles;
  }
}
