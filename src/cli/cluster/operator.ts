/** `portcullis operator`: the controller of a cluster. */

import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { Command, InvalidArgumentError, Option } from "commander";
import { UsageError } from "../../api/errors.ts";
import { jsonText, printableLines } from "../../api/printable.ts";
import { type Endpoints, isLoopback, serveEndpoints } from "../../endpoints/endpoints.ts";
import { reviewAccess } from "../../kube/access/access-review.ts";
import { reviewToken } from "../../kube/access/token-review.ts";
import type { KubeConnection } from "../../kube/connection.ts";
import { guardProcess } from "../../net/confine.ts";
import { formatHostPort, parseHostPort } from "../../net/host-port.ts";
import { Cluster, DEFAULT_PROFILES_HEAP } from "../../operator/cluster/cluster.ts";
import { searchDomainsOf } from "../../operator/cluster/pod-record.ts";
import { Operator } from "../../operator/operator.ts";
import { dryRun, dryRunText } from "../../operator/plan/dry-run.ts";
import { PlanLoop } from "../../operator/plan/plan-loop.ts";
import { type BudgetLimits, DEFAULT_BUDGET } from "../../operator/profiles/budget.ts";
import { createLogger, LOG_LEVELS, type Logger, type LogLevel } from "../../telemetry/logger.ts";
import { endSignal } from "../end-signal.ts";
import { ExitStatus, exitStatusHelp } from "../exit-status.ts";
import { packageVersion } from "../package-version.ts";
import { formatDuration, parseDuration } from "../values/durations.ts";
import { addConnectionOptions, type ConnectionOptions, connect } from "./connection.ts";

interface OperatorCommandOptions extends ConnectionOptions {
  namespace: string;
  listenAddress: string;
  advertiseAddress?: string;
  observeAddress?: string;
  tlsCert?: string;
  tlsKey?: string;
  insecure: boolean;
  agentServiceAccount: string;
  clusterDomain: string;
  probeAddress: string;
  metricsAddress: string;
  metricsAuthentication: "token" | "none";
  leaderElection: boolean;
  leaseName: string;
  leaseDuration: number;
  renewDeadline: number;
  retryPeriod: number;
  holdDeletions: boolean;
  budgetProfiles: number;
  budgetBytes: number;
  budgetRules: number;
  budgetSelectors: number;
  budgetEdits: number;
  dryRun: boolean;
  output: "text" | "json";
  logLevel?: LogLevel;
}

const EXAMPLES = `
Examples:
  portcullis operator --tls-cert /tls/tls.crt --tls-key /tls/tls.key
  portcullis operator --kubeconfig ~/.kube/config --dry-run
  portcullis operator --dry-run -o json | jq .nodes

Agents connect to --listen-address over TLS, with a service-account token of audience
portcullis-operator. /metrics names profiles of all namespaces: it is served over TLS to whoever
may get the path /metrics, by their token, and on a loopback address to all who reach that.
Replicas elect a leader, and send agents to it.

${exitStatusHelp({
  0: "ended by a signal; --dry-run: every profile is accepted and can be compiled",
  1: "it could not start, or not reach the cluster; --dry-run: some profile is refused",
})}`;

function addDuration(command: Command, flags: string, description: string, milliseconds: number): void {
  command.addOption(
    new Option(flags, description).argParser(parseDuration).default(milliseconds, formatDuration(milliseconds)),
  );
}

function addNumber(command: Command, flags: string, description: string, number: number): void {
  command.addOption(new Option(flags, description).argParser(parseCount).default(number));
}

/** @throws InvalidArgumentError */
function parseCount(text: string): number {
  if (!/^[1-9][0-9]{0,11}$/.test(text)) throw new InvalidArgumentError("It has to be a whole number above 0.");
  return Number(text);
}

