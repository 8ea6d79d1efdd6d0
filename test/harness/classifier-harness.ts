/**
 * The classifier in the kernel, with maps of its own and no network: packets go in by BPF_PROG_TEST_RUN, verdicts come
 * out, and everything that the kernel remembers can be looked at. Time is the kernel's own; `advance` makes what it
 * remembers older instead.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { REASONS, type Reason, VERDICTS, type Verdict } from "../../src/api/reasons.ts";
import {
  type AddressKey,
  ANCESTORS_MAX,
  type Ancestry as AncestrySet,
  ContainerFlag,
  ErrorKind,
  PATH_ID_MODIFIED,
  ProcessFlag,
} from "../../src/gen/abi.gen.ts";
import { ContainerIds } from "../../src/node-agent/enforce/tables/container-ids.ts";
import { hardwareAddress, mappedAddress } from "../../src/node-agent/enforce/tables/entries.ts";
import { PathNames } from "../../src/node-agent/enforce/tables/path-names.ts";
import { RuleStore } from "../../src/node-agent/enforce/tables/rule-store.ts";
import { DEFAULT_SETTINGS, type NodeSettings, settingsValue } from "../../src/node-agent/enforce/tables/settings.ts";
import { workloadValue } from "../../src/node-agent/enforce/tables/workload-value.ts";
import { decodeRecord, type KernelRecord, PACKET_RINGS } from "../../src/node-agent/events/kernel-records.ts";
import {
  BPFFS_PATH,
  ensureBpffs,
  ensurePinFolder,
  listPins,
  removePinFolder,
} from "../../src/node-agent/kernel/bpffs.ts";
import { BpfObject } from "../../src/node-agent/kernel/objects.ts";
import { RingBuffer } from "../../src/node-agent/kernel/ring-buffer.ts";
import { type PacketContext, runOnPacket, type TestRunResult } from "../../src/node-agent/kernel/test-run.ts";
import { type Maps, openMap } from "../../src/node-agent/kernel/typed-maps.ts";
import { type Ancestor, type Ancestry, NO_ANCESTRY } from "../../src/policy/table/subject.ts";
import type { RuleTable } from "../../src/policy/table/tables.ts";
import { SECOND_MAC, WORKLOAD_MAC } from "../packets/ethernet.ts";
import { age } from "./kernel-time.ts";

const ROOT = join(import.meta.dirname, "../..");
const PIN_PREFIX = "pc-fuzz-";
const OBJECT = "build/bpf/classifier.bpf.o";
/** The loopback device, on which test runs are unless set otherwise. */
const LOOPBACK = 1;
/** `workloads` instances are used in turn; 0 means none. */
const INSTANCES = 4096;

/** Where test runs are: on no veth, and in no namespace. */
const NOWHERE: RigPlace = { netnsInum: 1, nsid: -1, hostIfindex: LOOPBACK, podUid: "pod" };

/** Name of the container that counts as an ephemeral one. */
export const EPHEMERAL_CONTAINER = "debug";

/** Small enough to be read whole after every sequence; what is not here keeps its size. */
export const MAP_SIZES = {
  places: 16384,
  flows: 8192,
  fragments: 2048,
  icmp_requests: 1024,
  dns_queries: 2048,
  dns_names: 8192,
  learned: 8192,
  limits: 2048,
  counters: 4096,
  processes: 1024,
};

const USED_MAPS = [
  ...(["settings", "processEpochs", "workloads", "interfaces", "interfacesHigh", "namespaces", "addresses"] as const),
  ...(["binaries", "rulesets", "peers4", "peers6", "ports", "names"] as const),
  ...(["paths", "pathTexts", "containers", "conditions", "ancestries", "ancestrySets"] as const),
  ...([
    "shares",
    "places",
    "flows",
    "fragments",
    "icmpRequests",
    "dnsQueries",
    "dnsNames",
    "dnsParts",
    "learned",
    "streamLocks",
    "counters",
    "errors",
    "errorSites",
    "limits",
  ] as const),
] satisfies (keyof Maps)[];

/** The maps that the classifier works on. */
export type RigMaps = Pick<Maps, (typeof USED_MAPS)[number]>;

/** `owner_flags` of bpf/include/verdict/scratch.h: what a socket tells beside whose it is. */
const OWNER_FLAG = { accepted: 2, connected: 4, kernel: 8, spoken: 32, socketless: 512 } as const;
const TEST_JUDGED = 0x10000;
/** Stands for a set of ancestors that is not known. */
const UNKNOWN_MARK = 0xff;
const DROP = 2;
const NEXT = -1;

