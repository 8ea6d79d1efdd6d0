/** The operator: sends every node's agent what its pods are to have, and every profile's status true. */

import { causeText } from "../api/errors.ts";
import { reviewToken } from "../kube/access/token-review.ts";
import type { Controller } from "../kube/controller.ts";
import { EventRecorder } from "../kube/event-recorder.ts";
import { TOKEN_AUDIENCE } from "../protocol/service.ts";
import { Cluster, DEFAULT_PROFILES_HEAP } from "./cluster/cluster.ts";
import { DeletionGuard } from "./cluster/deletion-guard.ts";
import { AgentRecords } from "./distribution/agent-records.ts";
import { DistributionServer } from "./distribution/server.ts";
import { Leadership, type LeadershipOptions } from "./leadership.ts";
import { observerAccess } from "./observe/access.ts";
import { ObserverHub } from "./observe/hub.ts";
import { describePod } from "./observe/pod-description.ts";
import { ObserveServer } from "./observe/server.ts";
import { OperatorTelemetry } from "./operator-telemetry.ts";
import type { Plan } from "./plan/plan.ts";
import { PlanLoop } from "./plan/plan-loop.ts";
import { type BudgetLimits, DEFAULT_BUDGET } from "./profiles/budget.ts";
import { SERVING_GRACE_MS } from "./status/pod-verdicts.ts";
import { ProfileFindings } from "./status/profile-findings.ts";
import { Reports } from "./status/reports.ts";
import { ProfileTotals } from "./status/totals.ts";
import { UnjudgedPods } from "./status/unjudged-pods.ts";
import { StatusWriter } from "./status/writer.ts";

export interface OperatorOptions extends LeadershipOptions {
  version: string;
  /** Where agents connect: host:port to listen on. */
  listenAddress: string;
  /** Where observers of pods connect, with the same port for all replicas; absent: nowhere. */
  observeAddress?: string;
  /** Null: no encryption, for tests on one machine. */
  tls: { certificateFile: string; keyFile: string } | null;
  /** `namespace/name` of the agents' service account. */
  agentServiceAccount: string;
  /** Of the cluster's DNS. */
  clusterDomain: string;
  /** Profiles that disappear in numbers, or with their definition, stay in force; true where absent. */
  holdDeletions?: boolean;
  /** What each namespace may have; DEFAULT_BUDGET where absent. */
  budget?: BudgetLimits;
  /** MiB of JavaScript heap for profiles and their compilation; DEFAULT_PROFILES_HEAP where absent. */
  profilesHeap?: number;
}

const CONTROLLER = "security.datadoghq.com/portcullis-operator";
const FORGET_CHECK_MS = 60_000;

export class Operator {
  readonly telemetry = new OperatorTelemetry();
  readonly cluster: Cluster;
  readonly records = new AgentRecords();
  readonly plan: Plan;
  readonly server: DistributionServer;
  /** Null: profiles that disappear are never held. */
  readonly deletions: DeletionGuard | null;
  readonly observers: ObserverHub;
  /** Null: nobody can observe pods. */
  readonly observeServer: ObserveServer | null;
  readonly #options: OperatorOptions;
  readonly #recorder: EventRecorder;
  readonly #leadership: Leadership;
  readonly #planLoop: PlanLoop;
  readonly #status: StatusWriter;
  readonly #ending = new AbortController();
  readonly #forgetting: NodeJS.Timeout;

