/**
 * Programs on functions of the kernel: bpf/devices.bpf.c and bpf/flows.bpf.c. What a kernel allows differs, so for each
 * job there are several sets of programs, and the first one that the kernel takes is used. None of them is needed to
 * enforce; `missing` lists what is lost without them.
 */
import { join } from "node:path";
import { causeText } from "../../../api/errors.ts";
import { findKernelType } from "../../ffi/libbpf.ts";
import { listPins } from "../../kernel/bpffs.ts";
import type { Finding } from "../../kernel/features/finding.ts";
import { probeFunctionTracing, probeKprobes, probeLsm } from "../../kernel/features/programs.ts";
import { attachPinned, type BpfLink, detachPinned } from "../../kernel/links/links.ts";
import type { BpfObject, LoadedProgram } from "../../kernel/objects.ts";
import { ATTACH_TYPE } from "../../kernel/program-types.ts";
import { ensureVethDriver } from "../../netlink/veth-driver.ts";

/** How programs get to functions: by trampolines, or by breakpoints, which cost more. */
export const HOOK_SETS = ["fentry", "kprobes"] as const;
export type HookSet = (typeof HOOK_SETS)[number];
/** How the sender of a connected socket is seen: before the packet (lsm, fentry), or after it. */
export type SenderSet = "lsm" | "fentry" | "tracepoints";

/** What is used for each job; null: nothing. */
export interface HookSets {
  /** Which veth pairs there are, from the moment they are made. */
  devices: HookSet | null;
  /** Who uses which address: the second source of socket owners. */
  flows: HookSet | null;
  senders: SenderSet | null;
}

interface Candidate<S extends string> {
  set: S;
  /** Says whether it need be tried. */
  probe: () => Finding;
  /** Of the programs' names. */
  pattern: RegExp;
}

const FUNCTIONS: readonly Candidate<HookSet>[] = [
  { set: "fentry", probe: probeFunctionTracing, pattern: /^f(?:entry|exit)_/ },
  { set: "kprobes", probe: probeKprobes, pattern: /^k(?:ret)?probe_/ },
];
const SENDERS: readonly Candidate<"lsm" | "fentry">[] = [
  { set: "lsm", probe: probeLsm, pattern: /^lsm_/ },
  { set: "fentry", probe: probeFunctionTracing, pattern: /^sender_/ },
];

const CANDIDATES = { devices: FUNCTIONS, flows: FUNCTIONS, senders: SENDERS } as const;

/** Tracepoints of bpf/sockets.bpf.c that see the sender too, but after the packet. */
const SENDER_TRACEPOINTS: readonly string[] = ["socket_sent", "socket_received"];
/**
 * What else of bpf/sockets.bpf.c shows who writes into a stream, where nothing is put on the kernel's functions. `socket_transmits`
 * stays in any case: it alone sees who sends by the paths of Multipath TCP.
 */
const SENDER_SUBSTITUTES: readonly string[] = ["socket_writes"];

const JOBS = {
  devices: { name: "veth detection", lost: "veth pairs are known from rtnetlink alone" },
  flows: { name: "flow registration", lost: "packets that come without their socket may be judged by `default`" },
  senders: {
    name: "sender detection",
    lost: "the sender on a connected socket is looked for at each packet, which costs more",
  },
} as const satisfies Record<keyof HookSets, { name: string; lost: string }>;

const NOT_LASTING = {
  program: "lasting kprobes",
  consequence: "while no agent runs, those that there are see nothing",
};

/** What moves devices between namespaces. Where this is there, dev_change_net_namespace is not called any more. */
const MOVE_FUNCTION = "__dev_change_net_namespace";
const MOVE_PROGRAMS: readonly string[] = ["kprobe_move", "kretprobe_move"];

type HookObject = "devices" | "flows";

export interface FunctionHookOptions {
  /** Folder of the links' pins. */
  links: string;
  /** Names of all programs of an object. */
  programs: (object: HookObject) => string[];
  load: (object: HookObject, without: string[]) => BpfObject;
  /** Empties the maps that a job fills: nobody has done it for a while, so that they may be out of date. */
  reset: (job: keyof HookSets) => void;
  /** Sets that may be used; what is left out is not even tried. */
  allowed: readonly HookSet[];
}

/** What is lost, and why. */
export interface MissingJob {
  program: string;
  consequence: string;
}

/** The sets that are tried first on this kernel. That they are used in the end is not said. */
export function expectedHookSets(): HookSets {
  const functions = FUNCTIONS.find(isOffered)?.set ?? null;
  const tracepoints = findKernelType("sock_send_length", ATTACH_TYPE.TRACE_RAW_TP) === null ? null : "tracepoints";
  return {
    devices: functions,
    flows: functions,
    senders: SENDERS.find(isOffered)?.set ?? tracepoints,
  };
}

