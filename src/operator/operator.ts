/** The operator: keeps every node's agent told what its pods are to have, and every profile's status true. */

import { causeText } from "../api/errors.ts";
import { reviewToken } from "../kube/access/token-review.ts";
import type { KubeConnection } from "../kube/connection.ts";
import { EventRecorder } from "../kube/event-recorder.ts";
import { LeaderElection } from "../kube/leader.ts";
import { TOKEN_AUDIENCE } from "../protocol/service.ts";
import type { Logger } from "../telemetry/logger.ts";
import { steadyNow } from "../timing/steady-time.ts";
import { Cluster, DEFAULT_PROFILES_HEAP } from "./cluster/cluster.ts";
import { DeletionGuard } from "./cluster/deletion-guard.ts";
import { type PodRecord, searchDomainsOf } from "./cluster/pod-record.ts";
import { AgentRecords } from "./distribution/agent-records.ts";
import { DistributionServer } from "./distribution/server.ts";
import { observerAccess } from "./observe/access.ts";
import { ObserverHub } from "./observe/hub.ts";
import { describePod } from "./observe/pod-description.ts";
import { ObserveServer } from "./observe/server.ts";
import { OperatorTelemetry } from "./operator-telemetry.ts";
import { PlanLoop } from "./plan/plan-loop.ts";
import { type BudgetLimits, DEFAULT_BUDGET } from "./profiles/budget.ts";
import type { StoredProfile } from "./profiles/stored-profile.ts";
import { SERVING_GRACE_MS } from "./status/pod-verdicts.ts";
import { Reports } from "./status/reports.ts";
import { ProfileTotals } from "./status/totals.ts";
import { UnjudgedPods } from "./status/unjudged-pods.ts";
import { recordHeld, recordInvalid, recordOverBudget } from "./status/violation-events.ts";
import { StatusWriter } from "./status/writer.ts";

export interface ElectionOptions {
  namespace: string;
  leaseName: string;
  /** Milliseconds. */
  leaseDuration: number;
  renewDeadline: number;
  retryPeriod: number;
}

export interface OperatorOptions {
  connection: KubeConnection;
  version: string;
  /** Ours; different for every replica and start. */
  identity: string;
  /** Where agents connect: host:port to listen on. */
  listenAddress: string;
  /** And where they find this replica. */
  advertiseAddress: string;
  /** Where observers of pods connect, with the same port for all replicas; absent: nowhere. */
  observeAddress?: string;
  /** Null: no encryption, for tests on one machine. */
  tls: { certificateFile: string; keyFile: string } | null;
  /** `namespace/name` of the agents' service account. */
  agentServiceAccount: string;
  /** Of the cluster's DNS. */
  clusterDomain: string;
  /** Null: this is the only replica. */
  election: ElectionOptions | null;
  /** Profiles that disappear in numbers, or with their definition, stay in force; true where absent. */
  holdDeletions?: boolean;
  /** What each namespace may have; DEFAULT_BUDGET where absent. */
  budget?: BudgetLimits;
  /** MiB of JavaScript heap for profiles and their compilation; DEFAULT_PROFILES_HEAP where absent. */
  profilesHeap?: number;
  log: Logger;
}

const CONTROLLER = "security.datadoghq.com/portcullis-operator";
/** Agents of nodes without pods are forgotten after this long. */
const FORGET_MS = 60 * 60_000;
const FORGET_CHECK_MS = 60_000;

export class Operator {
  readonly cluster: Cluster;
  readonly plan: PlanLoop;
  readonly records: AgentRecords;
  readonly server: DistributionServer;
  readonly telemetry: OperatorTelemetry;
  /** Null: profiles that disappear are never held. */
  readonly deletions: DeletionGuard | null;
  readonly observers: ObserverHub;
  /** Null: nobody can observe pods. */
  readonly observeServer: ObserveServer | null;
  readonly #options: OperatorOptions;
  readonly #status: StatusWriter;
  readonly #recorder: EventRecorder;
  readonly #election: LeaderElection | null;
  readonly #totals = new ProfileTotals();
  readonly #ending = new AbortController();
  readonly #forgetting: NodeJS.Timeout;
  #leading = false;
  #servingSince: number | null = null;

