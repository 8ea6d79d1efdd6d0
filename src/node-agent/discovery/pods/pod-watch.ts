/**
 * One pod, followed from its first process to its last: which network namespace is its own, and which of its cgroups
 * is which container.
 */
import { statSync } from "node:fs";
import type { RouteConnection } from "../../netlink/connection.ts";
import { WorkloadError } from "../../netlink/errors.ts";
import type { Link } from "../../netlink/links.ts";
import { ownNamespaceInum } from "../namespaces/bound-namespaces.ts";
import { NamespaceInspector } from "../namespaces/namespace-inspector.ts";
import type { Workload } from "../workload.ts";
import { type FoundProcess, OldestProcesses } from "./oldest-processes.ts";
import { type ContainerCgroup, containerProcesses, type PodCgroups } from "./pod-cgroups.ts";
import type { PodFacts } from "./pod-facts.ts";
import { PodFiles, type PodFilesParts } from "./pod-files.ts";
import { firstStarted, processNetns, processStart } from "./pod-processes.ts";

/** A name, once known, is not asked for again: the process might have changed what tells it. */
interface KnownContainer {
  name: string | null;
  /** A process in there whose root is the container's. */
  witness: number | null;
  /** The mount that is the container's root: a process that has another one later is no witness. */
  rootMount: string | null;
  /** When its first process began, ns since 1970: what is changed in its root later is not the image's any more. */
  started: bigint | null;
}

/**
 * A container's oldest processes tell what it is: of one that has not shown it yet no more than these are asked. Others may have
 * mounts of their own making (unshare -Um), which tell whatever they like.
 */
const ASKED_MAX = 16;

/** What a look at a pod needs of the node. */
export interface NodeView {
  connection: RouteConnection;
  links: readonly Link[];
}

/** A look that may well have another result in a moment: the pod is being made. */
export interface PodLook {
  state: Workload | WorkloadError;
  settled: boolean;
}

export class PodWatch implements Disposable {
  readonly uid: string;
  #inspector: NamespaceInspector | null = null;
  /** A process that stands for the pod as long as it lives. */
  #witness: FoundProcess | null = null;
  #searchDomains: string[] | null = null;
  readonly #files: PodFiles;
  readonly #oldest = new OldestProcesses();
  readonly #containers = new Map<string, KnownContainer>();

  constructor(parts: PodFilesParts) {
    this.uid = parts.uid;
    this.#files = new PodFiles(parts);
  }

  /** True if links or addresses in the pod have changed since the last call. */
  changed(): boolean {
    return this.#inspector?.changed() ?? false;
  }

  /**
   * Looks at the pod.
   *
   * @param facts null where nobody has described it yet
   * @throws KernelError, or Node's error, where something that is there cannot be looked at
   */
  look(cgroups: PodCgroups, facts: PodFacts | null, node: NodeView): PodLook {
    const processes = new Map(cgroups.containers.map((container) => [container, containerProcesses(container)]));
    if (facts?.hostNetwork === true) return this.#without(onHostNetwork(facts), true);
    const pid = this.#findWitness([...processes.values()].flat());
    if (pid === null) return this.#without(starting(this.uid, facts), false);
    const inspected = this.#inspect(pid, node);
    if (inspected instanceof WorkloadError) return { state: inspected, settled: false };
    const { problems, ...seen } = inspected;
    const isMade = this.#files.mounts(pid)?.hasOwnRoot ?? false;
    if (isMade) this.#searchDomains ??= this.#files.searchDomains(pid);
    const containers = this.#containersOf(processes, facts);
    const present = new Set([...processes.values()].flat());
    this.#files.keep(present);
    this.#oldest.keep(present);
    return {
      state: {
        ...this.#identity(facts),
        ...seen,
        podUid: this.uid,
        netnsPath: `/proc/${pid}/ns/net`,
        netnsInum: this.#inspector?.inum ?? 0,
        searchDomains: this.#searchDomains,
        resolvers: [],
        containers: containers.known,
        problems,
      },
      settled: containers.settled && isMade,
    };
  }

  close(): void {
    this.#inspector?.close();
    this.#inspector = null;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #identity(facts: PodFacts | null): Pick<Workload, "name" | "namespace" | "labels" | "apiUid"> {
    return facts === null
      ? { name: this.uid, namespace: "", labels: {} }
      : {
          name: facts.name,
          namespace: facts.namespace,
          labels: facts.labels,
          ...(facts.apiUid === undefined ? {} : { apiUid: facts.apiUid }),
        };
  }

