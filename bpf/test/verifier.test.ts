/** What the verifier thinks of the programs: all are accepted, with room to spare. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { globSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import { LoadError } from "../../src/node-agent/ffi/libbpf.ts";
import { BpfObject } from "../../src/node-agent/kernel/objects.ts";
import { VERIFIED_MAX, verifiedInstructions } from "../../test/harness/verified-instructions.ts";

const ROOT = join(import.meta.dirname, "../..");

const sources = globSync("*.bpf.c", { cwd: join(ROOT, "bpf") }).sort();

/** What the kernel says where a kind of program is not to be had on it, whatever is in the program. */
const NOT_OFFERED = ["EPERM", "EOPNOTSUPP", "ENOTSUPP"];
/** What it and libbpf say where it lacks what a program attaches to, or a function that it calls. */
const LACKING = /failed to find kernel BTF type ID of|(?:invalid|unknown) func /;
/** Programs that one kernel or another lacks something for, and does without. */
const OPTIONAL =
  /^(?:kprobe|kretprobe|fentry|fexit|lsm|sender)_|^socket_(?:writes|sent|received|reads)$|^find_(?:listeners|sockets)$/;

function isLacking(error: unknown): error is LoadError {
  return error instanceof LoadError && (NOT_OFFERED.includes(error.errnoName) || LACKING.test(error.log));
}

interface Loaded {
  object: BpfObject;
  /** Programs of kinds that this kernel does not offer; others stand in for them (see `portcullis doctor`). */
  left: string[];
}

/** What an option of the agent adds is looked at too. */
function constantsOf(source: string): Record<string, number> {
  return basename(source) === "classifier.bpf.c" ? { counts_flows: 1 } : {};
}

function load(source: string): Loaded {
  const path = `build/bpf/${basename(source, ".c")}.o`;
  execFileSync("make", ["-s", path], { cwd: ROOT });
  for (const left: string[] = []; ; ) {
    try {
      return { object: BpfObject.load(join(ROOT, path), { without: left, constants: constantsOf(source) }), left };
    } catch (error) {
      if (!isLacking(error)) throw error;
      const [, program] = /^prog '(\w+)': (?:BPF program load failed|failed to find)/m.exec(error.log) ?? [];
      if (program === undefined || left.includes(program) || !OPTIONAL.test(program)) throw error;
      left.push(program);
    }
  }
}

for (const source of sources) {
  test(`${source}: every program is verified with less than half of the kernel's limit`, (context) => {
    const { object, left } = load(source);
    using _open = object;
    for (const name of left) context.diagnostic(`${name.padEnd(16)} is of a kind that this kernel does not offer`);
    const programs = object.infos();
    assert.ok(programs.length > 0);
    const verified = verifiedInstructions(object, left);
    for (const { name, jitedBytes } of programs) {
      const count = verified.get(name) ?? Number.NaN;
      context.diagnostic(`${name.padEnd(16)} ${String(count).padStart(7)} instructions verified, ${jitedBytes} bytes`);
      assert.ok(count < VERIFIED_MAX, `${name}: ${count}`);
    }
  });
}
