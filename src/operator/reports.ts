/**
 * What agents report, put where it belongs. An agent is believed about its own node only: what it says of pods of other nodes, or of
 * profiles that its node has nothing of, is left out.
 */
import type { EventRecorder } from "../kube/event-recorder.ts";
import type { Counters, Violation, Violations } from "../protocol/agent_pb.js";
import type { AgentRecords, ReportListener } from "./distribution/agent-records.ts";
import type { PlanLoop } from "./plan-loop.ts";
import type { PodPlan } from "./planner.ts";
import { addCounts, addViolation, type ProfileTotals, type Totals } from "./status/totals.ts";
import { recordViolation } from "./violation-events.ts";

export interface ReportsOptions {
  plan: PlanLoop;
  records: () => AgentRecords;
  totals: ProfileTotals;
  recorder: EventRecorder;
  /** A profile's status may be another now. */
  onChanged: (profile: string) => void;
  onPackets: (profile: string, direction: string, verdict: string, reason: string, packets: number) => void;
  onLost: (events: number) => void;
}

export class Reports implements ReportListener {
  readonly #options: ReportsOptions;

  constructor(options: ReportsOptions) {
    this.#options = options;
  }

  reported(node: string, podUids: Iterable<string> | null): void {
    const profiles = new Set<string>();
    for (const pod of this.#podsOf(node, podUids)) for (const profile of pod.profiles) profiles.add(profile);
    for (const profile of profiles) this.#options.onChanged(profile);
  }

  domainsReported(node: string, podUids: Iterable<string> | null): void {
    for (const pod of this.#podsOf(node, podUids)) this.#options.plan.domainsReported(pod);
  }

  counted(node: string, counters: Counters): void {
    const { onChanged, onPackets, onLost } = this.#options;
    const known = this.#profilesOf(node);
    for (const process of counters.processes) {
      if (!known.has(process.profile)) continue;
      const totals = this.#totals(process.profile);
      if (totals === null) continue;
      addCounts(totals, process);
      for (const { direction, verdict, reason, packets } of process.verdicts) {
        onPackets(process.profile, direction, verdict, reason, Number(packets));
      }
      onChanged(process.profile);
    }
    if (counters.eventsLost > 0n) onLost(Number(counters.eventsLost));
  }

  violated(node: string, { violations, lost }: Violations): void {
    for (const violation of violations) this.#violation(node, violation);
    if (lost > 0n) this.#options.onLost(Number(lost));
  }

  #violation(node: string, violation: Violation): void {
    const { plan, recorder, onChanged } = this.#options;
    const pod = this.#podOf(node, violation.podUid);
    if (pod === undefined) return;
    const profiles = pod.profiles.filter((profile) => violation.profiles.includes(profile));
    const { namespace, name } = pod.binding;
    for (const profile of profiles) {
      const totals = this.#totals(profile);
      if (totals === null) continue;
      addViolation(totals, violation, node, pod.key);
      onChanged(profile);
    }
    const [first] = profiles;
    const profile = first === undefined ? undefined : plan.profiles.get(first);
    recordViolation(recorder, { ...violation, profiles }, { namespace, name, uid: pod.uid }, profile);
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
    return stored === undefined ? null : totals.of({ key: profile, uid: stored.uid, status: stored.record.status });
  }

  /** Profiles that the node has something of, or had until a moment ago. */
  #profilesOf(node: string): Set<string> {
    const { plan, records } = this.#options;
    const profiles = new Set<string>();
    for (const uid of plan.nodes.bindings(node).keys()) {
      for (const profile of this.#podOf(node, uid)?.profiles ?? []) profiles.add(profile);
    }
    for (const { tableHash } of records().get(node)?.acknowledged?.values() ?? []) {
      for (const profile of plan.tables.tables.get(tableHash)?.profiles ?? []) profiles.add(profile);
    }
    return profiles;
  }
}
