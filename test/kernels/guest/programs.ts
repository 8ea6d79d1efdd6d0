/** Which programs this kernel takes. Each is loaded alone, so that one that is refused hides no other. */
import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { causeText } from "../../../src/api/errors.ts";
import { closeObject, describeProgram, listPrograms, openObject } from "../../../src/node-agent/ffi/libbpf.ts";
import { BpfObject } from "../../../src/node-agent/kernel/objects.ts";
import type { ProgramResult } from "../results.ts";

const OBJECTS = join(import.meta.dirname, "../../../build/bpf");
/** Objects that are there for tests only. */
const NOT_SHIPPED = ["layout", "noop", "kernel_api", "refused"];
const LOG_END = 1500;

function programNames(path: string): string[] {
  const object = openObject(path, null);
  try {
    return listPrograms(object).map((program) => describeProgram(program).name);
  } finally {
    closeObject(object);
  }
}

function loadAlone(path: string, program: string, others: string[]): ProgramResult {
  const result = { kind: "program" as const, object: basename(path, ".bpf.o"), program };
  try {
    using object = BpfObject.load(path, { without: others });
    const [info] = object.infos();
    return { ...result, instructions: info?.instructions ?? 0, verified: info?.verifiedInstructions ?? 0 };
  } catch (error) {
    return { ...result, instructions: 0, verified: 0, refused: causeText(error).slice(-LOG_END) };
  }
}

/** Tries every program of every object that ships. */
export function* tryPrograms(): Generator<ProgramResult> {
  const objects = readdirSync(OBJECTS).filter((name) => name.endsWith(".bpf.o"));
  for (const name of objects.filter((file) => !NOT_SHIPPED.includes(basename(file, ".bpf.o")))) {
    const path = join(OBJECTS, name);
    const programs = programNames(path);
    for (const program of programs) {
      yield loadAlone(
        path,
        program,
        programs.filter((other) => other !== program),
      );
    }
  }
}
