/** The programs that see processes and sockets, and the classifiers: loaded, attached and pinned. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { causeText } from "../../../api/errors.ts";
import { EPOCHS } from "../../../gen/abi.gen.ts";
import { findKernelType, LoadError } from "../../ffi/libbpf.ts";
import { ensureBpffs, ensurePinFolder } from "../../kernel/bpffs.ts";
import { probeSocketIterators } from "../../kernel/features/programs.ts";
import { attachClassifiers, type ClassifierPrograms, detachClassifiers } from "../../kernel/links/classifiers.ts";
import { attachPinned, detachPinned, runIterator } from "../../kernel/links/links.ts";
import { BpfObject, readObjectPrograms } from "../../kernel/objects.ts";
import { ATTACH_TYPE } from "../../kernel/program-types.ts";
import { type MapName, openMap } from "../../kernel/typed-maps.ts";
import type { Attachments } from "../enforcer.ts";
import { ObjectsMissingError, PinsIncompatibleError } from "../errors.ts";
import type { FlowSettings } from "../tables/settings.ts";
import { FunctionHooks, HOOK_SETS, type HookSet, type HookSets } from "./function-hooks.ts";
import { adoptOlderSockets } from "./older-sockets.ts";

/** Records what TCP knows of connections. Enforcement needs it as little as anything else does. */
const TELEMETRY_PROGRAM = "tcp_changes";

/** In this order: processes first, then the owners of sockets, then receivers. */
const HOOK_OBJECTS = ["processes", "sockets", "receivers"] as const;
/** After the hooks, which see what is new, these find what was there first. Parents before what they led to; listeners before their children. */
const ITERATORS: readonly string[] = ["find_processes", "find_ancestors", "find_listeners", "find_sockets"];
/** Tracepoints that not every kernel has; without them a connected socket that is handed over keeps its last user. */
const OPTIONAL_TRACEPOINTS: Readonly<Record<string, string>> = {
  socket_writes: "tcp_sendmsg_locked",
  socket_sent: "sock_send_length",
  socket_received: "sock_recv_length",
};

/** Where the kernel has no way from a file to its socket, older-sockets.ts does what these do. */
const SOCKET_ITERATORS: readonly string[] = ["find_listeners", "find_sockets"];
/** Needs what the iterators need: that a tracing program may read who owns a socket. */
const READS = "socket_reads";

/** What the programs of each job keep up to date, and only they. */
const JOB_MAPS: Readonly<Record<keyof HookSets, readonly MapName[]>> = {
  devices: ["devices"],
  flows: ["registrations", "registered"],
  senders: [],
};

const LINKS = "links";

/** Constants of bpf/sockets.bpf.c that depend on the kernel. */
export function socketConstants(): Record<string, number> {
  return {
    writes_are_seen:
      findKernelType(OPTIONAL_TRACEPOINTS.socket_writes as string, ATTACH_TYPE.TRACE_RAW_TP) === null ? 0 : 1,
  };
}

export interface ProgramOptions {
  pinRoot: string;
  nameHashMultiplier: bigint;
  flows: FlowSettings;
  /** Folder of the *.bpf.o files. */
  objects?: string;
  /** Ways to put programs on the kernel's functions; all of them unless given. See function-hooks.ts. */
  hookSets?: readonly HookSet[];
}

/** Where `make build` puts the objects, unless the environment says otherwise. */
export function objectFolder(environment: NodeJS.ProcessEnv = process.env): string {
  return environment.PORTCULLIS_OBJECTS ?? fileURLToPath(new URL("../../../../build/bpf", import.meta.url));
}

/** What this kernel could not give. */
export interface MissingHook {
  program: string;
  consequence: string;
}

export class Programs implements Attachments, Disposable {
  readonly missing: MissingHook[] = [];
  readonly #pinRoot: string;
  readonly #objects: string;
  readonly #classifier: BpfObject;
  readonly #functions: FunctionHooks;
  readonly #attached = new Set<number>();

  /**
   * Loads everything and attaches what is not bound to an interface; programs of an earlier agent are replaced in their
   * places. When this returns, every process and socket that there is has its entry.
   * @throws LoadError with the verifier's log, KernelError, MountError, ObjectsMissingError
   */
  constructor(options: ProgramOptions) {
    const { pinRoot, nameHashMultiplier, flows, objects = objectFolder(), hookSets = HOOK_SETS } = options;
    this.#pinRoot = pinRoot;
    this.#objects = objects;
    ensureBpffs();
    ensurePinFolder(join(pinRoot, LINKS));
    using loaded = new DisposableStack();
    const load = (name: string, constants = {}, without: string[] = []) =>
      loaded.use(this.#load(name, constants, without));
    // All of them before any is attached: what the kernel refuses must not leave half of the programs behind.
    const hooks = HOOK_OBJECTS.map((name) =>
      name === "sockets" ? load(name, socketConstants(), this.#unavailable()) : load(name),
    );
    this.#classifier = load("classifier", {
      name_hash_multiplier: nameHashMultiplier,
      counts_flows: flows.countFlows ? 1 : 0,
    });
    this.#reset(["errorSites"]); // lines are those of the programs that were just loaded
    for (const object of hooks) this.#attachHooks(object);
    for (const object of hooks) object.close();
    if (this.missing.some(({ program }) => SOCKET_ITERATORS.includes(program))) this.#adoptOlderSockets();
    this.#functions = this.#attachFunctions(hookSets);
    this.#attachTelemetry(flows.readTcp);
    loaded.move();
  }