export interface ProcessRef {
  path: string;
  modified?: boolean;
  /** None where absent. */
  ancestry?: Ancestry | null;
  /** Effective user id, below 64; 0 where absent. */
  user?: number;
}

/** What a packet has beside its bytes. */
export interface PacketFacts {
  /** Whose socket it is; none: no process. */
  process?: ProcessRef | undefined;
  /** The socket's creator, if that is somebody else. */
  creator?: ProcessRef | undefined;
  /** Who used the socket before, if what he wrote is still to leave. */
  former?: ProcessRef | undefined;
  /** That all are in. */
  container?: string | undefined;
  /** Tells sockets of the same processes apart. */
  socketId?: number;
  accepted?: boolean;
  connected?: boolean;
  /** One of the kernel's control sockets. */
  kernel?: boolean;
  /** It leaves without a socket. */
  socketless?: boolean;
  spoken?: boolean;
  /** Seconds since the socket was connected to the packet's remote address. */
  connectedFor?: number;
  gsoSegments?: number;
  gsoSize?: number;
}

export interface Outcome {
  verdict: Verdict;
  reason: Reason;
}

export interface RigOptions {
  /** For the pin folder's name. */
  name: string;
  maxEntries?: Record<string, number>;
  settings?: Partial<NodeSettings>;
  /** Another build of the classifier, to see what it says. */
  object?: string;
  /** Where the workload is that real packets will come from: they are its sockets'. */
  place?: RigPlace;
}

/** A workload's network namespace, its id in the one of its veth's other end, and that end. */
export interface RigPlace {
  netnsInum: number;
  nsid: number;
  hostIfindex: number;
  /** Of a pod, which has containers. */
  podUid?: string;
}

export interface WorkloadOptions {
  id?: number;
  macs?: string[];
  addresses?: string[];
}

export class ClassifierHarness implements Disposable {
  readonly maps: RigMaps;
  readonly containerIds = new ContainerIds(0n);
  readonly pinRoot: string;
  readonly programs: { egress: number; ingress: number };
  readonly #object: BpfObject;
  readonly #place: RigPlace;
  readonly #store: RuleStore;
  readonly #paths: PathNames;
  readonly #rings: RingBuffer[];
  readonly #cgroups = new Map<string, number>();
  readonly #ancestries = new Map<string, number>();
  #received: KernelRecord[] = [];
  #instance = 0;
  #heldTable: number | null = null;
  /** What is put in force from now on reports first packets of allowed flows. */
  reportsAllowed = false;
  #workload: Required<WorkloadOptions> = { id: 1, macs: [WORKLOAD_MAC, SECOND_MAC], addresses: [] };