/** What is attached, by the names of the pins of links. */
export function attachedHookSets(pins: readonly string[]): HookSets {
  const first = <S extends string>(candidates: readonly Candidate<S>[], program: RegExp) =>
    candidates.find(({ pattern }) => pins.some((name) => pattern.test(name) && program.test(name)))?.set ?? null;
  const tracepoints = SENDER_TRACEPOINTS.every((name) => pins.includes(name)) ? "tracepoints" : null;
  return {
    devices: first(FUNCTIONS, /_remove$/),
    flows: first(FUNCTIONS, /_release$/),
    senders: first(SENDERS, /_sends$/) ?? tracepoints,
  };
}

/** Security modules' hooks are trampolines too. */
function isAllowed(set: "lsm" | HookSet, allowed: readonly HookSet[]): boolean {
  return allowed.includes(set === "lsm" ? "fentry" : set);
}

function isOffered({ probe }: Candidate<string>): boolean {
  return probe().state === "supported";
}

export class FunctionHooks implements Disposable {
  readonly sets: Readonly<HookSets>;
  /** Jobs that nothing does although the kernel offers what it takes. What it does not offer, `doctor` says. */
  readonly missing: MissingJob[] = [];
  readonly #options: FunctionHookOptions;
  /** Links that go with this process. */
  readonly #held: BpfLink[] = [];

  /** Attaches what the kernel takes, and removes what an earlier agent had instead. What there is must be known by now. */
  constructor(options: FunctionHookOptions) {
    this.#options = options;
    const functions = FUNCTIONS.filter(({ set }) => options.allowed.includes(set));
    if (functions.length > 0) ensureVethDriver();
    this.sets = {
      devices: this.#use("devices", "devices", functions),
      flows: this.#use("flows", "flows", functions),
      senders: this.#useSenders(),
    };
    if (this.#held.length > 0) this.missing.push(NOT_LASTING);
  }

  close(): void {
    for (const link of this.#held.splice(0)) link.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #useSenders(): SenderSet | null {
    const allowed = SENDERS.filter(({ set }) => isAllowed(set, this.#options.allowed));
    const used = this.#use("flows", "senders", allowed);
    const { links } = this.#options;
    if (used !== null)
      for (const name of [...SENDER_TRACEPOINTS, ...SENDER_SUBSTITUTES]) detachPinned(join(links, name));
    return used ?? attachedHookSets(listPins(links)).senders;
  }

  /** The first candidate whose programs are all loaded and attached; the others' are removed. */
  #use<S extends string>(object: HookObject, job: keyof HookSets, candidates: readonly Candidate<S>[]): S | null {
    const offered = candidates.filter(isOffered);
    const refusals: string[] = [];
    const used = offered.find(({ set, pattern }) => {
      const refusal = this.#try(object, job, pattern);
      if (refusal !== null) refusals.push(`${set}: ${refusal}`);
      return refusal === null;
    });
    this.#removeOthers(object, job, used?.pattern ?? null);
    if (used === undefined && refusals.length > 0) {
      const { name, lost } = JOBS[job];
      this.missing.push({ program: name, consequence: `${lost} (${refusals.join("; ")})` });
    }
    return used?.set ?? null;
  }

  /** Null if it works, or why not. */
  #try(object: HookObject, job: keyof HookSets, pattern: RegExp): string | null {
    try {
      this.#attachSet(object, job, pattern);
      return null;
    } catch (cause) {
      return causeText(cause).split("\n")[0] ?? "";
    }
  }

  #attachSet(object: HookObject, job: keyof HookSets, pattern: RegExp): void {
    const { links, programs, load, reset } = this.#options;
    using loaded = load(
      object,
      programs(object).filter((name) => !pattern.test(name)),
    );
    const attached: { link: BpfLink; pin: string }[] = [];
    const pins = listPins(links);
    if (!loaded.programs().some(({ name }) => pins.includes(name))) reset(job);
    try {
      for (const program of loaded.programs()) {
        const pin = join(links, program.name);
        attached.push({ link: attachPinned(program, pin, placeOf(program)), pin });
      }
    } catch (cause) {
      for (const { link, pin } of attached) {
        link.close();
        detachPinned(pin);
      }
      throw cause;
    }
    for (const { link } of attached) {
      if (link.lasting) link.close();
      else this.#held.push(link);
    }
  }

  #removeOthers(object: HookObject, job: keyof HookSets, used: RegExp | null): void {
    const candidates: readonly Candidate<string>[] = CANDIDATES[job];
    const others = candidates.map(({ pattern }) => pattern).filter((pattern) => pattern !== used);
    const { links, programs } = this.#options;
    for (const name of programs(object)) {
      if (others.some((pattern) => pattern.test(name))) detachPinned(join(links, name));
    }
  }
}

/** The function for a kprobe, if it is not the one in its section. */
function placeOf({ name }: LoadedProgram): string | undefined {
  const renamed = MOVE_PROGRAMS.includes(name) && findKernelType(MOVE_FUNCTION, ATTACH_TYPE.TRACE_FENTRY) !== null;
  return renamed ? MOVE_FUNCTION : undefined;
}
