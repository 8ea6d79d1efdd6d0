/** What ends a process, and what ends only the work for one peer. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";

/** Runs a program with the guard, in a process of its own. */
function run(program: string): { status: number | null; stdout: string; stderr: string } {
  const source = `
    import { confine, guardProcess, unconfined } from ${JSON.stringify(import.meta.resolve("./confine.ts"))};
    import { createLogger } from ${JSON.stringify(import.meta.resolve("../telemetry/logger.ts"))};
    const log = createLogger({ format: "json" });
    guardProcess({ log, onConfined: (what) => console.log("confined", what), exit: () => process.exit(3) });
    const work = (peer) => ({ what: "test", peer, end: () => console.log("ended", peer) });
    setTimeout(() => console.log("still here"), 100);
    ${program}`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", source], {
    encoding: "utf8",
    timeout: 20_000,
  });
  return { status, stdout, stderr };
}

const THROWS: Readonly<Record<string, string>> = {
  "in a timer": "setTimeout(() => { throw new Error('x'); }, 1)",
  "in a promise that nobody waits for": "Promise.resolve().then(() => { throw new Error('x'); })",
  "after a while of waiting": "(async () => { await new Promise((go) => setTimeout(go, 5)); null.x; })()",
  "in the next tick": "process.nextTick(() => { throw new RangeError('x'); })",
};

for (const [where, code] of Object.entries(THROWS)) {
  test(`an error ${where} ends the work for its peer, and no other`, () => {
    const { status, stdout, stderr } = run(`confine(work("a"), () => { ${code} }); confine(work("b"), () => {});`);
    assert.equal(status, 0, stderr);
    assert.equal(stdout, "confined test\nended a\nstill here\n");
    assert.match(stderr, /"code":"PC_UNCAUGHT".*"peer":"a"/);
  });

  test(`an error ${where} that is of no peer's work ends the process`, () => {
    const { status, stdout, stderr } = run(code);
    assert.equal(status, 3);
    assert.equal(stdout, "");
    assert.match(stderr, /"level":60.*"code":"PC_UNCAUGHT"/);
  });
}

test("what a peer has led to, and is not its own, ends the process", () => {
  const { status } = run(`
    confine(work("a"), () => unconfined(() => setTimeout(() => { throw new Error("x"); }, 1)));`);
  assert.equal(status, 3);
});

test("work that cannot be ended ends the process", () => {
  const { status } = run(`
    confine({ ...work("a"), end: () => { throw new Error("no"); } }, () => { process.nextTick(() => { throw new Error("x"); }); });`);
  assert.equal(status, 3);
});