  attach(ifindex: number): void {
    if (this.#attached.has(ifindex)) return;
    attachClassifiers(this.#pinRoot, ifindex, this.#classifiers());
    this.#attached.add(ifindex);
  }

  detach(ifindex: number): void {
    this.#attached.delete(ifindex);
    detachClassifiers(this.#pinRoot, ifindex);
  }

  /** Looks at every interface again at the next reconcile: somebody else may have taken our programs off. */
  checkAgain(): void {
    this.#attached.clear();
  }

  /** What is used for the jobs for which there are several ways. */
  get hookSets(): Readonly<HookSets> {
    return this.#functions.sets;
  }

  /** What is attached and pinned stays in the kernel. */
  close(): void {
    this.#functions.close();
    this.#classifier.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #attachHooks(object: BpfObject): void {
    const programs = object.programs();
    for (const program of programs) {
      if (ITERATORS.includes(program.name)) continue;
      attachPinned(program, join(this.#pinRoot, LINKS, program.name)).close();
    }
    for (const name of ITERATORS) {
      const iterator = programs.find((program) => program.name === name);
      if (iterator !== undefined) runIterator(iterator);
    }
  }

  /** Programs of bpf/sockets.bpf.c that this kernel does not take; they are entered in `missing`. */
  #unavailable(): string[] {
    const tracepoints = Object.entries(OPTIONAL_TRACEPOINTS)
      .filter(([, tracepoint]) => findKernelType(tracepoint, ATTACH_TYPE.TRACE_RAW_TP) === null)
      .map(([program]) => program);
    const tracers = probeSocketIterators().state === "supported" ? [] : [...SOCKET_ITERATORS, READS];
    this.missing.push(
      ...tracepoints.map((program) => ({
        program,
        consequence: program === "socket_writes" ? SEEN_LATE : HANDED_OVER,
      })),
      ...tracers.map((program) => ({ program, consequence: program === READS ? READ_UNSEEN : OUT_OF_REACH })),
    );
    return [...tracepoints, ...tracers];
  }

  #attachFunctions(allowed: readonly HookSet[]): FunctionHooks {
    const functions = new FunctionHooks({
      links: join(this.#pinRoot, LINKS),
      programs: (name) => readObjectPrograms(this.#path(name)),
      load: (name, without) => this.#load(name, {}, without),
      reset: (job) => this.#reset(JOB_MAPS[job]),
      allowed,
    });
    // Whoever sees the sender before the packet needs no tracepoint after it, and without both it is reported already.
    const seen = functions.sets.senders === "lsm" || functions.sets.senders === "fentry";
    const needless = seen ? this.missing.filter(({ program }) => program in OPTIONAL_TRACEPOINTS) : [];
    const missing = this.missing.filter((entry) => !needless.includes(entry));
    this.missing.splice(0, Number.POSITIVE_INFINITY, ...missing, ...functions.missing);
    return functions;
  }

  #attachTelemetry(isWanted: boolean): void {
    const pin = join(this.#pinRoot, LINKS, TELEMETRY_PROGRAM);
    if (!isWanted) {
      detachPinned(pin);
      return;
    }
    try {
      using object = this.#load("telemetry");
      attachPinned(object.program(TELEMETRY_PROGRAM), pin).close();
    } catch (cause) {
      detachPinned(pin);
      this.missing.push({ program: TELEMETRY_PROGRAM, consequence: `${NO_FIGURES}: ${causeText(cause)}` });
    }
  }

  #reset(names: readonly MapName[]): void {
    for (const name of names) {
      using map = openMap(this.#pinRoot, name);
      map.clear();
    }
  }

  #adoptOlderSockets(): void {
    using processes = openMap(this.#pinRoot, "processes");
    using owners = openMap(this.#pinRoot, "socketOwners");
    using epochs = openMap(this.#pinRoot, "processEpochs");
    adoptOlderSockets({
      process: (tgid) => processes.get(tgid),
      epoch: (lineage) => epochs.get(lineage % EPOCHS) ?? 0n,
      addOwner: (fd, owner) => owners.add(fd, owner),
    });
  }

  #load(name: string, constants: Record<string, bigint | number> = {}, without: string[] = []): BpfObject {
    const path = this.#path(name);
    try {
      return BpfObject.load(path, { pinRoot: this.#pinRoot, constants, without });
    } catch (cause) {
      if (cause instanceof LoadError && PIN_MISMATCH.test(cause.log)) {
        throw new PinsIncompatibleError(this.#pinRoot, { cause });
      }
      throw cause;
    }
  }

  #path(name: string): string {
    const path = join(this.#objects, `${name}.bpf.o`);
    if (!existsSync(path)) throw new ObjectsMissingError(path);
    return path;
  }

  #classifiers(): ClassifierPrograms {
    return {
      fromWorkload: this.#classifier.program("from_workload").fd,
      toWorkload: this.#classifier.program("to_workload").fd,
    };
  }
}

/** What libbpf says of a pinned map that is not as the object wants it. */
const PIN_MISMATCH = /couldn't reuse pinned map/;

const NO_FIGURES = "round trips, losses and failures of TCP connections are not recorded";
const HANDED_OVER = "what a process leaves in the queue of another's connected socket is judged as who sends next";
const SEEN_LATE =
  "what the new user of a TCP connection writes with a call that has to wait may leave before he is seen";
const READ_UNSEEN = "a process that reads another's stream by splice is not seen";
const OUT_OF_REACH =
  "sockets older than the agent are found through /proc; those of a process whose first thread has ended are not";
