/** Enforcement on a real kernel: programs, maps, tables, gate and state, put together. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { causeText } from "../../api/errors.ts";
import { ClaimKind, SettingFlag } from "../../gen/abi.gen.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { ownNamespaceInum } from "../discovery/namespaces/bound-namespaces.ts";
import { listInterfaces } from "../ffi/libc.ts";
import { listPins } from "../kernel/bpffs.ts";
import { type Maps, openMaps } from "../kernel/typed-maps.ts";
import type { HookSet } from "./attach/function-hooks.ts";
import { Programs } from "./attach/programs.ts";
import { Enforcer } from "./enforcer.ts";
import { OtherNamespaceError, StateUnreadableError } from "./errors.ts";
import { type AgentState, freshState, loadState, STATE_FILE, saveState } from "./state/state.ts";
import { isClaimShort, recountClaims } from "./tables/claims.ts";
import { ContainerIds } from "./tables/container-ids.ts";
import { collectAncestries, collectPaths, forgetWorkloads } from "./tables/garbage.ts";
import { Instances } from "./tables/instances.ts";
import { PathNames } from "./tables/path-names.ts";
import { pathsOf, RuleStore } from "./tables/rule-store.ts";
import { type NodeSettings, settingsValue } from "./tables/settings.ts";
import { WorkloadFacts } from "./tables/workload-facts.ts";

export interface EnforcementOptions {
  pinRoot: string;
  stateDirectory: string;
  settings: NodeSettings;
  log: Logger;
  /** Folder of the BPF objects; where `make build` puts them unless given. */
  objects?: string;
  /** Ways to put programs on the kernel's functions, see function-hooks.ts; all of them unless given. */
  hookSets?: readonly HookSet[];
}

export class Enforcement implements Disposable {
  readonly enforcer: Enforcer;
  readonly maps: Maps;
  readonly paths: PathNames;
  readonly containerIds: ContainerIds;
  readonly programs: Programs;
  readonly store: RuleStore;
  /** A secret, odd, 64 bits: names are known to the kernel by hashes under it. */
  readonly nameHashMultiplier: bigint;
  readonly #saved: { text: string };
  /** Called before the kernel forgets the workloads that are not among these. */
  onForget: (live: ReadonlySet<number>) => void = () => {};
  #allowedReportedOf: ReadonlySet<string> = new Set();

  /**
   * Loads, attaches, and takes over what an earlier agent has left. The caller holds the lock (lock.ts).
   * @throws LoadError, KernelError, MountError, ObjectsMissingError
   */
  constructor(options: EnforcementOptions) {
    const { pinRoot, stateDirectory, log } = options;
    const settings = settingsValue(options.settings, ownNamespaceInum());
    const { state, known } = readState(stateDirectory, pinRoot, log);
    this.#saved = { text: "" };
    this.nameHashMultiplier = state.nameHashMultiplier;
    this.programs = new Programs({
      pinRoot,
      nameHashMultiplier: this.nameHashMultiplier,
      flows: options.settings,
      ...(options.objects === undefined ? {} : { objects: options.objects }),
      ...(options.hookSets === undefined ? {} : { hookSets: options.hookSets }),
    });
    this.maps = openMaps(pinRoot);
    recountClaims(this.maps);
    const registrations = this.programs.hookSets.flows === null ? 0 : SettingFlag.REGISTRATIONS;
    this.maps.settings.set(0, { ...settings, flags: registrations });
    // Names are known by hashes of the multiplier that is lost: what was learned under them can match nothing.
    if (!known) for (const map of [this.maps.learned, this.maps.dnsNames, this.maps.dnsQueries]) map.clear();
    this.paths = new PathNames(this.maps);
    this.containerIds = new ContainerIds(this.nameHashMultiplier);
    this.store = new RuleStore(this.maps, this.paths, this.containerIds, state.nextTableId);
    this.enforcer = this.#buildEnforcer(state, options);
  }

  /** From the next reconcile on, the first packets of these pods' allowed flows are reported, whatever the node's setting. */
  reportAllowedOf(uids: ReadonlySet<string>): void {
    this.#allowedReportedOf = uids;
  }