export function operatorCommand(): Command {
  const command = addConnectionOptions(
    new Command("operator")
      .summary("validate and compile a cluster's profiles, and push them to the agents")
      .description(
        "Watches the SecurityProfiles and pods of a cluster, sends each node's agent its rules, and writes status.",
      ),
  )
    .option(
      "--namespace <name>",
      "where the operator and its Lease are",
      process.env.POD_NAMESPACE ?? "portcullis-system",
    )
    .option("--listen-address <address>", "where agents connect", ":8443")
    .option(
      "--advertise-address <address>",
      "where agents find this replica, host:port (POD_IP and the port, if it is set)",
    )
    .option(
      "--observe-address <address>",
      "where `kubectl portcullis observe` connects, host:port or :port; the same port on all replicas (default: nowhere)",
    )
    .option("--tls-cert <file>", "certificate chain for agents, PEM; read again when it changes")
    .option("--tls-key <file>", "its key, PEM")
    .option("--insecure", "serve agents without TLS; on one machine only, since tokens can be intercepted", false)
    .option(
      "--agent-service-account <name>",
      "service account of the agents, in the same namespace",
      "portcullis-agent",
    )
    .option("--cluster-domain <domain>", "domain of the cluster's DNS", "cluster.local")
    .option("--probe-address <address>", "where /healthz and /readyz are served", ":8081")
    .option("--metrics-address <address>", "where /metrics is served", ":8080")
    .addOption(
      new Option(
        "--metrics-authentication <how>",
        "of readers of metrics: token, or none for anyone who reaches the address",
      )
        .choices(["token", "none"])
        .default("token"),
    )
    .option("--no-leader-election", "this is the only replica")
    .option("--lease-name <name>", "Lease by which replicas elect a leader", "portcullis-operator");
  addDuration(command, "--lease-duration <time>", "time without renewal after which another replica leads", 15_000);
  addDuration(command, "--renew-deadline <time>", "time without success after which the leader gives up", 10_000);
  addDuration(command, "--retry-period <time>", "between tries", 2_000);
  command.option(
    "--no-hold-deletions",
    "drop profiles that are deleted in large numbers or with their definition; by default they stay enforced until they are back",
  );
  addNumber(command, "--budget-profiles <count>", "profiles that one namespace may have", DEFAULT_BUDGET.profiles);
  addNumber(command, "--budget-bytes <count>", "their size as JSON, in bytes", DEFAULT_BUDGET.bytes);
  addNumber(command, "--budget-rules <count>", "prefixes, names, ports and peers in them", DEFAULT_BUDGET.rules);
  addNumber(command, "--budget-selectors <count>", "selectors of pods among these", DEFAULT_BUDGET.selectors);
  addNumber(command, "--budget-edits <count>", "edits a second of one namespace", DEFAULT_BUDGET.editsPerSecond);
  command
    .option("--dry-run", "print what would be sent to the nodes, and end; changes nothing", false)
    .addOption(new Option("-o, --output <format>", "of --dry-run").choices(["text", "json"]).default("text"));
  command.addOption(
    new Option(
      "--log-level <level>",
      "diagnostics on standard error (default: info; error with --dry-run, which ends with what is wrong)",
    ).choices(LOG_LEVELS),
  );
  return command.addHelpText("after", EXAMPLES).action((options: OperatorCommandOptions) => runOperator(options));
}

async function runOperator(options: OperatorCommandOptions): Promise<void> {
  const log = createLogger({ level: options.logLevel ?? (options.dryRun ? "error" : "info") });
  const version = packageVersion();
  checkTimes(options);
  const tls = options.dryRun ? null : tlsOf(options);
  const connection = await connect(options);
  log.info({ server: connection.server, version }, options.dryRun ? "reading the cluster" : "the operator starts");
  if (options.dryRun) await runDry(connection, options, log);
  else await serve(connection, version, tls, options, log);
}

async function serve(
  connection: KubeConnection,
  version: string,
  tls: { certificateFile: string; keyFile: string } | null,
  options: OperatorCommandOptions,
  log: Logger,
): Promise<void> {
  const { namespace, leaseName, leaseDuration, renewDeadline, retryPeriod } = options;
  const operator = new Operator({
    connection,
    version,
    identity: `${hostname()}_${randomBytes(4).toString("hex")}`,
    listenAddress: normalizedAddress(options.listenAddress),
    advertiseAddress: advertised(options),
    tls,
    ...(options.observeAddress === undefined ? {} : { observeAddress: options.observeAddress }),
    agentServiceAccount: `${namespace}/${options.agentServiceAccount}`,
    clusterDomain: options.clusterDomain,
    holdDeletions: options.holdDeletions,
    budget: budgetOf(options),
    profilesHeap: profilesHeap(),
    election: options.leaderElection ? { namespace, leaseName, leaseDuration, renewDeadline, retryPeriod } : null,
    log,
  });
  guardProcess({ log, onConfined: (what) => operator.telemetry.meter.confined(what), exit: () => process.exit(1) });
  const isGuarded = options.metricsAuthentication === "token" && !isLoopback(options.metricsAddress);
  let endpoints: Endpoints | null = null;
  try {
    // The cluster is read while the endpoints' thread begins.
    await operator.start();
    endpoints = await serveEndpoints({
      probeAddress: options.probeAddress,
      metricsAddress: options.metricsAddress,
      registry: operator.telemetry.registry,
      ready: () => operator.problems,
      collect: () => operator.telemetry.collect(operator),
      mayRead: isGuarded ? (token) => mayReadMetrics(connection, token) : null,
      tls: isGuarded ? tls : null,
      onDropped: (reason) => operator.telemetry.meter.dropped("metrics", reason),
      log,
    });
    const signal = await endSignal();
    log.info({ signal }, "the operator ends; what is in force on the nodes stays so");
  } finally {
    await endAll(operator, endpoints, log);
  }
}

