/** `portcullis agent --operator`: the agent of a node of a cluster. */
import { hostname } from "node:os";
import { UsageError } from "../../api/errors.ts";
import { type Endpoints, serveEndpoints } from "../../endpoints/endpoints.ts";
import { formatHostPort, parseHostPort } from "../../net/host-port.ts";
import { PodWorkloads } from "../../node-agent/discovery/pods/pods.ts";
import { searchDomains } from "../../node-agent/discovery/resolv-conf.ts";
import { readResolvConf } from "../../node-agent/discovery/resolv-conf-file.ts";
import { gateCgroup } from "../../node-agent/enforce/attach/gate.ts";
import { exitNow } from "../../node-agent/ffi/libc.ts";
import { ForeignFiles } from "../../node-agent/foreign-files/foreign-files.ts";
import type { Records } from "../../node-agent/records/records.ts";
import { AgentMetrics } from "../../node-agent/uplink/agent-metrics.ts";
import { ClusterAgent } from "../../node-agent/uplink/cluster-agent.ts";
import { KeptState } from "../../node-agent/uplink/kept-state.ts";
import { PodBindings } from "../../node-agent/uplink/pod-bindings.ts";
import type { HeldState } from "../../protocol/held-state.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { endSignal } from "../end-signal.ts";
import { packageVersion } from "../package-version.ts";
import type { ClusterAgentCommandOptions } from "./cluster-options.ts";
import {
  detachCommand,
  hookSetsOf,
  keptDirectoryOf,
  loggerOf,
  pinsOf,
  settingsOf,
  standardOutput,
} from "./node-options.ts";
import { exportsOf, flowSettings, keepRecords } from "./records-options.ts";
import { serveOf } from "./serve-options.ts";
import { takeOver } from "./take-over.ts";

/** Runs until a signal ends it. */
export async function runClusterAgent(options: ClusterAgentCommandOptions & { operator: string }): Promise<void> {
  const log = loggerOf(options);
  const { pinRoot, stateDirectory } = pinsOf(options);
  const settings = settingsOf(options, flowSettings(options));
  const address = operatorAddress(options);
  const gate = options.gate === undefined ? undefined : gateCgroup(options.gate);
  const exports = await exportsOf(options);
  const hubble = serveOf(options);
  const sink = standardOutput(options.output);
  const metrics = new AgentMetrics();
  const kept = new KeptState(keptDirectoryOf(options));
  const bindings = new PodBindings(loadKept(kept, log), options.podLogs);
  const files = new ForeignFiles({ log });
  const workloads = new PodWorkloads(bindings, {
    files,
    onError: (cause) => log.error({ err: cause }, "cannot look at the pods of this node; trying again"),
  });
  const { replacePins } = options;
  let records: Records | null = null;
  const start = (keeping: Records | null) =>
    new ClusterAgent({
      pinRoot,
      stateDirectory,
      settings,
      workloads,
      files,
      sink,
      startupFailurePolicy: options.startupFailurePolicy ?? "Auto",
      startupTimeout: options.startupTimeout,
      ...(gate === undefined ? {} : { gate }),
      hookSets: hookSetsOf(options),
      log,
      operator: { address, nodeName: options.node, version: packageVersion(), searchDomains: nodeSearchDomains() },
      bindings,
      kept,
      exemptNamespaces: new Set(options.exemptNamespace ?? ["kube-system"]),
      blockNamespaces: new Set(options.blockNamespace ?? []),
      metrics,
      records: keeping,
    });
  const { agent, lock } = takeOver({ pinRoot, stateDirectory, replacePins, log }, () => {
    // Under the lock: no other agent writes there.
    if (records === null) {
      records = keepRecords(options, {
        exports,
        serve: hubble,
        onExports: (states) => metrics.exports(states),
        onLost: (where, count) => metrics.lost(where, count),
        log,
      });
      records?.subscribe((state) => metrics.records(state));
    }
    return start(records);
  });
  let endpoints: Endpoints | null = null;
  try {
    endpoints = await serve(options, metrics, log);
    await endSignal();
  } finally {
    agent.close();
    workloads.close();
    files.close();
    await endpoints?.close();
    await Promise.all([sink.end(), (records as Records | null)?.end()]);
    lock.release();
  }
  log.info({ pinRoot }, `the agent ends; its policies stay in force. Take them off with: ${detachCommand(options)}`);
  exitNow(0);
}

/** A state that cannot be read costs a transfer, not the start. */
function loadKept(kept: KeptState, log: Logger): HeldState | undefined {
  try {
    return kept.load() ?? undefined;
  } catch (cause) {
    log.warn({ err: cause }, "begins without the last known policies; what is in force stays in force");
    return undefined;
  }
}

function operatorAddress({
  operator,
  operatorName,
  caFile,
  tokenFile,
}: ClusterAgentCommandOptions & { operator: string }) {
  const address = parseHostPort(operator);
  if (address === null) throw new UsageError(`--operator: ${operator} is not an address; write host:port`);
  return { target: formatHostPort(address), serverName: operatorName ?? address.host, caFile, tokenFile };
}

function nodeSearchDomains(): string[] {
  const text = readResolvConf("/etc/resolv.conf");
  return text === null ? [] : searchDomains(text, hostname());
}

/** Alive means that the agent's loop answers; ready, that nothing keeps it from taking policies. */
async function serve(
  { probeAddress, metricsAddress }: ClusterAgentCommandOptions,
  metrics: AgentMetrics,
  log: Logger,
): Promise<Endpoints | null> {
  if (probeAddress === undefined && metricsAddress === undefined) return null;
  return serveEndpoints({
    probeAddress: probeAddress ?? null,
    metricsAddress: metricsAddress ?? null,
    registry: metrics.registry,
    ready: () => {
      const reason = metrics.disconnected;
      return reason === null ? [] : [`not connected to the operator: ${reason}`];
    },
    collect: () => metrics.collect(),
    log,
  });
}
