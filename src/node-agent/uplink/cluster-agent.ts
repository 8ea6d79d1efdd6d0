/**
 * The agent of one node of a cluster: pods found on the node, policies from the operator, and the kernel kept in line
 * with both. Without an operator it goes on with what it was sent last, also after a start.
 */

import { join } from "node:path";
import { causeCode, causeText } from "../../api/errors.ts";
import { TeeSink } from "../../export/tee.ts";
import { WithoutAllowed } from "../../export/without-allowed.ts";
import { type Binding, type Problem as NodeProblem, type PodState, PolicyKind } from "../../gen/agent_pb.js";
import type { HeldState } from "../../protocol/held-state.ts";
import { steadyNow } from "../../timing/steady-time.ts";
import type { Workload } from "../discovery/workload.ts";
import type { DesiredPolicy, DesiredWorkload, WorkloadOutcome } from "../enforce/desired.ts";
import { ReportedCounts } from "../enforce/state/reported-counts.ts";
import { REPORTED_COUNTS_FILE } from "../enforce/state/state.ts";
import { NodeGuard, type NodeGuardOptions } from "../guard/node-guard.ts";
import { PeerRedirects } from "../kernel/peer-redirects.ts";
import type { Records } from "../records/records.ts";
import { type AgentMetrics, describeNode } from "./agent-metrics.ts";
import type { KeptState } from "./kept-state.ts";
import { OperatorClient, type OperatorClientOptions } from "./operator-client.ts";
import type { PodBindings } from "./pod-bindings.ts";
import { PodPolicies } from "./pod-policies.ts";
import { RecordSubscriptions } from "./record-subscriptions.ts";
import { countedPackets } from "./reports/counted-packets.ts";
import { CounterReport } from "./reports/counter-report.ts";
import {
  behindProblem,
  fileProblems,
  nodeProblems,
  notKeptProblem,
  recordsProblem,
  redirectProblems,
} from "./reports/node-problems.ts";
import { absentPodState, type PodOutcome, type Problem, podStateOf } from "./reports/pod-states.ts";
import { Reporter } from "./reports/reporter.ts";
import { ViolationQueue } from "./reports/violation-queue.ts";
import { TelemetryClient } from "./telemetry-client.ts";

export interface ClusterAgentOptions extends NodeGuardOptions {
  operator: Pick<OperatorClientOptions, "address" | "nodeName" | "version" | "searchDomains" | "reconnect">;
  bindings: PodBindings;
  kept: KeptState;
  exemptNamespaces: ReadonlySet<string>;
  blockNamespaces: ReadonlySet<string>;
  metrics: AgentMetrics;
  /** By whom records are kept; null: they are not. */
  records: Pick<Records, "write" | "end" | "state" | "subscribe"> | null;
}

/** A table that the kernel had no room for is tried again after this long. */
const REFUSED_MS = 30_000;

interface RefusedTable extends Problem {
  tableHash: string;
  until: number;
}

export class ClusterAgent {
  readonly #options: ClusterAgentOptions;
  readonly #guard: NodeGuard;
  readonly #policies: PodPolicies;
  readonly #reporter: Reporter;
  readonly #counters: CounterReport;
  readonly #client: OperatorClient;
  readonly #redirects = new PeerRedirects();
  readonly #stops: (() => void)[] = [];
  /** Tables that did not get in force, by workload key. */
  readonly #refused = new Map<string, RefusedTable>();
  /** When pods were let through although nothing was known of them, in milliseconds since 1970, by uid. */
  readonly #letThrough = new Map<string, number>();
  /** When the revision was received that is not in force yet. */
  #revisionAt: number | null = null;
  /** What was kept is older than what is in force, and the operator has said nothing since. */
  #isOutdated: boolean;
  #notKept: NodeProblem | null = null;
  #behind: NodeProblem | null = null;
  #soon: NodeJS.Immediate | null = null;

