/** For tests of programs on the kernel's functions: one set of them at a time, as the agent attaches them. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { FunctionHooks, type HookSet, type HookSets } from "../../src/node-agent/enforce/attach/function-hooks.ts";
import { pinObject } from "../../src/node-agent/ffi/bpf.ts";
import { bytes, u64 } from "../../src/node-agent/kernel/codec.ts";
import { probeFunctionTracing, probeKprobes } from "../../src/node-agent/kernel/features/programs.ts";
import { attachPinned } from "../../src/node-agent/kernel/links/links.ts";
import { BpfMap } from "../../src/node-agent/kernel/maps.ts";
import { BpfObject, readObjectPrograms } from "../../src/node-agent/kernel/objects.ts";
import { PinFolder, testObject } from "../../src/node-agent/kernel/testing/program-fixture.ts";
import { type Maps, openMaps } from "../../src/node-agent/kernel/typed-maps.ts";
import { ensureVethDriver } from "../../src/node-agent/netlink/veth-driver.ts";

const PROBES = { fentry: probeFunctionTracing, kprobes: probeKprobes } as const;

/** Why this kernel cannot run a set; false if it can. For `skip`. */
export function lacks(set: HookSet): string | false {
  return PROBES[set]().state === "supported" ? false : `no ${set} on this kernel`;
}

/** The same for programs on functions of modules, as devices.bpf.o has them. */
export function lacksForModules(set: HookSet): string | false {
  ensureVethDriver();
  if (set !== "fentry" || existsSync("/sys/kernel/btf/veth") || !existsSync("/sys/module/veth")) return lacks(set);
  return lacks(set) || "no fentry on functions of modules on this kernel";
}

/** Maps that only the programs use: by name, with the size of their values. */
const INNER_MAPS: Readonly<Record<string, number>> = { makings: 8, registerings: 8, movings: 16, bindings: 8 };

/** The programs of devices.bpf.o and flows.bpf.o of one set, attached, with those that tell processes. */
export class FunctionHooksHarness implements Disposable {
  readonly maps: Maps;
  readonly sets: Readonly<HookSets>;
  readonly #pins: PinFolder;
  readonly #hooks: FunctionHooks;
  readonly #inner: BpfMap<bigint, Buffer>[] = [];

  constructor(set: HookSet) {
    this.#pins = new PinFolder(`hooks-${set}`);
    const pinRoot = this.#pins.path;
    const links = join(pinRoot, "links");
    using processes = BpfObject.load(testObject("processes"), { pinRoot });
    for (const program of processes.programs()) {
      if (!program.section.startsWith("iter/")) attachPinned(program, join(links, program.name)).close();
    }
    this.#hooks = new FunctionHooks({
      links,
      programs: (name) => readObjectPrograms(testObject(name)),
      load: (name, without) => this.#load(name, without),
      reset: () => {},
      allowed: [set],
    });
    this.sets = this.#hooks.sets;
    this.maps = openMaps(pinRoot);
  }

  /** Why a job is not done. */
  get missing(): string {
    return JSON.stringify(this.#hooks.missing);
  }

  /** Entries of maps that are empty whenever no call is on its way. */
  callsUnderWay(): number {
    return this.#inner.reduce((sum, map) => sum + map.count(), 0);
  }

  [Symbol.dispose](): void {
    for (const map of this.#inner) map.close();
    this.maps[Symbol.dispose]();
    this.#hooks.close();
    this.#pins[Symbol.dispose]();
  }

  #load(name: string, without: string[]): BpfObject {
    const object = BpfObject.load(testObject(name), { pinRoot: this.#pins.path, without });
    for (const map of object.mapNames().filter((candidate) => candidate in INNER_MAPS)) {
      const pin = join(this.#pins.path, `${map}_${this.#inner.length}`);
      pinObject(object.mapFd(map), pin);
      this.#inner.push(BpfMap.open(pin, u64, bytes(INNER_MAPS[map] ?? 0)));
    }
    return object;
  }
}