  #without(state: WorkloadError, settled: boolean): PodLook {
    this.close();
    this.#witness = null;
    return { state, settled };
  }

  /**
   * A process in the network namespace of the pod. The oldest one is the sandbox's, or was made by the runtime; whoever
   * comes later may have left for a namespace of its own. Null while there is none but in the node's namespace, where
   * a runtime starts before it goes into the pod's.
   */
  #findWitness(pids: readonly number[]): number | null {
    if (this.#witness !== null && this.#isPresent(this.#witness, pids)) return this.#witness.pid;
    const own = ownNamespaceInum();
    const candidates = this.#oldest.of(pids, Number.POSITIVE_INFINITY).flatMap(({ pid, start }) => {
      const inum = processNetns(pid);
      return inum === null || inum === own ? [] : [{ pid, start, inum }];
    });
    // The namespace that was the pod's stays so while anybody is in it.
    const found = candidates.find(({ inum }) => inum === this.#inspector?.inum) ?? candidates[0];
    if (found === undefined) return null;
    if (found.inum !== this.#inspector?.inum) {
      this.close();
      this.#searchDomains = null;
    }
    this.#witness = { pid: found.pid, start: found.start };
    return found.pid;
  }

  #isPresent({ pid, start }: FoundProcess, pids: readonly number[]): boolean {
    return pids.includes(pid) && processStart(pid) === start && processNetns(pid) === this.#inspector?.inum;
  }

  #inspect(pid: number, node: NodeView) {
    const path = `/proc/${pid}/ns/net`;
    this.#inspector ??= new NamespaceInspector(`of pod ${this.uid}`, path, statSync(path).ino);
    const { problems, ...seen } = this.#inspector.inspect(node.connection, node.links);
    const [problem] = problems;
    return seen.interfaces.length === 0 && problem !== undefined ? problem : { ...seen, problems };
  }

  /** Settled once each has a name and a root, but for the sandbox, which never gets a name. */
  #containersOf(processes: ReadonlyMap<ContainerCgroup, number[]>, facts: PodFacts | null) {
    const ids = new Set([...processes.keys()].map(({ id }) => id));
    for (const id of this.#containers.keys()) if (!ids.has(id)) this.#containers.delete(id);
    let unnamed = 0;
    const known = [...processes].flatMap(([{ id, cgroupIds }, pids]) => {
      const { name, witness, rootMount, started } = this.#identify(id, pids, facts);
      if (name === null) unnamed += 1;
      return name === null
        ? []
        : cgroupIds.map((cgroupId) => ({
            name,
            cgroupId,
            ...(witness === null ? {} : { root: `/proc/${witness}/root` }),
            ...(rootMount === null ? {} : { rootMount }),
            ...(started === null ? {} : { started }),
            ...(isEphemeral(name, facts) ? { isEphemeral: true } : {}),
          }));
    });
    return { known, settled: unnamed <= 1 && known.every(({ root }) => root !== undefined) && known.length > 0 };
  }

  #identify(id: string, pids: readonly number[], facts: PodFacts | null): KnownContainer {
    const known = this.#containers.get(id) ?? { name: null, witness: null, rootMount: null, started: null };
    this.#containers.set(id, known);
    known.started ??= firstStarted(pids);
    if (known.witness !== null && pids.includes(known.witness)) return known;
    known.witness = null;
    for (const { pid } of this.#oldest.of(pids, ASKED_MAX)) {
      const mounts = this.#files.mounts(pid);
      if (mounts === null || mounts.container === null) continue;
      known.name ??= mounts.container;
      if (!mounts.isRootMade) continue;
      known.rootMount ??= mounts.rootMount;
      if (mounts.rootMount === known.rootMount) known.witness ??= pid;
    }
    known.name = facts?.containers.find((container) => container.id === id)?.name ?? known.name;
    return known;
  }
}

function starting(uid: string, facts: PodFacts | null): WorkloadError {
  const name = facts === null ? uid : `${facts.namespace}/${facts.name}`;
  return new WorkloadError(
    "PC_POD_STARTING",
    `pod ${name} has no process in a network namespace of its own (yet); it is guarded as soon as it has one`,
  );
}

function onHostNetwork({ namespace, name }: PodFacts): WorkloadError {
  return new WorkloadError(
    "PC_POD_HOST_NETWORK",
    `pod ${namespace}/${name} shares the node's network namespace, where its packets cannot be distinguished from others: ` +
      "it is not protected. Run it without hostNetwork",
  );
}

/** What the pod's specification does not list (yet) was added to it. */
function isEphemeral(name: string, facts: PodFacts | null): boolean {
  if (facts === null) return false;
  const listed = facts.containers.find((container) => container.name === name);
  return listed === undefined || listed.ephemeral === true;
}
