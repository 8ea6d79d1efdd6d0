/** What is in force, read from the pins and the state file alone: it needs no agent, and disturbs none. */
import { join } from "node:path";
import { processWeaknesses, type Weakness } from "../../api/pods/weaknesses.ts";
import { type Action, type Effect, effectOf } from "../../api/types.ts";
import { GateFlag, PATH_ID_USER, WorkloadFlag, type Workload as WorkloadValue } from "../../gen/abi.gen.ts";
import type { RuleTable } from "../../policy/table/tables.ts";
import { ownNamespaceInum } from "../discovery/namespaces/bound-namespaces.ts";
import { seenProcesses } from "../discovery/seen-processes.ts";
import { ERRNO, isKernelError } from "../ffi/errno.ts";
import { listInterfaces } from "../ffi/libc.ts";
import { listPins } from "../kernel/bpffs.ts";
import { LayoutError } from "../kernel/codec.ts";
import { listClassifiers } from "../kernel/links/classifiers.ts";
import { type PeerRedirect, PeerRedirects } from "../kernel/peer-redirects.ts";
import { type Maps, openMaps } from "../kernel/typed-maps.ts";
import { UNGUARDED } from "../netlink/errors.ts";
import { attachedHookSets, type HookSets } from "./attach/function-hooks.ts";
import { type GatedNamespace, readGated } from "./attach/gate.ts";
import { PinsIncompatibleError, PinsIncompleteError } from "./errors.ts";
import { listedName } from "./images/container-files.ts";
import { type UnseenExecutable, unseenExecutables } from "./images/unseen.ts";
import { type CountedError, readKernelErrors } from "./kernel-errors.ts";
import { runningAgent } from "./state/lock.ts";
import { type AgentState, loadState, type WorkloadState } from "./state/state.ts";
import { type ExhaustedClaim, exhaustedClaims } from "./tables/claims.ts";
import { readCounters, type TrafficCount } from "./tables/counters.ts";
import { Instances } from "./tables/instances.ts";
import { type MapFill, mapFills } from "./tables/map-fill.ts";
import { type FullShare, fullShares } from "./tables/shares.ts";
import { actionsOf } from "./tables/workload-value.ts";

export interface InterfaceStatus {
  name: string;
  ifindex: number;
  /** Our programs are on both of its hooks; null where it cannot be seen from here. */
  attached: boolean | null;
}

export interface WorkloadStatus {
  id: number;
  name: string;
  namespace: string;
  labels: Record<string, string>;
  state: Effect | "partly" | "unrestricted" | "pending" | "unknown";
  interfaces: InterfaceStatus[];
  profiles: string[];
  actions: Action[];
  /** Content hash of the rule table, null without one. */
  table: string | null;
  /** RFC 3339. */
  since: string | null;
  /** Listed paths that are links, and the files that they lead to: every name of a file shares its rights. */
  sharedFiles: { listed: string; file: string }[];
  error: { code: string; message: string } | null;
  /** What processes in it have beyond need, the worst first. */
  weaknesses: Weakness[];
  /** What is not guarded, or cannot be known, although the workload as a whole is guarded. */
  problems: { code: string; message: string }[];
  /** Listed executables of which no process runs, and none has used the network. */
  unseen: UnseenExecutable[];
  traffic: TrafficCount[];
  /** What it had its share of, and wanted more. */
  full: FullShare[];
}

export interface NodeStatus {
  pinRoot: string;
  /** Something is pinned there. */
  present: boolean;
  /** Of the agent that is alive, null if there is none. */
  agentPid: number | null;
  workloads: WorkloadStatus[];
  /** What is pinned for jobs for which there are several ways; null: nothing. */
  hookSets: HookSets;
  /** Null: no gate is shut. */
  gate: GateStatus | null;
  /** Programs of others that can put packets into workloads past what judges them; null: not known. */
  peerRedirects: PeerRedirect[] | null;
  maps: MapFill[];
  /** What has failed in the kernel side, how often, and where. */
  errors: CountedError[];
  /** What kept this report from being whole. */
  problems: string[];
}

export interface GateStatus {
  /** Milliseconds after which it lets a namespace through that is not admitted; null: never. */
  opensAfter: number | null;
  /** Network namespaces that are guarded, whose packets pass. */
  admitted: number;
  /** Those that are not. */
  waiting: GatedNamespace[];
}