  /** Makes the parts, each after those that it is handed, and then connects who reports with who listens. */
  constructor(options: OperatorOptions) {
    this.#options = options;
    const { connection, log, identity, clusterDomain } = options;
    const { meter } = this.telemetry;
    this.#recorder = new EventRecorder(connection, {
      controller: CONTROLLER,
      instance: identity,
      log,
      onSuppressed: (count) => meter.suppressed(count),
    });
    this.#leadership = new Leadership(options);
    const findings = new ProfileFindings({ recorder: this.#recorder, leadership: this.#leadership, log });
    const { budget = DEFAULT_BUDGET, profilesHeap = DEFAULT_PROFILES_HEAP, holdDeletions = true } = options;
    this.cluster = new Cluster(connection, { budget, profilesHeap, log, meter });
    const onHeld = (profile: string, why: string) => findings.held(profile, why);
    this.deletions = holdDeletions ? new DeletionGuard({ connection, log, onHeld }) : null;
    this.#planLoop = new PlanLoop({
      deletions: this.deletions,
      cluster: this.cluster,
      log,
      meter,
      searchDomains: (pod) => this.records.searchDomainsOf(pod, clusterDomain),
      onProfileSeen: (profile) => findings.seen(profile),
      onCompiled: (seconds, failed) => meter.compiled(seconds, failed),
    });
    this.plan = this.#planLoop.plan;
    const sources = { plan: this.plan, records: this.records, leadership: this.#leadership };
    this.observers = new ObserverHub({ describe: (request) => describePod(request, sources) });
    this.server = this.#makeServer();
    this.observeServer = options.observeAddress === undefined ? null : this.#makeObserveServer(options.observeAddress);
    const totals = new ProfileTotals();
    this.#status = this.#makeStatusWriter(totals);
    this.records.subscribe(this.#makeReports(totals));
    this.#connect();
    this.#forgetting = setInterval(() => this.#forgetNodes(), FORGET_CHECK_MS);
    this.#forgetting.unref();
  }

  get isLeader(): boolean {
    return this.#leadership.isLeader;
  }

  get controllers(): readonly Controller[] {
    return [...this.#planLoop.controllers, this.#status.controller];
  }

  /** Why this replica could not take over now, in words; none: it could, or has. */
  get problems(): string[] {
    const unsynced = this.cluster.informers.filter(({ isSynced }) => !isSynced);
    if (unsynced.length > 0) return unsynced.map(({ plural, problem }) => `not read yet: ${plural}${whyText(problem)}`);
    return this.#planLoop.isSettled ? [] : ["not everything is planned yet"];
  }

  /**
   * Begins; settles when agents can connect. Reading the cluster goes on meanwhile.
   * @throws ListenError, UnreadableError
   */
  async start(): Promise<void> {
    await this.server.listen();
    await this.observeServer?.listen();
    this.cluster.start();
    this.#status.start();
    this.#options.log.info({ address: this.#options.listenAddress, port: this.server.port }, "agents can connect");
    this.#planLoop.start(this.#ending.signal).then(
      () => this.#settled(),
      (cause: unknown) => this.#options.log.fatal({ err: cause }, "the cluster cannot be planned"),
    );
  }

  /** Writes what is not written yet, gives the Lease back, and ends all streams. */
  async stop(): Promise<void> {
    this.#ending.abort();
    clearInterval(this.#forgetting);
    await this.#status.stop();
    await this.#recorder.close();
    await this.#leadership.stop();
    await this.observeServer?.close();
    await this.server.close();
    await this.#planLoop.stop();
    await this.cluster.stop();
    this.#options.connection.close();
  }

  #connect(): void {
    const { plan, server } = this;
    plan.planner.subscribe((profile) => this.#status.enqueue(profile));
    plan.nodes.subscribe((node) => server.notify(node));
    plan.enforcing.subscribe(() => server.notifyAll());
    this.#leadership.subscribe((isLeader) => {
      if (isLeader) {
        this.#status.lead();
        // Again once agents that have not connected by then are worth telling of.
        setTimeout(() => this.#status.enqueueAll(), SERVING_GRACE_MS + 100).unref();
        return;
      }
      this.observers.endAll("this operator does not lead any more");
      server.dismiss();
    });
  }

  #settled(): void {
    if (!this.#planLoop.isSettled) return;
    const { pods, profiles } = this.plan;
    this.#options.log.info({ pods: pods.size, profiles: profiles.size }, "all is planned");
    this.#leadership.stand();
  }

  #forgetNodes(): void {
    this.records.forgetAbsent((node) => this.plan.nodes.bindings(node).size > 0);
  }

  #makeReports(totals: ProfileTotals): Reports {
    const { meter } = this.telemetry;
    return new Reports({
      plan: this.plan,
      records: this.records,
      totals,
      recorder: this.#recorder,
      onChanged: (profile) => this.#status.enqueue(profile),
      onPackets: (...counts) => meter.packets(...counts),
      onLost: (events) => meter.lost(events),
      onClamped: (what) => meter.clamped(what),
    });
  }

  #makeStatusWriter(totals: ProfileTotals): StatusWriter {
    const { connection, log } = this.#options;
    const { meter } = this.telemetry;
    const unjudged = new UnjudgedPods(this.#recorder);
    return new StatusWriter({
      connection,
      log,
      meter,
      profiles: this.plan.profiles,
      readStatus: (key) => this.cluster.profiles.readStatus(key),
      planner: this.plan.planner,
      records: this.records,
      totals,
      servingSince: () => this.#leadership.servingSince,
      certificateExpiresAt: () => this.server.certificateExpiresAt,
      weaknessesOf: (pod) => this.plan.pods.get(pod)?.weaknesses ?? [],
      onUnjudged: (pods) => unjudged.found(pods),
      onWritten: (failed) => meter.statusWritten(failed),
      onEnforced: (seconds) => meter.enforced(seconds),
    });
  }

  #makeServer(): DistributionServer {
    const { connection, version, listenAddress, tls, agentServiceAccount, log } = this.#options;
    const { nodes, tables, enforcing, pods } = this.plan;
    return new DistributionServer({
      version,
      address: listenAddress,
      tls,
      log,
      records: this.records,
      observers: this.observers,
      meter: this.telemetry.meter,
      onDropped: (reason) => this.telemetry.meter.dropped("agents", reason),
      wanted: (node) => ({
        bindings: nodes.snapshot(node),
        tables: tables.tables,
        enforcing: enforcing.names,
      }),
      isPlanning: () => this.#planLoop.isPlanning,
      nodes: () => nodes.size,
      notServing: () => this.#leadership.notServing(),
      authentication: {
        serviceAccount: agentServiceAccount,
        review: (token) => reviewToken(connection, token, TOKEN_AUDIENCE),
        nodeOfPod: (namespace, name, uid) => {
          const pod = pods.get(`${namespace}/${name}`);
          return pod?.uid === uid && pod.nodeName !== "" ? pod.nodeName : null;
        },
      },
    });
  }

  #makeObserveServer(address: string): ObserveServer {
    const { connection, tls, log } = this.#options;
    return new ObserveServer({
      address,
      tls,
      hub: this.observers,
      access: observerAccess(connection),
      notServing: () => this.#leadership.notServing(),
      onRequest: (result) => this.telemetry.meter.observation(result),
      onDropped: (reason) => this.telemetry.meter.dropped("observe", reason),
      log,
    });
  }
}

/** An API server that does not know a kind answers 404. */
function whyText(problem: unknown): string {
  if (problem === null) return "";
  const text = causeText(problem);
  const hint = / 404 /.test(text) ? "; install the definition (crds/, or crds.install of the chart)" : "";
  return `: ${text}${hint}`;
}
