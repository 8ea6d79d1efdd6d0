/**
 * `portcullis uninstall`: takes enforcement off every node. Programs and pins outlive the agents on purpose, so that an
 * upgrade has no gap; before agents are removed for good, they are made to take everything with them.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "commander";
import { PortcullisError } from "../../api/errors.ts";
import type { KubeConnection } from "../../kube/connection.ts";
import { isNotFound } from "../../kube/errors.ts";
import { collectionPath, objectPath, type ResourceKind } from "../../kube/resources.ts";
import { createLogger, type Logger } from "../../telemetry/logger.ts";
import { exitStatusHelp } from "../exit-status.ts";
import { formatDuration, parseDuration } from "../values/durations.ts";
import { addConnectionOptions, type ConnectionOptions, connect } from "./connection.ts";

interface UninstallOptions extends ConnectionOptions {
  namespace: string;
  daemonset: string;
  timeout: number;
}

/** The parts of a DaemonSet that matter here. */
interface DaemonSet {
  metadata: { generation: number };
  spec: { template: { spec: { containers: Record<string, unknown>[] } } };
  status?: {
    observedGeneration?: number;
    desiredNumberScheduled?: number;
    updatedNumberScheduled?: number;
    numberAvailable?: number;
  };
}

const DAEMON_SETS: ResourceKind = {
  group: "apps",
  version: "v1",
  plural: "daemonsets",
  kind: "DaemonSet",
  namespaced: true,
};
const PODS: ResourceKind = { group: "", version: "v1", plural: "pods", kind: "Pod", namespaced: true };
const AGENT_CONTAINER = "agent";
/** A pod that was to end this many milliseconds ago and is still there is on a node whose kubelet does not answer. */
const AWAY_MS = 60_000;
const POLL_MS = 1_000;
const DEFAULT_TIMEOUT_MS = 300_000;

const EXIT_STATUS = `
${exitStatusHelp({
  0: "enforcement is off on every node that answers, or there are no agents",
  1: "some node was not ready in time, or the cluster cannot be asked",
})}`;

/** Some nodes were not reached in time. Code PC_UNINSTALL. */
export class UninstallError extends PortcullisError {
  constructor(message: string) {
    super("PC_UNINSTALL", message);
  }
}

export function uninstallCommand(): Command {
  return addConnectionOptions(
    new Command("uninstall")
      .summary("end enforcement on every node of a cluster")
      .description(
        "Ends enforcement in a cluster: every agent removes its programs from the interfaces, and the command waits until all " +
          "have. The chart does this before it is uninstalled. Agents are not deleted: that is for whatever installed them.",
      ),
  )
    .option("--namespace <name>", "where the agents are", process.env.POD_NAMESPACE ?? "portcullis-system")
    .option("--daemonset <name>", "of the agents", "portcullis-agent")
    .option(
      "--timeout <time>",
      `how long to wait for the nodes (default: ${formatDuration(DEFAULT_TIMEOUT_MS)})`,
      parseDuration,
    )
    .addHelpText("after", EXIT_STATUS)
    .action((options: UninstallOptions) => runUninstall(options));
}

async function runUninstall(options: UninstallOptions): Promise<void> {
  const { namespace, daemonset, timeout } = options;
  const log = createLogger();
  const connection = await connect(options);
  try {
    await uninstall(connection, { namespace, daemonset, timeout: timeout ?? DEFAULT_TIMEOUT_MS }, log);
  } finally {
    connection.close();
  }
}

/**
 * Makes the agents' pods ones that detach, and waits for all of them.
 * Nodes that are away are named, and not waited for.
 * @throws UninstallError if some have not in time; ApiError, UnreachableError
 */