  /**
   * Starts: when this returns, what was known from before is in force, and the operator is being connected to.
   * @throws LoadError, KernelError, MountError, ObjectsMissingError, UsageError
   */
  constructor(options: ClusterAgentOptions) {
    this.#options = options;
    const { bindings, metrics, operator, workloads, log } = options;
    this.#isOutdated = options.kept.isOutdated;
    const violations = new ViolationQueue();
    const subscriptions = new RecordSubscriptions({ onAllowedWanted: (uids) => this.#reportAllowed(uids) });
    const printed = options.settings.reportAllowed ? options.sink : new WithoutAllowed(options.sink);
    const kept = options.records === null ? [] : [options.records];
    const sink = new TeeSink([printed, violations, metrics, subscriptions, ...kept]);
    this.#guard = new NodeGuard({ ...options, sink }, () => this.#reconcile());
    const { enforcer, maps, paths, store } = this.#guard.enforcement;
    const reported = new ReportedCounts(join(options.stateDirectory, REPORTED_COUNTS_FILE), log);
    const source = {
      read: () =>
        countedPackets({
          counters: maps.counters,
          path: (id) => paths.text(id),
          workloads: () => enforcer.workloads,
          table: (id) => store.find(id)?.table ?? null,
        }),
      eventsLost: () => violations.kernelLost,
    };
    this.#counters = new CounterReport(source, reported.load(), (count, packets) => metrics.counted(count, packets));
    const onCountersKept = (counts: ReadonlyMap<string, number>) => reported.save(counts);
    this.#reporter = new Reporter({ counters: this.#counters, onCountersKept });
    this.#policies = new PodPolicies({
      ...options,
      fit: (table, workload) => this.#guard.files.fit(table, workload),
      unknown: (workload, after) => this.#guard.startup.policyOf(workload, after),
    });
    metrics.describeWith(() => describeNode(this.#guard.enforcement, options.files.counts));
    this.#reporter.setProblems(this.#problems());
    this.#stops.push(workloads.subscribe(() => this.#reconcile()));
    if (options.records !== null) this.#stops.push(this.#followRecords(options.records));
    this.#client = new OperatorClient({
      ...operator,
      reporter: this.#reporter,
      telemetry: new TelemetryClient({
        violations,
        subscriptions,
        onBadMessage: (kind) => metrics.badMessage(kind),
        log,
      }),
      held: () => bindings.held,
      onRevision: (state) => this.#take(state),
      onConnection: (state, reason) => metrics.connection(state, reason),
      onRefusal: (code) => metrics.revision("refused", code),
      onBadMessage: (kind) => metrics.badMessage(kind),
      log,
    });
  }