const NS_PER_MS = 1_000_000n;
/** Looks at a pin root. @throws KernelError; PinsIncompatibleError if another version has pinned there */
export function inspectNode(pinRoot: string, stateDirectory: string): NodeStatus {
  const status: NodeStatus = {
    pinRoot,
    present: false,
    agentPid: runningAgent(stateDirectory),
    workloads: [],
    hookSets: attachedHookSets(listPins(join(pinRoot, "links"))),
    gate: null,
    peerRedirects: new PeerRedirects().list(),
    maps: [],
    errors: [],
    problems: [],
  };
  using maps = openIfThere(pinRoot);
  if (maps === null) return status;
  const state = readState(pinRoot, stateDirectory, status.problems);
  const visible = state === null || state.netnsInum === ownNamespaceInum();
  if (!visible) {
    status.problems.push(
      `the interfaces are in network namespace ${state.netnsInum}, not in this one; run status there (nsenter --net=...)`,
    );
  }
  return {
    ...status,
    present: true,
    workloads: inspectWorkloads(maps, state, visible ? lookAtInterfaces(pinRoot) : null),
    gate: inspectGate(maps),
    maps: mapFills(maps),
    errors: readKernelErrors(maps).filter(({ count }) => count > 0),
  };
}

function inspectGate(maps: Maps): GateStatus | null {
  const { flags = 0, timeout = 0n } = maps.gate.get(0) ?? {};
  if ((flags & GateFlag.CLOSED) === 0) return null;
  const opens = (flags & GateFlag.OPENS_AFTER_TIMEOUT) !== 0;
  return {
    opensAfter: opens ? Number(timeout / NS_PER_MS) : null,
    admitted: maps.admitted.count(),
    waiting: readGated(maps),
  };
}

function openIfThere(pinRoot: string): Maps | null {
  try {
    return openMaps(pinRoot);
  } catch (cause) {
    if (isKernelError(cause, ERRNO.ENOENT) && listPins(pinRoot).length === 0) return null;
    if (isKernelError(cause, ERRNO.ENOENT)) throw new PinsIncompleteError(pinRoot, { cause });
    if (cause instanceof LayoutError) throw new PinsIncompatibleError(pinRoot, { cause });
    throw cause;
  }
}

function readState(pinRoot: string, directory: string, problems: string[]): AgentState | null {
  try {
    const state = loadState(directory, pinRoot);
    if (state === null)
      problems.push(`there is no state file in ${directory}: names of workloads and profiles are not known`);
    return state;
  } catch (cause) {
    problems.push(cause instanceof Error ? cause.message : String(cause));
    return null;
  }
}

/** What the kernel has, with the names that the state file has for it. */
function inspectWorkloads(maps: Maps, state: AgentState | null, seen: SeenInterfaces | null): WorkloadStatus[] {
  const instances = new Instances(maps);
  const path = pathReader(maps);
  const traffic = Map.groupBy(readCounters(maps.counters, path), ({ workloadId }) => workloadId);
  const running = Map.groupBy([...maps.processes.entries()], ([, { netnsInum }]) => netnsInum);
  const full = fullShares(maps.shares);
  const exhausted = exhaustedClaims(maps.claims);
  const byId = Map.groupBy(instances.interfaces(), (ifindex) => instances.current(ifindex)?.id ?? 0);
  const namespaces = instances.interfaces().map((ifindex) => instances.current(ifindex)?.netnsInum ?? 0);
  const processes = seenProcesses(new Set(namespaces));
  return [...byId].map(([id, ifindexes]) => {
    const known = state?.workloads.find((workload) => workload.id === id);
    const value = instances.current(ifindexes[0] ?? 0);
    const table = tableOf(known, state);
    const executed = (running.get(value?.netnsInum ?? 0) ?? []).flatMap(([, process]) => [
      path(process.pathId),
      path(process.scriptId),
    ]);
    const counted = (traffic.get(id) ?? []).map((count) => count.path);
    return {
      ...describeKnown(id, known, table),
      unseen: unseenOf(table, known, new Set([...executed, ...counted].filter((text) => text !== null))),
      state: value === null ? "unknown" : stateOf(value, known?.problems ?? []),
      interfaces: ifindexes.map((ifindex) => interfaceStatus(ifindex, known, seen)),
      traffic: traffic.get(id) ?? [],
      weaknesses: processWeaknesses(processes.get(value?.netnsInum ?? 0) ?? []),
      full: [...(full.get(id) ?? []), ...claimsOf(exhausted, value?.netnsInum)],
    };
  });
}