export async function uninstall(
  connection: KubeConnection,
  { namespace, daemonset, timeout }: Pick<UninstallOptions, "namespace" | "daemonset" | "timeout">,
  log: Logger,
): Promise<void> {
  const path = objectPath(DAEMON_SETS, namespace, daemonset);
  const before = await readDaemonSet(connection, path);
  if (before === null) {
    log.warn({ namespace, daemonset }, "there are no agents of this name; nothing to take off");
    return;
  }
  const agent = before.spec.template.spec.containers.find(({ name }) => name === AGENT_CONTAINER);
  if (agent === undefined)
    throw new UninstallError(`DaemonSet ${namespace}/${daemonset} has no container ${AGENT_CONTAINER}`);
  const patched = (await connection.request("PATCH", path, {
    contentType: "application/strategic-merge-patch+json",
    body: detachingPatch(agent),
  })) as DaemonSet;
  const away = () => nodesAway(connection, namespace, daemonset);
  await allDetached(connection, path, patched.metadata.generation, timeout, log, away);
}

interface Pod {
  metadata: { deletionTimestamp?: string; ownerReferences?: { kind: string; name: string }[] };
  spec: { nodeName?: string };
}

/** Nodes with an agent that was deleted long ago and is still there: the node does not answer, so nothing ends it. */
async function nodesAway(connection: KubeConnection, namespace: string, daemonset: string): Promise<string[]> {
  const { items } = (await connection.request("GET", collectionPath(PODS, namespace))) as { items: Pod[] };
  const isAgent = ({ metadata }: Pod) =>
    metadata.ownerReferences?.some(({ kind, name }) => kind === "DaemonSet" && name === daemonset) === true;
  const isLate = ({ metadata: { deletionTimestamp } }: Pod) =>
    deletionTimestamp !== undefined && Date.now() - Date.parse(deletionTimestamp) > AWAY_MS;
  return items.filter((pod) => isAgent(pod) && isLate(pod)).map(({ spec }) => spec.nodeName ?? "");
}

/** What is done before the container starts is done to the end: the pod is available only after that. */
function detachingPatch(agent: Record<string, unknown>) {
  const { livenessProbe: _live, readinessProbe: _ready, ports: _ports, ...rest } = agent;
  return {
    spec: {
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: "100%", maxSurge: 0 } },
      template: {
        spec: {
          initContainers: [{ ...rest, name: "detach", args: ["detach", "--all"] }],
          containers: [
            { name: AGENT_CONTAINER, args: ["detach", "--all", "--stay"], livenessProbe: null, readinessProbe: null },
          ],
        },
      },
    },
  };
}

async function allDetached(
  connection: KubeConnection,
  path: string,
  generation: number,
  timeout: number,
  log: Logger,
  away: () => Promise<string[]>,
): Promise<void> {
  const end = Date.now() + timeout;
  for (;;) {
    const { status } = (await readDaemonSet(connection, path)) ?? {};
    if (status === undefined) return;
    const desired = status.desiredNumberScheduled ?? 0;
    const seen = (status.observedGeneration ?? 0) >= generation;
    const done = seen ? Math.min(status.updatedNumberScheduled ?? 0, status.numberAvailable ?? 0) : 0;
    if (seen && done >= desired) {
      log.info({ nodes: desired }, "enforcement is off on every node");
      return;
    }
    const absent = seen ? await away() : [];
    if (absent.length > 0 && done + absent.length >= desired) {
      log.warn(
        { nodes: absent },
        "enforcement is off on every node that answers. These do not: what is in force there stays so until they restart, " +
          "or `portcullis detach --all` is run on them",
      );
      return;
    }
    if (Date.now() >= end) {
      throw new UninstallError(
        `${desired - done} of ${desired} nodes have not taken enforcement off in time; look at their agents' pods, or run ` +
          "`portcullis detach --all` on these nodes",
      );
    }
    await sleep(POLL_MS);
  }
}

async function readDaemonSet(connection: KubeConnection, path: string): Promise<DaemonSet | null> {
  try {
    return (await connection.request("GET", path)) as DaemonSet;
  } catch (cause) {
    if (isNotFound(cause)) return null;
    throw cause;
  }
}
