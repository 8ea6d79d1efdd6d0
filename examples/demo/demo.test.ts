/**
 * `make demo` and `make demo-learn` show what they promise, fit a terminal of 80 columns, and leave nothing behind, also when they are
 * interrupted. They have one stage, so that one runs after the other.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { collect } from "./command.ts";
import { remains } from "./stage.ts";

const COLUMNS = 80;

/** Step, pod, process, verdict and reason of the closing table. */
const TABLE = `
  3  ping     /usr/…/my-app  allowed  Allowed
  3  ping     /usr/…/my-app  allowed  Allowed
  3  pong     /usr/…/pong   allowed  Allowed
  4  ping     /usr/…/my-app  dropped  DnsName
  5  ping     /usr/…/my-app  dropped  Peer
  6  ping     /usr/bin/curl  dropped  BinaryUnknown
  7  pong     /usr/bin/curl  dropped  BinaryUnknown
  7  pong     /usr/bin/nc   alerted  Listen
  8  attacker  /usr/bin/curl  dropped  BinaryUnknown
  8  attacker  /usr/bin/curl  dropped  IpSpoofing
  8  attacker  (no process)  dropped  ArpSpoofing
  9  ping     /usr/bin/curl  alerted  BinaryUnknown
  9  ping     /usr/bin/curl  alerted  BinaryUnknown
 10  ping     /usr/bin/nc   alerted  BinaryUnknown
 10  ping     /usr/bin/nc   dropped  BinaryUnknown
 11  ping     /usr/bin/curl  dropped  BinaryUnknown`;

function startDemo(program = "demo.ts"): { demo: ChildProcess; output: () => string } {
  const demo = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", join(import.meta.dirname, program)], {
    env: { ...process.env, COLUMNS: String(COLUMNS), NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  assert.ok(demo.stdout !== null);
  return { demo, output: collect(demo.stdout) };
}

/** Its rows, by words: the columns are as wide as what is in them. */
function words(table: string): string[][] {
  return table
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/ {2,}/));
}

test("every step shows what it says, in lines that fit, and nothing is left", async () => {
  const { demo, output } = startDemo();
  const [status] = await once(demo, "close");
  assert.equal(status, 0, output());
  const [, table = ""] = output().split(/^ *STEP .*$/m);
  const [rows = ""] = table.split("\n\n");
  assert.deepEqual(
    words(rows).map(([step, pod, process, , verdict, reason]) => [step, pod, process, verdict, reason]),
    words(TABLE),
  );
  assert.deepEqual(
    output()
      .split("\n")
      .filter((line) => line.length > COLUMNS),
    [],
  );
  assert.deepEqual(remains(), []);
});

test("Ctrl-C ends it with 130, and nothing is left", async () => {
  const { demo, output } = startDemo();
  while (!output().includes("enforced attacker") && demo.exitCode === null) await once(demo.stdout ?? demo, "data");
  demo.kill("SIGINT");
  const [status] = await once(demo, "close");
  assert.equal(status, 130, output());
  assert.deepEqual(remains(), []);
});

test("learning: from a pod that nobody knows to a profile that is enforced, every step shows what it says", async () => {
  const { demo, output } = startDemo("learn/demo-learn.ts");
  const [status] = await once(demo, "close");
  assert.equal(status, 0, output());
  assert.match(output(), /^ 6\/6 Enforce$/m);
  assert.match(output(), /dropped ping +\/usr\/bin\/nc .* BinaryUnknown$/m);
  const wide = output()
    .split("\n")
    .filter((line) => line.length > COLUMNS && !/^ {5} *(#|- .* # )/.test(line));
  assert.deepEqual(wide, [], "only comments of the profile are wider");
  assert.deepEqual(remains(), []);
});
