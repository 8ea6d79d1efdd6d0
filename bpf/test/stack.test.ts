/**
 * The stack: a chain of calls has 512 bytes, and kernels before 6.8 count each function's part in steps of 32. Newer ones
 * count less, so a chain that is too deep for the older ones would show only there.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { globSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";

const ROOT = join(import.meta.dirname, "../..");
/** MAX_BPF_STACK of the kernel, and the step of check_max_stack_depth before 6.8. */
const STACK_MAX = 512;
const STEP = 32;

interface Function {
  depth: number;
  calls: Set<string>;
}

/** Depth of the stack and calls of each function, from the disassembly. */
function readFunctions(path: string): Map<string, Function> {
  const text = execFileSync("llvm-objdump", ["-d", "-r", "--no-show-raw-insn", path], { encoding: "utf8" });
  const functions = new Map<string, Function>();
  let current: Function = { depth: 0, calls: new Set() };
  let holdsFrame = "";
  for (const line of text.split("\n")) {
    const [, label] = /^[0-9a-f]+ <(\w+)>:$/.exec(line) ?? [];
    if (label !== undefined && !label.startsWith("LBB")) {
      current = { depth: 0, calls: new Set() };
      functions.set(label, current);
    }
    const [, called] = /R_BPF_64_32\s+(\w+)/.exec(line) ?? [];
    if (called !== undefined) current.calls.add(called);
    // An access to the stack, or an address in it: rN = r10, then rN += -offset.
    const [, access] = /r10 - (\d+)\)/.exec(line) ?? [];
    const [, added, offset] = /(r\d) \+= -(\d+)$/.exec(line) ?? [];
    current.depth = Math.max(current.depth, Number(access ?? 0), added === holdsFrame ? Number(offset) : 0);
    holdsFrame = /(r\d) = r10$/.exec(line)?.[1] ?? "";
  }
  return functions;
}

/** The deepest chain of calls from a function: its bytes and its links. */
function deepest(functions: Map<string, Function>, name: string): { bytes: number; chain: string } {
  const { depth, calls } = functions.get(name) ?? { depth: 0, calls: new Set() };
  const below = [...calls].filter((called) => functions.has(called)).map((called) => deepest(functions, called));
  const next = below.reduce((most, one) => (one.bytes > most.bytes ? one : most), { bytes: 0, chain: "" });
  const bytes = Math.ceil(Math.max(depth, 1) / STEP) * STEP + next.bytes;
  return { bytes, chain: `${name} (${depth})${next.chain === "" ? "" : ` > ${next.chain}`}` };
}

for (const source of globSync("*.bpf.c", { cwd: join(ROOT, "bpf") }).sort()) {
  test(`${source}: no chain of calls needs more than ${STACK_MAX} bytes of stack, as kernels before 6.8 count`, () => {
    const path = `build/bpf/${basename(source, ".c")}.o`;
    execFileSync("make", ["-s", path], { cwd: ROOT });
    const functions = readFunctions(join(ROOT, path));
    for (const name of functions.keys()) {
      const { bytes, chain } = deepest(functions, name);
      assert.ok(bytes <= STACK_MAX, `${bytes} bytes: ${chain}`);
    }
  });
}
