import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Process, ProcessFlag } from "../kernel/abi.gen.ts";
import { inspectScript, ScriptVerifier } from "./scripts.ts";
import { SILENT } from "./testing/workloads.ts";

/** A /proc of one process, 42, whose root is on an overlay. */
let proc = "";
let directory = "";

before(() => {
  proc = mkdtempSync(join(tmpdir(), "pc-proc-"));
  directory = join(proc, "42");
  const upper = join(proc, "upper");
  mkdirSync(join(directory, "root/app"), { recursive: true });
  mkdirSync(join(upper, "app"), { recursive: true });
  for (const name of ["run.py", "changed.py"]) writeFileSync(join(directory, "root/app", name), "#!/usr/bin/python3\n");
  writeFileSync(join(directory, "root/app/binary"), "\u007fELF");
  symlinkSync("run.py", join(directory, "root/app/link.py"));
  writeFileSync(join(upper, "app/changed.py"), "");
  writeFileSync(join(directory, "mountinfo"), `1 0 0:1 / / rw - overlay overlay rw,lowerdir=/l,upperdir=${upper}\n`);
});
after(() => rmSync(proc, { recursive: true, force: true }));

test("the image's own script is verified", () => {
  assert.equal(inspectScript(directory, "/app/run.py"), "verified");
});

test("a link, a file that was changed, one without a shebang and one that is gone are not", () => {
  assert.equal(inspectScript(directory, "/app/link.py"), "not the file itself");
  assert.equal(inspectScript(directory, "/app/changed.py"), "changed");
  assert.equal(inspectScript(directory, "/app/binary"), "not a script");
  assert.equal(inspectScript(directory, "/app/absent.py"), "not the file itself");
  assert.equal(inspectScript(join(proc, "43"), "/app/run.py"), "not the file itself");
});

function verifier(process: Partial<Process>, path: string | null = "/app/run.py") {
  const entry: Process = { ...Process.decode(Buffer.alloc(Process.SIZE)), ...process };
  const verified: number[] = [];
  const parts = {
    path: () => path,
    process: (tgid: number) => (tgid === 42 ? entry : undefined),
    processes: (): [number, Process][] => [[42, entry]],
    setVerified: (tgid: number) => verified.push(tgid) > 0,
    log: SILENT,
    procRoot: proc,
  };
  return { scripts: new ScriptVerifier(parts), verified };
}

const script = { scriptId: 3, flags: ProcessFlag.SCRIPT };

test("a script of the image is verified", () => {
  const { scripts, verified } = verifier(script);
  scripts.verify(42);
  assert.deepEqual(verified, [42]);
  scripts.verifyAll();
  assert.deepEqual(verified, [42, 42]);
});

test("what is no script, verified already, of no known path or gone by now is passed over", () => {
  const cases = [
    verifier({ scriptId: 3 }),
    verifier({ ...script, scriptId: 0 }),
    verifier({ ...script, flags: ProcessFlag.SCRIPT | ProcessFlag.SCRIPT_VERIFIED }),
    verifier(script, null),
    verifier(script, "/app/changed.py"),
  ];
  for (const { scripts, verified } of cases) {
    scripts.verify(42);
    scripts.verify(43);
    assert.deepEqual(verified, []);
  }
});