function tableOf(known: WorkloadState | undefined, state: AgentState | null): RuleTable | null {
  return state?.tables.find((entry) => entry.id === known?.tableId)?.table ?? null;
}

function unseenOf(table: RuleTable | null, known: WorkloadState | undefined, seen: ReadonlySet<string>) {
  const files = Object.entries(known?.files ?? {}).map(
    ([name, file]) => [name.slice(name.indexOf("/")), file] as const,
  );
  const listed = (table?.binaries ?? []).map(({ path }) => path);
  return unseenExecutables(listed, seen, new Map(files));
}

function claimsOf(claims: readonly ExhaustedClaim[], owner: number | undefined): FullShare[] {
  return claims.filter(({ netnsInum }) => netnsInum === owner).map(({ netnsInum: _, ...share }) => share);
}

function describeKnown(id: number, known: WorkloadState | undefined, table: RuleTable | null) {
  return {
    id,
    name: known?.name ?? `workload-${id}`,
    namespace: known?.namespace ?? "",
    labels: known?.labels ?? {},
    profiles: table?.profiles ?? [],
    actions: table?.actions ?? [],
    table: table?.hash ?? null,
    since: known?.since ?? null,
    error: known?.error ?? null,
    problems: known?.problems ?? [],
    sharedFiles: sharedFilesOf(known, new Set((table?.binaries ?? []).map(({ path }) => path))),
  };
}

/** The state keeps the links that it has followed, also of paths that are not listed any more: these have no rights to share. */
function sharedFilesOf(known: WorkloadState | undefined, paths: ReadonlySet<string>): WorkloadStatus["sharedFiles"] {
  return Object.entries(known?.files ?? {}).flatMap(([listed, file]) => {
    // For pods the path stands behind the container, for others alone.
    const path = listed.slice(listed.indexOf("/"));
    return path !== file && paths.has(path) ? [{ listed: listedName(listed), file }] : [];
  });
}

/** As the kernel has it, whatever the state file says. */
function stateOf({ flags, mode }: WorkloadValue, problems: WorkloadStatus["problems"]): WorkloadStatus["state"] {
  if ((flags & WorkloadFlag.PENDING) !== 0) return "pending";
  if ((flags & WorkloadFlag.UNRESTRICTED) !== 0) return "unrestricted";
  return problems.some(({ code }) => code === UNGUARDED) ? "partly" : effectOf(actionsOf(mode));
}

interface SeenInterfaces {
  names: Map<number, string>;
  /** Which have programs of ours, and whether on both hooks. */
  attached: Map<number, boolean>;
}

function lookAtInterfaces(pinRoot: string): SeenInterfaces {
  return {
    names: new Map(listInterfaces().map(({ index, name }) => [index, name])),
    attached: new Map(listClassifiers(pinRoot).map(({ ifindex, complete }) => [ifindex, complete])),
  };
}

function interfaceStatus(
  ifindex: number,
  known: WorkloadState | undefined,
  seen: SeenInterfaces | null,
): InterfaceStatus {
  const last = known?.interfaces.find((entry) => entry.ifindex === ifindex)?.ifname ?? `interface ${ifindex}`;
  if (seen === null) return { name: last, ifindex, attached: null };
  return { name: seen.names.get(ifindex) ?? `${last} (gone)`, ifindex, attached: seen.attached.get(ifindex) ?? false };
}

/** Numbers of the agent's are found by their texts only; there are few of them. */
function pathReader(maps: Maps): (id: number) => string | null {
  const ours = new Map<number, string>();
  for (const [{ text }, id] of maps.paths.entries()) if (id >= PATH_ID_USER) ours.set(id, text);
  return (id) => ours.get(id) ?? maps.pathTexts.get(id)?.text ?? null;
}
