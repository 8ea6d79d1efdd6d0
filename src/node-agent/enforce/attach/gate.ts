/**
 * The gate, from user space: bpf/gate.bpf.c on the root of the pods' cgroup, what it may let through, and which network
 * namespaces are admitted. Like everything that is pinned it goes on without the agent.
 */
import { statfsSync } from "node:fs";
import { join, resolve } from "node:path";
import { causeText, PortcullisError } from "../../../api/errors.ts";
import { GateFlag } from "../../../gen/abi.gen.ts";
import type { Logger } from "../../../telemetry/logger.ts";
import { ownNamespaceInum } from "../../discovery/namespaces/bound-namespaces.ts";
import { namespaceCookie } from "../../discovery/namespaces/namespace-cookie.ts";
import { liveNamespaces } from "../../discovery/namespaces/namespace-processes.ts";
import { attachPinned, detachPinned } from "../../kernel/links/links.ts";
import { cgroupRoot } from "../../kernel/mounts.ts";
import { BpfObject } from "../../kernel/objects.ts";
import type { Maps } from "../../kernel/typed-maps.ts";
import { returnGatedClaim } from "../tables/claims.ts";

/** Programs of gate.bpf.o, and the names of their pins. */
export const GATE_PROGRAMS = ["gate_sends", "gate_receives"] as const;

const LINKS = "links";
const NS_PER_MS = 1_000_000n;
/** CGROUP2_SUPER_MAGIC, <linux/magic.h>. */
const CGROUP2_MAGIC = 0x63677270;

/** The gate cannot be where it was wanted. */
export class GateError extends PortcullisError {
  constructor(message: string) {
    super("PC_GATE_CGROUP", message);
  }
}

export interface GateOptions {
  /** Cgroup whose processes have to wait, absolute or below the root of the cgroup v2 hierarchy. */
  cgroup: string;
  /** Milliseconds that a namespace that is not admitted is held, from its first packet on. */
  timeout: number;
  /** Whether it is let through after that. */
  opensAfterTimeout: boolean;
}

/** A network namespace that has sent or received something and is not admitted yet. */
export interface GatedNamespace {
  netnsInum: number;
  /** Packets. */
  dropped: number;
  /** Packets after the timeout of a gate that opens. */
  passed: number;
}

type GateMaps = Pick<Maps, "gate" | "admitted" | "gated" | "socketOwners" | "claims">;

/** A network namespace whose interfaces all have classifiers, and where it can be opened. */
export interface AdmittedNamespace {
  netnsInum: number;
  netnsPath: string;
}

/**
 * The directory of a cgroup that was named.
 * @throws GateError if there is none; MountError without cgroup v2
 */
export function gateCgroup(name: string): string {
  const root = cgroupRoot();
  const path = name.startsWith(`${root}/`) ? resolve(name) : resolve(join(root, name));
  try {
    if (statfsSync(path).type === CGROUP2_MAGIC) return path;
  } catch (cause) {
    throw new GateError(
      `gate at cgroup ${name}: ${causeText(cause)}. Name a cgroup below ${root}, such as kubepods.slice`,
    );
  }
  throw new GateError(`gate at cgroup ${name}: ${path} is no cgroup. Name one below ${root}, such as kubepods.slice`);
}

/** The pods' gate. Making one changes nothing; `shut` does. */
export class Gate {
  readonly #maps: GateMaps;
  readonly #log: Logger;
  #reported: ReadonlySet<number> = new Set();

  constructor(maps: GateMaps, log: Logger) {
    this.#maps = maps;
    this.#log = log;
  }