  /** Processes of a cgroup, as the kernel side has seen them. */
  processesOf(cgroupId: bigint): number[] {
    return [...this.maps.processes.entries()]
      .filter(([, process]) => process.cgroupId === cgroupId)
      .map(([pid]) => pid);
  }

  /** Gives back what the kernel has evicted of registered sockets and connects, if somebody has many. */
  recountSockets(): void {
    const kinds = [ClaimKind.REGISTRATIONS, ClaimKind.CONNECTS];
    if (kinds.some((kind) => isClaimShort(this.maps.claims, kind))) recountClaims(this.maps);
  }

  /** Removes paths, and sets of ancestors, that nothing refers to, if somebody has many. Returns how many paths. */
  collectPaths(): number {
    const { claims } = this.maps;
    if (!isClaimShort(claims, ClaimKind.PATHS) && !isClaimShort(claims, ClaimKind.ANCESTRIES)) return 0;
    collectAncestries(this.maps);
    const listed = this.store.states().flatMap(({ table }) => pathsOf(table).map((path) => this.paths.intern(path)));
    return collectPaths(this.maps, this.paths, new Set(listed));
  }

  /** What is in force stays so; only this process lets go of it. */
  close(): void {
    this.maps[Symbol.dispose]();
    this.programs.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Whoever removes the state under a running agent has it made again. */
  #save(stateDirectory: string, state: AgentState, log: Logger): void {
    if (this.#saved.text !== "" && !existsSync(join(stateDirectory, STATE_FILE))) {
      this.#saved.text = "";
      log.warn({ stateDirectory }, "the state of this agent was removed while it runs; it is written again");
    }
    saveState(stateDirectory, state, this.#saved);
  }

  #buildEnforcer(state: AgentState, { stateDirectory, settings, log }: EnforcementOptions): Enforcer {
    const { maps, store } = this;
    state.tables = state.tables.filter((table) => store.adopt(table));
    reserveNumbers(maps, store, state);
    return new Enforcer(
      {
        store,
        instances: new Instances(maps),
        facts: new WorkloadFacts(maps, this.containerIds),
        attachments: this.programs,
        interfaceExists: (ifindex) => listInterfaces().some(({ index }) => index === ifindex),
        reportsAllowed: ({ apiUid, podUid = "" }) =>
          settings.reportAllowed || this.#allowedReportedOf.has(apiUid ?? podUid),
        forget: (live) => {
          this.onForget(live);
          forgetWorkloads(maps, live);
        },
        save: (changed) => this.#save(stateDirectory, changed, log),
        log,
      },
      state,
    );
  }
}

const ANEW = "Every rule is written anew; names that were learned have to be asked again";

/** `known`: the state is that of the pins, or there is nothing pinned that could have one. */
function readState(directory: string, pinRoot: string, log: Logger): { state: AgentState; known: boolean } {
  const netnsInum = ownNamespaceInum();
  try {
    const state = loadState(directory, pinRoot);
    if (state !== null && state.netnsInum !== netnsInum)
      throw new OtherNamespaceError(pinRoot, state.netnsInum, netnsInum);
    if (state !== null) return { state, known: true };
    if (listPins(pinRoot).length === 0) return { state: freshState(pinRoot, netnsInum), known: true };
    log.warn({ directory }, `there are pins under ${pinRoot}, and no state file. ${ANEW}`);
  } catch (cause) {
    if (!(cause instanceof StateUnreadableError)) throw cause;
    log.warn({ code: cause.code }, `${causeText(cause)}. ${ANEW}`);
  }
  return { state: freshState(pinRoot, netnsInum), known: false };
}

/** No number that something in the kernel has is given out again, whatever the state file says. */
function reserveNumbers(maps: Maps, store: RuleStore, state: AgentState): void {
  const workloads = [...maps.workloads.entries()].map(([, value]) => value);
  for (const { id, tableId } of workloads) {
    store.reserveTableId(tableId);
    if (id >= state.nextWorkloadId) state.nextWorkloadId = id + 1;
  }
  for (const { workloadId } of maps.counters.keys()) {
    if (workloadId >= state.nextWorkloadId) state.nextWorkloadId = workloadId + 1;
  }
}
