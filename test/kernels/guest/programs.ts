/** Which programs this kernel takes. One that is refused is left out, so that it hides no other. */
import { readdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { Programs } from "../../../src/node-agent/enforce/attach/programs.ts";
import { LoadError } from "../../../src/node-agent/ffi/libbpf.ts";
import { BpfObject } from "../../../src/node-agent/kernel/objects.ts";
import { verifiedInstructions } from "../../harness/verified-instructions.ts";
import type { HookResult, ProgramResult } from "../results.ts";

const OBJECTS = join(import.meta.dirname, "../../../build/bpf");
/** Objects that are there for tests only. */
const NOT_SHIPPED = ["layout", "noop", "kernel_api", "refused"];
const LOG_END = 1500;
/** What libbpf says of the program that it gave up at. */
const REFUSED = /^prog '(\w+)': (?:BPF program load failed|failed to find)/m;

/** At the end of a consequence: what each way failed at. */
const REFUSALS = / \(.*\)$/s;
const PIN_ROOT = "/sys/fs/bpf/portcullis-matrix";

/** Loads and attaches what an agent does, for a moment, and says which ways it went. */
export function* tryHooks(): Generator<HookResult> {
  try {
    using programs = new Programs({
      pinRoot: PIN_ROOT,
      nameHashMultiplier: 1n,
      flows: { countFlows: true, readTcp: true },
    });
    for (const [job, way] of Object.entries(programs.hookSets)) yield { kind: "hook", job, way: way ?? "nothing" };
    for (const { program, consequence } of programs.missing) {
      yield { kind: "hook", job: `without ${program}: ${consequence.replace(REFUSALS, "")}`, way: "lost" };
    }
  } finally {
    rmSync(PIN_ROOT, { recursive: true, force: true });
  }
}

/** Tries every program of every object that ships. @throws LoadError if an object cannot be loaded at all */
export function* tryPrograms(): Generator<ProgramResult> {
  const objects = readdirSync(OBJECTS).filter((name) => name.endsWith(".bpf.o"));
  for (const name of objects.filter((file) => !NOT_SHIPPED.includes(basename(file, ".bpf.o")))) yield* tryObject(name);
}

function* tryObject(file: string): Generator<ProgramResult> {
  const object = basename(file, ".bpf.o");
  for (const refused: string[] = []; ; ) {
    try {
      using loaded = BpfObject.load(join(OBJECTS, file), { without: refused });
      const verified = verifiedInstructions(loaded, refused);
      for (const { name: program, instructions } of loaded.infos()) {
        yield { kind: "program", object, program, instructions, verified: verified.get(program) ?? 0 };
      }
      return;
    } catch (error) {
      const program = error instanceof LoadError ? REFUSED.exec(error.log)?.[1] : undefined;
      if (program === undefined || refused.includes(program)) throw error;
      refused.push(program);
      const text = error instanceof LoadError ? error.log.slice(-LOG_END) : "";
      yield { kind: "program", object, program, instructions: 0, verified: 0, refused: text };
    }
  }
}