  get isShut(): boolean {
    return ((this.#maps.gate.get(0)?.flags ?? 0) & GateFlag.CLOSED) !== 0;
  }

  /**
   * Shuts it, or, if it is shut, takes over from the agent before: without a moment in which it is open.
   * @param objectPath gate.bpf.o
   * @throws GateError, LoadError, KernelError
   */
  shut(pinRoot: string, objectPath: string, { cgroup, timeout, opensAfterTimeout }: GateOptions): void {
    const path = gateCgroup(cgroup);
    this.#maps.gate.set(0, {
      timeout: BigInt(timeout) * NS_PER_MS,
      flags: GateFlag.CLOSED | (opensAfterTimeout ? GateFlag.OPENS_AFTER_TIMEOUT : 0),
      hostNetns: ownNamespaceInum(),
    });
    using object = BpfObject.load(objectPath, { pinRoot });
    for (const name of GATE_PROGRAMS) attachPinned(object.program(name), join(pinRoot, LINKS, name), path).close();
  }

  /** Takes away what an agent with a gate has left. True if there was something. */
  remove(pinRoot: string): boolean {
    this.#maps.gate.set(0, { timeout: 0n, flags: 0, hostNetns: 0 });
    const removed = GATE_PROGRAMS.filter((name) => detachPinned(join(pinRoot, LINKS, name)));
    for (const netnsInum of [...this.#maps.gated.keys()]) this.#forget(netnsInum);
    return removed.length > 0;
  }

  /**
   * Lets these namespaces through, and no others.
   * @param namespaces namespaces whose interfaces all have classifiers
   */
  admit(namespaces: readonly AdmittedNamespace[]): void {
    for (const entry of namespaces) this.#admitOne(entry);
    const wanted = new Set(namespaces.map(({ netnsInum }) => netnsInum));
    this.#maps.admitted.deleteAll([...this.#maps.admitted.keys()].filter((netnsInum) => !wanted.has(netnsInum)));
  }

  /** Warns of namespaces that have been let through since the last call: each is reported once. */
  reportLetThrough(): void {
    const letThrough = readGated(this.#maps).filter(({ passed }) => passed > 0);
    for (const namespace of letThrough) {
      if (this.#reported.has(namespace.netnsInum)) continue;
      this.#log.warn(
        { ...namespace },
        `network namespace ${namespace.netnsInum} was not named to this agent in time: the gate lets it through, unjudged`,
      );
    }
    this.#reported = new Set(letThrough.map(({ netnsInum }) => netnsInum));
  }

  /** Forgets namespaces that are no more: their numbers are used again. */
  forgetDead(): void {
    const waiting = [...this.#maps.gated.keys()];
    if (waiting.length === 0) return;
    const live = liveNamespaces();
    for (const netnsInum of waiting) if (!live.has(netnsInum)) this.#forget(netnsInum);
  }

  /** One that cannot be admitted waits: the gate is the safe side. */
  #admitOne({ netnsInum, netnsPath }: AdmittedNamespace): void {
    try {
      const cookie = namespaceCookie(netnsPath, netnsInum, (socket) => this.#cookieOf(socket));
      // Its name is gone, or is another's: what was admitted under it stays as it is.
      if (cookie === null) return;
      if (this.#maps.admitted.get(netnsInum) !== cookie) this.#maps.admitted.set(netnsInum, cookie);
      this.#forget(netnsInum);
    } catch (cause) {
      this.#log.error({ netnsPath, err: cause }, "cannot let a network namespace through the gate; trying again");
    }
  }

  #forget(netnsInum: number): void {
    const gated = this.#maps.gated.get(netnsInum);
    if (gated !== undefined && this.#maps.gated.delete(netnsInum)) returnGatedClaim(this.#maps.claims, gated.owner);
  }

  /** Of a new socket's namespace, as the program that saw the socket's creation has it; 0n where that was not attached. */
  #cookieOf(socket: number): bigint {
    return this.#maps.socketOwners.get(socket)?.netnsCookie ?? 0n;
  }
}

/** Network namespaces behind the gate, with or without an agent. */
export function readGated(maps: Pick<Maps, "gated">): GatedNamespace[] {
  return [...maps.gated.entries()].map(([netnsInum, { dropped, passed }]) => ({
    netnsInum,
    dropped: Number(dropped),
    passed: Number(passed),
  }));
}