  /** Stops looking after things. What is in force stays in force. */
  close(): void {
    if (this.#guard.closed) return;
    if (this.#soon !== null) clearImmediate(this.#soon);
    for (const stop of this.#stops) stop();
    this.#client.close();
    this.#guard.close();
  }

  /** Whether records can be kept changes at any time. */
  #followRecords(records: Pick<Records, "state" | "subscribe">): () => void {
    let reported = records.state.problem;
    return records.subscribe(({ problem }) => {
      if (problem === reported) return;
      reported = problem;
      this.#reporter.setProblems(this.#problems());
    });
  }

  #problems() {
    const records = recordsProblem(this.#options.records?.state ?? null);
    const own = [this.#behind, this.#notKept, records].filter((problem) => problem !== null);
    return [
      ...own,
      ...nodeProblems(this.#guard.enforcement),
      ...redirectProblems(this.#redirects.list() ?? []),
      ...fileProblems(this.#guard.files.problems(this.#options.workloads.snapshot().workloads)),
    ];
  }

  /** Of these pods, allowed flows as well. Only the workloads concerned are written anew. */
  #reportAllowed(uids: ReadonlySet<string>): void {
    this.#guard.enforcement.reportAllowedOf(uids);
    this.#reconcile();
  }

  /** A revision: kept at once, put in force right after it is acknowledged. A disk that is full keeps nothing from being in force. */
  #take(state: HeldState): void {
    const { bindings, metrics } = this.#options;
    this.#keep(state);
    this.#isOutdated = false;
    this.#revisionAt ??= performance.now();
    this.#refused.clear();
    metrics.revision("acknowledged", "");
    bindings.take(state);
    this.#soon ??= setImmediate(() => {
      this.#soon = null;
      this.#reconcile();
    });
  }

  #keep(state: HeldState): void {
    const { kept, log } = this.#options;
    try {
      kept.save(state);
      this.#notKept = null;
    } catch (cause) {
      log.error({ err: cause }, "what the operator says cannot be kept for a start without it");
      this.#notKept = notKeptProblem(causeText(cause));
    }
  }

  #reconcile(): void {
    this.#guard.attempt("bring the kernel in line", () => {
      try {
        this.#bringInLine();
      } catch (cause) {
        this.#behind = behindProblem(causeText(cause));
        this.#reporter.setProblems(this.#problems());
        throw cause;
      }
    });
  }

  #bringInLine(): void {
    const started = performance.now();
    const { workloads } = this.#options.workloads.snapshot();
    this.#guard.startup.keep(workloads);
    // Counters of pods that are gone go with them.
    this.#counters.sample();
    const outcomes = this.#applyAll(workloads);
    this.#behind = null;
    this.#reportPods(outcomes);
    this.#reporter.setProblems(this.#problems());
    this.#options.metrics.reconciled((performance.now() - started) / 1000);
    if (this.#revisionAt === null) return;
    this.#options.metrics.enforced((performance.now() - this.#revisionAt) / 1000);
    this.#revisionAt = null;
  }

  /** Puts in force what can be; a table that does not fit leaves all others alone. */
  #applyAll(workloads: readonly Workload[]): PodOutcome[] {
    let desired = workloads.map((workload) => this.#desired(workload));
    let outcomes = this.#guard.apply(desired);
    const refused = outcomes.filter((outcome, index) => outcome.refused && index < desired.length);
    if (refused.length > 0) {
      outcomes.forEach(({ refused: isRefused, error }, index) => {
        const workload = desired[index]?.workload;
        if (isRefused && workload !== undefined && error !== null) this.#refuse(workload, error);
      });
      desired = workloads.map((workload) => this.#desired(workload));
      outcomes = this.#guard.apply(desired);
    }
    this.#policies.keep(new Set(outcomes.flatMap(({ tableHash }) => (tableHash === null ? [] : [tableHash]))));
    const live = new Set(workloads.map(({ podUid }) => podUid));
    for (const uid of this.#letThrough.keys()) if (!live.has(uid)) this.#letThrough.delete(uid);
    return desired.flatMap(({ workload }, index) => {
      const outcome = outcomes[index];
      if (outcome === undefined) return [];
      const binding = workload.podUid === undefined ? null : this.#options.bindings.bindingOf(workload.podUid);
      return [
        {
          workload,
          outcome,
          binding,
          letThrough: this.#noteLetThrough(workload, outcome, binding),
          refusal: this.#refused.get(keyOf(workload)) ?? null,
          tableHash: this.#policies.operatorHash(outcome.tableHash),
          files: this.#guard.enforcement.enforcer.filesOf(workload),
        },
      ];
    });
  }

  /** When the pod was let through although nothing was known of it; 0: it was not. */
  #noteLetThrough({ podUid, namespace }: Workload, { state }: WorkloadOutcome, binding: Binding | null): number {
    if (podUid === undefined) return 0;
    const isUnknown = binding === null && state === "unrestricted" && !this.#options.exemptNamespaces.has(namespace);
    if (isUnknown && !this.#letThrough.has(podUid)) this.#letThrough.set(podUid, Date.now());
    return this.#letThrough.get(podUid) ?? 0;
  }

  #desired(workload: Workload): DesiredWorkload {
    const key = keyOf(workload);
    const refused = this.#refused.get(key);
    if (refused !== undefined && refused.until > steadyNow())
      return { workload, policy: this.#policies.unknown(workload) };
    this.#refused.delete(key);
    return { workload, policy: this.#attemptPolicy(workload) };
  }

  #attemptPolicy(workload: Workload): DesiredPolicy {
    if (this.#isOutdated && this.#guard.enforcement.enforcer.isKnown(workload)) return { kind: "unchanged" };
    try {
      return this.#policies.policyOf(workload);
    } catch (cause) {
      this.#options.log.error({ workload: keyOf(workload), err: cause }, "its policy cannot be put in force");
      this.#refuse(workload, { code: causeCode(cause) ?? "PC_UNEXPECTED", message: causeText(cause) });
      return this.#policies.unknown(workload);
    }
  }

  #refuse(workload: Workload, { code, message }: Problem): void {
    const uid = workload.podUid ?? "";
    const tableHash = this.#options.bindings.bindingOf(uid)?.tableHash ?? "";
    this.#refused.set(keyOf(workload), { tableHash, code, message, until: steadyNow() + REFUSED_MS });
  }

  #reportPods(outcomes: readonly PodOutcome[]): void {
    const states = new Map<string, PodState>();
    for (const pod of outcomes) {
      const state = podStateOf(pod);
      if (state.podUid !== "") states.set(state.podUid, state);
    }
    const { unresolved } = this.#options.workloads.snapshot();
    const waiting = new Map(unresolved.map((workload) => [workload.podUid ?? "", workload]));
    for (const binding of this.#options.bindings.held.bindings.values()) {
      if (states.has(binding.podUid) && binding.policy !== PolicyKind.HOST_NETWORK) continue;
      states.set(binding.podUid, absentPodState(binding, waiting.get(binding.podUid)));
    }
    this.#reporter.setPods(states);
    this.#options.metrics.pods([...states.values()]);
  }
}

function keyOf({ podUid, namespace, name }: Workload): string {
  return podUid ?? `${namespace}/${name}`;
}