/** As of the API server's own metrics. */
async function mayReadMetrics(connection: KubeConnection, token: string): Promise<boolean> {
  const user = await reviewToken(connection, token, null);
  return user !== null && (await reviewAccess(connection, user, { verb: "get", path: "/metrics" })).allowed;
}

/** An API server that is away must not keep a pod from ending. */
const END_MS = 10_000;

/** Also after a failed start: a process that has said why it cannot work and lives on would not be started again. */
async function endAll(operator: Operator, endpoints: Endpoints | null, log: Logger): Promise<void> {
  setTimeout(() => {
    log.warn({}, "the operator did not end in time");
    process.exit(1);
  }, END_MS).unref();
  await operator.stop();
  await endpoints?.close();
}

async function runDry(connection: KubeConnection, options: OperatorCommandOptions, log: Logger): Promise<void> {
  const cluster = new Cluster(connection, { budget: budgetOf(options), profilesHeap: profilesHeap(), log });
  const loop = new PlanLoop({
    cluster,
    searchDomains: (pod) => searchDomainsOf(pod, options.clusterDomain, []),
    deletions: null,
    log,
  });
  const ended = new AbortController();
  cluster.start();
  try {
    // A cluster that cannot be read is reported once here; a serving operator would wait for it.
    await Promise.race([loop.start(ended.signal), firstProblem(cluster)]);
    const result = dryRun(loop.plan);
    process.stdout.write(options.output === "json" ? `${jsonText(result, 2)}\n` : printableLines(dryRunText(result)));
    const isGood = result.profiles.every(({ valid, problem }) => valid && problem === "");
    process.exitCode = isGood ? ExitStatus.GOOD : ExitStatus.NO;
  } finally {
    ended.abort();
    await loop.stop();
    await cluster.stop();
    connection.close();
  }
}

const PROBLEM_CHECK_MS = 200;
/** A problem that lasts for so many looks is one. */
const PROBLEM_LOOKS = 15;

async function firstProblem(cluster: Cluster): Promise<never> {
  for (let looks = 0; ; looks += 1) {
    await new Promise((settle) => setTimeout(settle, PROBLEM_CHECK_MS).unref());
    const failing = cluster.informers.find(({ isSynced, problem }) => !isSynced && problem !== null);
    if (failing === undefined) looks = 0;
    else if (looks >= PROBLEM_LOOKS) throw failing.problem;
  }
}

function tlsOf({ tlsCert, tlsKey, insecure }: OperatorCommandOptions): {
  certificateFile: string;
  keyFile: string;
} | null {
  if (insecure && (tlsCert ?? tlsKey) !== undefined)
    throw new UsageError("--insecure goes with neither --tls-cert nor --tls-key");
  if (insecure) return null;
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new UsageError(
      "agents send tokens, so they are served over TLS: give --tls-cert and --tls-key (or --insecure, to try it out)",
    );
  }
  return { certificateFile: tlsCert, keyFile: tlsKey };
}

function budgetOf(options: OperatorCommandOptions): BudgetLimits {
  return {
    profiles: options.budgetProfiles,
    bytes: options.budgetBytes,
    rules: options.budgetRules,
    selectors: options.budgetSelectors,
    editsPerSecond: options.budgetEdits,
  };
}

/** Of the container's memory the profiles' thread may have a third; the main thread has its share by --max-old-space-size-percentage. */
const PROFILES_SHARE = 0.33;
/** What Node gives where there is no limit: more memory than any machine has. */
const UNLIMITED_BYTES = 2 ** 50;

function profilesHeap(): number {
  const limit = process.constrainedMemory();
  if (limit === 0 || limit > UNLIMITED_BYTES) return DEFAULT_PROFILES_HEAP;
  return Math.max(64, Math.floor((limit * PROFILES_SHARE) / 2 ** 20));
}

function checkTimes({ leaseDuration, renewDeadline, retryPeriod }: OperatorCommandOptions): void {
  if (renewDeadline >= leaseDuration) throw new UsageError("--renew-deadline has to be less than --lease-duration");
  if (retryPeriod >= renewDeadline) throw new UsageError("--retry-period has to be less than --renew-deadline");
}

/** gRPC does not know an address without a host. */
function normalizedAddress(address: string): string {
  return address.startsWith(":") ? `[::]${address}` : address;
}

function advertised({ advertiseAddress, listenAddress }: OperatorCommandOptions): string {
  const port = Number(listenAddress.slice(listenAddress.lastIndexOf(":") + 1));
  if (advertiseAddress === undefined) return formatHostPort({ host: process.env.POD_IP ?? hostname(), port });
  const address = parseHostPort(advertiseAddress);
  if (address === null) {
    throw new UsageError(`--advertise-address: ${advertiseAddress} is not an address; write host:port`);
  }
  return formatHostPort(address);
}