  constructor({ name, maxEntries, settings, object, place }: RigOptions) {
    this.#place = place ?? NOWHERE;
    if (object === undefined) execFileSync("make", ["-s", OBJECT], { cwd: ROOT });
    ensureBpffs();
    removeLeftovers();
    this.pinRoot = join(BPFFS_PATH, `${PIN_PREFIX}${name}-${process.pid}`);
    ensurePinFolder(this.pinRoot);
    try {
      this.#object = BpfObject.load(object ?? join(ROOT, OBJECT), {
        pinRoot: this.pinRoot,
        maxEntries: { ...MAP_SIZES, ...maxEntries },
        // Flows are counted, which must not change any verdict.
        constants: { subject_from_mark: place === undefined ? 1 : 0, counts_flows: 1 },
      });
      this.maps = openRigMaps(this.pinRoot);
    } catch (error) {
      removePinFolder(this.pinRoot);
      throw error;
    }
    const [egress, ingress] = ["from_workload", "to_workload"].map((program) => this.#object.program(program).fd);
    this.programs = { egress: egress as number, ingress: ingress as number };
    this.#paths = new PathNames(this.maps);
    this.#store = new RuleStore(this.maps, this.#paths, this.containerIds);
    this.#rings = PACKET_RINGS.map(({ pin }) =>
      RingBuffer.open(join(this.pinRoot, pin), {
        onRecords: (records) => this.#received.push(...records.map((record) => decodeRecord(record))),
        onError: (error) => {
          throw error;
        },
        intervalMs: null,
      }),
    );
    this.configure(settings ?? {});
  }

  [Symbol.dispose](): void {
    for (const ring of this.#rings) ring.close();
    for (const name of USED_MAPS) this.maps[name].close();
    this.#object.close();
    removePinFolder(this.pinRoot);
  }

  configure(settings: Partial<NodeSettings>): void {
    this.maps.settings.set(0, settingsValue({ ...DEFAULT_SETTINGS, ...settings }, 0));
  }

  /** From now on the packets are of this workload. What it may do comes with `apply`. */
  become(workload: WorkloadOptions): void {
    for (const key of this.#ownAddresses()) this.maps.addresses.delete(key);
    this.#workload = { ...this.#workload, ...workload };
    for (const key of this.#ownAddresses()) this.maps.addresses.set(key, 1);
  }

  /** Puts a policy in force. The table before it is collected. Returns the id of the table, 0 if it is none. */
  apply(policy: RuleTable | "pending" | "unrestricted"): number {
    const inForce = typeof policy === "string" ? policy : this.#store.hold(policy);
    this.#instance = (this.#instance % (INSTANCES - 1)) + 1;
    const value = workloadValue(this.#workload.id, this.#place, this.#place, inForce, this.reportsAllowed);
    this.maps.workloads.set(this.#instance, value);
    this.maps.interfaces.set(this.#place.hostIfindex, this.#instance);
    this.maps.namespaces.set(this.#place.netnsInum, this.#instance);
    const tableId = typeof inForce === "string" ? 0 : inForce.id;
    if (this.#heldTable !== null) this.#store.release(this.#heldTable);
    this.#heldTable = tableId === 0 ? null : tableId;
    return tableId;
  }

  /** Takes the tables out of the kernel that are not in force any more. */
  collectTables(): void {
    this.#store.collect(0);
  }

  /** The interface has no workload any more. */
  withdraw(): void {
    this.maps.interfaces.set(LOOPBACK, 0);
  }

  /** Runs one packet through the classifier. Null: it was let through, or dropped, without being judged. */
  run(direction: "egress" | "ingress", frame: Uint8Array, facts: PacketFacts = {}): Outcome | null {
    return outcomeOf(runOnPacket(this.programs[direction], frame, { context: this.contextOf(facts) }));
  }

  /** What the classifier of the harness reads the facts from. */
  contextOf(facts: PacketFacts): PacketContext {
    return {
      ifindex: LOOPBACK,
      mark: this.#markOf(facts.process),
      priority: this.#markOf(facts.creator),
      cb: [
        ownerFlags(facts),
        (facts.socketId ?? 0) | (Math.round((facts.connectedFor ?? 0) * 1000) << 8),
        0,
        this.#cgroupOf(facts.container),
        this.#markOf(facts.former),
      ],
      ...(facts.gsoSegments === undefined ? {} : { gsoSegments: facts.gsoSegments }),
      ...(facts.gsoSize === undefined ? {} : { gsoSize: facts.gsoSize }),
    };
  }

  /** What the program itself returned: for packets that are not judged. */
  action(direction: "egress" | "ingress", frame: Uint8Array): number {
    return runOnPacket(this.programs[direction], frame, { context: { ifindex: LOOPBACK } }).returnValue;
  }

  /** The number under which the kernel knows a process, 0 for none. */
  pathId(process: ProcessRef | undefined): number {
    if (process === undefined) return 0;
    const id = this.#paths.intern(process.path);
    return process.modified ? (id | PATH_ID_MODIFIED) >>> 0 : id;
  }

  /** What the harness's classifier reads a process from: see bpf/include/socket/owner.h. */
  #markOf(process: ProcessRef | undefined): number {
    if (process === undefined) return 0;
    const { ancestry = NO_ANCESTRY, user = 0 } = process;
    return (this.pathId(process) | (this.#ancestryMark(ancestry) << 16) | (user << 24)) >>> 0;
  }

  /** Sets of ancestors have numbers from 1 on, as they come. */
  #ancestryMark(ancestry: Ancestry | null): number {
    if (ancestry === null) return UNKNOWN_MARK;
    const { executables, incomplete } = ancestry;
    if (executables.length === 0) return incomplete ? UNKNOWN_MARK : 0;
    const key = JSON.stringify(ancestry);
    const known = this.#ancestries.get(key) ?? this.#ancestries.size + 1;
    if (known >= UNKNOWN_MARK) throw new RangeError("more sets of ancestors than the harness has numbers for");
    if (!this.#ancestries.has(key)) {
      this.#ancestries.set(key, known);
      const ancestors = Array.from({ length: ANCESTORS_MAX }, (_, index) => this.#ancestorOf(executables[index]));
      const set = { ancestors, incomplete: incomplete ? 1 : 0 } as unknown as AncestrySet;
      this.maps.ancestrySets.set(known, { ancestry: set, owner: 0n });
    }
    return known;
  }

  #ancestorOf(executable: Ancestor | undefined): { pathId: number; flags: number } {
    if (executable === undefined) return { pathId: 0, flags: 0 };
    return { pathId: this.#paths.intern(executable.path), flags: executable.modified ? ProcessFlag.MODIFIED : 0 };
  }

  /** Flows that were judged before are judged again: all processes of the harness are of one lineage. */
  startEpoch(): void {
    this.maps.processEpochs.set(0, (this.maps.processEpochs.get(0) ?? 0n) + 1n);
  }

  /** Lets time go by, for everything that the kernel remembers. */
  advance(seconds: number): void {
    age(this.maps, seconds);
  }

  /** Records since the last call, in the order of time. */
  takeRecords(): KernelRecord[] {
    for (const ring of this.#rings) ring.drain();
    return this.#received.splice(0).sort((one, other) => Number(one.header.time - other.header.time));
  }

  /** Failures that were counted, by their names in bpf/include/abi/counters.h. */
  errorCounts(): Record<string, number> {
    const names = Object.entries(ErrorKind);
    const counted = [...this.maps.errors.entries()].filter(([, count]) => count !== 0n);
    return Object.fromEntries(
      counted.map(([kind, count]) => [names.find(([, number]) => number === kind)?.[0] ?? kind, Number(count)]),
    );
  }

  /** As if newer entries had pushed all of one kind out. */
  evict(what: "flows" | "fragments" | "queries" | "learned"): void {
    this.maps[what === "queries" ? "dnsQueries" : what].clear();
  }

  /** Forgets all traffic; rules stay. */
  clear(): void {
    const { shares, places, flows, fragments, icmpRequests, dnsQueries, dnsNames, dnsParts, learned } = this.maps;
    const { counters, limits, errors, errorSites } = this.maps;
    const resolved = [dnsQueries, dnsNames, dnsParts, learned];
    const traffic = [shares, places, flows, fragments, icmpRequests, ...resolved, counters, limits, errorSites];
    for (const map of traffic as { clear(): void }[]) map.clear();
    for (const [kind, count] of [...errors.entries()]) if (count !== 0n) errors.set(kind, 0n);
    this.takeRecords();
  }

  #ownAddresses(): AddressKey[] {
    const { id: workloadId, macs, addresses } = this.#workload;
    const own = [...macs.map(hardwareAddress), ...addresses.map(mappedAddress)];
    return own.map((address) => ({ workloadId, address }));
  }

  /** Each container has a cgroup, from 1 on. */
  #cgroupOf(container: string | undefined): number {
    if (container === undefined) return 0;
    const known = this.#cgroups.get(container) ?? this.#cgroups.size + 1;
    if (!this.#cgroups.has(container)) {
      this.#cgroups.set(container, known);
      this.maps.containers.set(BigInt(known), {
        id: this.containerIds.of(container),
        started: 0n,
        flags: container === EPHEMERAL_CONTAINER ? ContainerFlag.EPHEMERAL : 0,
        netnsInum: 0,
      });
    }
    return known;
  }
}

/** A test that was killed could not clean up after itself. */
function removeLeftovers(): void {
  for (const name of listPins(BPFFS_PATH).filter((pin) => pin.startsWith(PIN_PREFIX))) {
    if (!existsSync(`/proc/${name.slice(name.lastIndexOf("-") + 1)}`)) removePinFolder(join(BPFFS_PATH, name));
  }
}

function openRigMaps(pinRoot: string): RigMaps {
  return Object.fromEntries(USED_MAPS.map((name) => [name, openMap(pinRoot, name)])) as unknown as RigMaps;
}

function ownerFlags(facts: PacketFacts): number {
  return (Object.keys(OWNER_FLAG) as (keyof typeof OWNER_FLAG)[]).reduce(
    (flags, name) => (facts[name] ? flags | OWNER_FLAG[name] : flags),
    0,
  );
}

/** What a run of the harness's classifier says of its packet. Null: it was let through, or dropped, without being judged. */
export function outcomeOf(result: TestRunResult): Outcome | null {
  const context = result.cb[2] as number;
  if ((context & TEST_JUDGED) === 0) return null;
  const verdict = VERDICTS[(context >>> 8) & 0xff] as Verdict;
  const reason = REASONS[context & 0xff] as Reason;
  if (result.returnValue !== (verdict === "dropped" ? DROP : NEXT)) {
    throw new Error(`verdict ${verdict} (${reason}) returned ${result.returnValue}`);
  }
  return { verdict, reason };
}