  constructor(options: OperatorOptions) {
    this.#options = options;
    const { connection, log, identity, election } = options;
    this.telemetry = new OperatorTelemetry(this);
    const { observer } = this.telemetry;
    const { budget = DEFAULT_BUDGET, profilesHeap = DEFAULT_PROFILES_HEAP } = options;
    this.cluster = new Cluster(connection, { budget, profilesHeap, log, observer });
    this.#recorder = new EventRecorder(connection, {
      controller: CONTROLLER,
      instance: identity,
      log,
      onSuppressed: (count) => observer.suppressed(count),
    });
    this.deletions = (options.holdDeletions ?? true) ? this.#makeDeletionGuard() : null;
    this.plan = new PlanLoop({
      deletions: this.deletions,
      cluster: this.cluster,
      log,
      observer,
      searchDomains: (pod) => this.#searchDomains(pod),
      onPlanChanged: (profile) => this.#status.enqueue(profile),
      onProfileSeen: (profile) => this.#profileSeen(profile),
      onCompiled: (seconds, failed) => observer.compiled(seconds, failed),
    });
    const reports = new Reports({
      plan: this.plan,
      records: () => this.records,
      totals: this.#totals,
      recorder: this.#recorder,
      onChanged: (profile) => this.#status.enqueue(profile),
      onPackets: (...counts) => observer.packets(...counts),
      onLost: (events) => observer.lost(events),
      onClamped: (what) => observer.clamped(what),
    });
    this.records = new AgentRecords(reports);
    this.#status = this.#makeStatusWriter();
    this.observers = this.#makeObservers();
    this.server = this.#makeServer();
    this.observeServer = options.observeAddress === undefined ? null : this.#makeObserveServer(options.observeAddress);
    this.plan.nodes.subscribe((node) => this.server.notify(node));
    this.plan.enforcing.subscribe(() => this.server.notifyAll());
    this.#election = election === null ? null : this.#makeElection(election);
    this.#forgetting = setInterval(() => this.#forgetNodes(), FORGET_CHECK_MS);
    this.#forgetting.unref();
  }

  get isLeader(): boolean {
    return this.#leading;
  }

  get statusQueue() {
    return this.#status.controller;
  }

  /** Why this replica could not take over now, in words; none: it could, or has. */
  get problems(): string[] {
    const unsynced = this.cluster.informers.filter(({ isSynced }) => !isSynced);
    if (unsynced.length > 0) return unsynced.map(({ plural, problem }) => `not read yet: ${plural}${whyText(problem)}`);
    return this.plan.isSettled ? [] : ["not everything is planned yet"];
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
    this.plan.start(this.#ending.signal).then(
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
    await this.#election?.stop();
    this.#servingSince = null;
    await this.observeServer?.close();
    await this.server.close();
    await this.plan.stop();
    await this.cluster.stop();
    this.#options.connection.close();
  }

  #settled(): void {
    if (!this.plan.isSettled) return;
    this.#options.log.info({ pods: this.plan.pods.size, profiles: this.plan.profiles.size }, "all is planned");
    if (this.#election === null) this.#lead(true);
    else this.#election.start();
  }

  #lead(leading: boolean): void {
    this.#leading = leading;
    this.#servingSince = leading ? steadyNow() : null;
    // Again once agents that have not connected by then are worth telling of.
    if (leading) {
      this.#status.lead();
      setTimeout(() => this.#status.enqueueAll(), SERVING_GRACE_MS + 100).unref();
      return;
    }
    this.observers.endAll("this operator does not lead any more");
    this.server.dismiss();
  }

  #searchDomains(pod: PodRecord): string[] {
    const agent = this.records.get(pod.nodeName);
    const state = agent?.pods.get(pod.uid);
    if (state?.searchDomainsKnown) return [...state.searchDomains];
    return searchDomainsOf(pod, this.#options.clusterDomain, agent?.searchDomains ?? []);
  }

  #profileSeen(profile: StoredProfile): void {
    const { key, generation, errors, overBudget } = profile;
    if (overBudget !== null) {
      this.#options.log.warn({ profile: key, generation }, `a profile is too much for its namespace: ${overBudget}`);
      if (this.#leading) recordOverBudget(this.#recorder, profile, overBudget);
      return;
    }
    if (errors.count === 0) {
      this.#options.log.info({ profile: key, generation }, "a profile is valid");
      return;
    }
    const { texts } = errors;
    this.#options.log.warn({ profile: key, generation, errors: texts }, "a profile is not valid");
    if (this.#leading) recordInvalid(this.#recorder, profile, texts);
  }

  #forgetNodes(): void {
    for (const { node, connected, lastSeen } of [...this.records.all()]) {
      const isGone = !connected && steadyNow() - lastSeen > FORGET_MS;
      if (isGone && this.plan.nodes.bindings(node).size === 0) this.records.forget(node);
    }
  }

  #makeDeletionGuard(): DeletionGuard {
    const { connection, log } = this.#options;
    return new DeletionGuard({
      connection,
      log,
      onHeld: (profile, why) => {
        log.error({ profile }, `a profile has disappeared and stays in force, because ${why}`);
        if (this.#leading) recordHeld(this.#recorder, profile, why);
      },
    });
  }

  #makeStatusWriter(): StatusWriter {
    const { connection, log } = this.#options;
    const { observer } = this.telemetry;
    const unjudged = new UnjudgedPods(this.#recorder);
    return new StatusWriter({
      connection,
      log,
      observer,
      profiles: this.plan.profiles,
      readStatus: (key) => this.cluster.profiles.readStatus(key),
      planner: this.plan.planner,
      records: this.records,
      totals: this.#totals,
      servingSince: () => this.#servingSince,
      certificateExpiresAt: () => this.server.certificateExpiresAt,
      weaknessesOf: (pod) => this.plan.pods.get(pod)?.weaknesses ?? [],
      onUnjudged: (pods) => unjudged.found(pods),
      onWritten: (failed) => observer.statusWritten(failed),
      onEnforced: (seconds) => observer.enforced(seconds),
    });
  }

  #makeServer(): DistributionServer {
    const { connection, version, listenAddress, tls, agentServiceAccount, log } = this.#options;
    return new DistributionServer({
      version,
      address: listenAddress,
      tls,
      log,
      records: this.records,
      watchers: this.observers,
      observer: this.telemetry.observer,
      onDropped: (reason) => this.telemetry.observer.dropped("agents", reason),
      wanted: (node) => ({
        bindings: this.plan.nodes.snapshot(node),
        tables: this.plan.tables.tables,
        enforcing: this.plan.enforcing.names,
      }),
      isPlanning: () => this.plan.isPlanning,
      agents: () => Math.max(this.plan.nodes.size, this.server.sessions),
      notServing: () => this.#notServing(),
      authentication: {
        serviceAccount: agentServiceAccount,
        review: (token) => reviewToken(connection, token, TOKEN_AUDIENCE),
        nodeOfPod: (namespace, name, uid) => {
          const pod = this.plan.pods.get(`${namespace}/${name}`);
          return pod?.uid === uid && pod.nodeName !== "" ? pod.nodeName : null;
        },
      },
    });
  }

  #makeObservers(): ObserverHub {
    const sources = { plan: this.plan, records: () => this.records, servingSince: () => this.#servingSince };
    return new ObserverHub({ describe: (request) => describePod(request, sources) });
  }

  #makeObserveServer(address: string): ObserveServer {
    const { connection, tls, log } = this.#options;
    return new ObserveServer({
      address,
      tls,
      hub: this.observers,
      access: observerAccess(connection),
      notServing: () => this.#notServing(),
      onRequest: (result) => this.telemetry.observer.observation(result),
      onDropped: (reason) => this.telemetry.observer.dropped("observe", reason),
      log,
    });
  }

  #notServing(): { message: string; leader: string } | null {
    if (this.#servingSince !== null) return null;
    if (!this.plan.isSettled) return { message: "the operator is starting; connect again", leader: "" };
    const leader = this.#election?.leader ?? null;
    const isOther = leader !== null && leader.identity !== this.#options.identity;
    const message = isOther
      ? `this operator does not lead; ${leader.identity} does`
      : "no operator leads at the moment";
    return { message, leader: isOther ? leader.address : "" };
  }

  #makeElection({ namespace, leaseName, ...times }: ElectionOptions): LeaderElection {
    const { connection, identity, advertiseAddress, log } = this.#options;
    return new LeaderElection(connection, {
      namespace,
      name: leaseName,
      identity,
      address: advertiseAddress,
      ...times,
      log,
      onStarted: () => this.#lead(true),
      onStopped: () => this.#lead(false),
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
