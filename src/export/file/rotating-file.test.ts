/** Exports to files: filters, fields, rotation; half lines, moved files, full disks and disks that hang. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { gunzipSync } from "node:zlib";
import type { AgentEvent, VerdictEvent } from "../../flow/record.ts";
import { askRecordsState } from "../../node-agent/records/client.ts";
import type { ExportSettings, FileSettings } from "../settings.ts";
import { exporting, until } from "../testing/exporting.ts";
import { RotatingFile } from "./rotating-file.ts";

const root = mkdtempSync(join(tmpdir(), "pc-export-"));
const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing.reverse()) await close();
  rmSync(root, { recursive: true, force: true });
});

const MIB = 2 ** 20;
const settings = (path: string, more: Partial<ExportSettings> = {}): ExportSettings => ({
  ...{ name: "file", allow: [], deny: [], fields: [], queue: 16 * MIB },
  to: { kind: "file", path, maxSize: 10 * MIB, maxFiles: 5, compress: false },
  ...more,
});
const rotating = (path: string, more: Partial<FileSettings> = {}) =>
  new RotatingFile({ kind: "file", path, maxSize: MIB, maxFiles: 2, compress: false, ...more });
const linesOf = (text: string) => text.split("\n").filter((line) => line !== "");
const recordsOf = (path: string) => linesOf(readFileSync(path, "utf8")).map((line) => JSON.parse(line) as AgentEvent);
const half = "x".repeat(MIB / 2 - 1);

function started(folder: string, exports: ExportSettings[], limit = 0) {
  const running = exporting(folder, exports, limit);
  closing.push(() => running.records.end());
  return running;
}

test("each export gets the records that it wants, and the fields of them", async () => {
  const folder = join(root, "wanted");
  const path = (name: string) => join(folder, `${name}.json`);
  const running = started(folder, [
    settings(path("all")),
    settings(path("some"), {
      name: "some",
      allow: [{ verdict: ["dropped"], namespace: ["shop"] }, { port: ["1"] }],
      deny: [{ reason: ["Peer"] }],
      fields: [["count"], ["workload", "namespace"], ["process", "path"]],
    }),
  ]);
  running.write(300);
  await running.records.end();
  const all = recordsOf(path("all")) as VerdictEvent[];
  assert.deepEqual(
    all.map(({ count }) => count),
    Array.from({ length: 300 }, (_, number) => number + 1),
  );
  assert.ok(all.every(({ node }) => node === "worker-1"));
  const wanted = all.filter(
    ({ verdict, reason, workload }) => verdict === "dropped" && workload.namespace === "shop" && reason !== "Peer",
  );
  assert.ok(wanted.length > 0 && wanted.length < 300);
  assert.deepEqual(
    recordsOf(path("some")),
    wanted.map(({ count, process }) => ({
      count,
      workload: { namespace: "shop" },
      process: { path: process?.path },
    })),
  );
  assert.equal(statSync(path("all")).mode & 0o777, 0o600);
  assert.equal(running.states.get("file")?.taken, 300);
  assert.equal(running.states.get("some")?.taken, wanted.length);
});

test("a file that is full becomes the first of so many, which are compressed if that is wanted", async () => {
  for (const compress of [false, true]) {
    const path = join(root, `rotated-${compress}`, "records.json");
    const file = rotating(path, { compress });
    for (let number = 0; number < 9; number += 1) await file.send([file.encode({}, `${number}${half.slice(1)}`)]);
    await file.close();
    const end = compress ? ".gz" : "";
    const firsts = ["", `.1${end}`, `.2${end}`].map((name) => {
      const bytes = readFileSync(`${path}${name}`);
      const text = (name.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString();
      return linesOf(text).map((line) => line[0]);
    });
    assert.deepEqual(firsts, [["8"], ["6", "7"], ["4", "5"]]);
    assert.equal(existsSync(`${path}.3${end}`), false);
    assert.equal(existsSync(`${path}.1`), !compress);
  }
});

test("half a line that an agent which was killed has left is taken away; a file that was moved is begun anew", async () => {
  const path = join(root, "half", "records.json");
  mkdirSync(join(root, "half"));
  writeFileSync(path, '{"a":1}\n{"a":');
  const file = rotating(path);
  await file.send([file.encode({}, '{"a":2}')]);
  assert.equal(readFileSync(path, "utf8"), '{"a":1}\n{"a":2}\n');
  renameSync(path, `${path}.moved`);
  await file.send([file.encode({}, '{"a":3}')]);
  assert.equal(readFileSync(path, "utf8"), '{"a":3}\n');
  rmSync(path);
  await file.send([file.encode({}, '{"a":4}')]);
  assert.equal(readFileSync(path, "utf8"), '{"a":4}\n');
  appendFileSync(path, "no newline");
  await file.close();
  await file.send([file.encode({}, '{"a":5}')]);
  assert.equal(readFileSync(path, "utf8"), '{"a":4}\n{"a":5}\n');
  await file.close();
});

test("a full disk: what does not fit is counted, a record says so, and each other one is there once", async () => {
  const disk = join(root, "disk");
  mkdirSync(disk);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "none", disk]);
  closing.push(() => execFileSync("umount", ["--lazy", disk]));
  const path = join(disk, "records.json");
  const running = started(join(root, "full"), [settings(path, { queue: MIB })], 2 ** 30);
  const state = () => running.states.get("file");
  running.write(100);
  await until("the first ones", state, (one) => one?.taken === 100);
  spawnSync("dd", ["if=/dev/zero", `of=${join(disk, "filling")}`, "bs=4k"], { stdio: "ignore" });
  running.write(5_000);
  await until("it overflows", state, (one) => (one?.overflowed ?? 0) > 0 && one?.problem != null);
  assert.match(state()?.problem ?? "", /records\.json cannot be written: no space left on device \(ENOSPC\)/);
  const kept = () => askRecordsState(join(root, "full", "observe.sock"));
  assert.equal((await until("records are kept", kept, (one) => one !== null))?.problem, null);
  rmSync(join(disk, "filling"));
  await until("it goes on", state, (one) => one?.problem === null && one.waiting === 0);
  running.write(10);
  await running.records.end();
  const records = recordsOf(path);
  const lost = records.flatMap((record) => (record.type === "lost" ? [record.count] : []));
  const numbers = records.flatMap((record) => (record.type === "verdict" ? [record.count] : []));
  assert.deepEqual(lost, [state()?.overflowed]);
  assert.deepEqual([state()?.refused, state()?.taken], [0, records.length]);
  assert.equal(new Set(numbers).size, numbers.length, "none is there twice");
  assert.equal(numbers.length + (lost[0] ?? 0), running.written());
  assert.deepEqual(numbers.slice(-10), [5101, 5102, 5103, 5104, 5105, 5106, 5107, 5108, 5109, 5110]);
  assert.equal(running.log.filter((line) => line.includes("ENOSPC")).length, 1, running.log.join(""));
});

test("a disk that hangs keeps nobody: records are kept and asked for, what overflows is counted, the agent ends", async () => {
  const folder = join(root, "hangs");
  mkdirSync(folder);
  // A pipe that nobody reads takes 64 KiB; to write more takes for ever.
  const path = join(folder, "pipe");
  execFileSync("mkfifo", [path]);
  const good = join(folder, "good.json");
  const running = exporting(folder, [settings(path, { queue: MIB }), settings(good, { name: "good" })], 2 ** 30);
  running.write(5_000);
  await until(
    "it overflows",
    () => running.states.get("file"),
    (one) => (one?.overflowed ?? 0) > 0,
  );
  await until(
    "the other export has all",
    () => running.states.get("good"),
    (one) => one?.taken === 5_000,
  );
  const state = await askRecordsState(join(folder, "observe.sock"));
  assert.equal(state?.problem, null);
  assert.ok((state?.bytes ?? 0) > 0);
  await running.records.end();
  const { taken, overflowed, refused } = running.states.get("file") ?? {};
  assert.equal(taken, 0);
  assert.equal((overflowed ?? 0) + (refused ?? 0), 5_000);
  // The thread that waits for it is let go.
  spawnSync("timeout", ["3", "cat", path], { stdio: "ignore" });
});
