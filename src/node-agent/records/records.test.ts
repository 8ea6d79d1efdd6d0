/** The thread of records, and who asks it over its socket: killed, on a full disk, flooded, asked wrongly. */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type AnswerEnd, isComplete, type RecordQuery } from "../../flow/query.ts";
import type { AgentEvent, VerdictEvent } from "../../flow/record.ts";
import { createLogger } from "../../telemetry/logger.ts";
import { askRecords, askRecordsState } from "./client.ts";
import { Records } from "./records.ts";
import { sampleRecord } from "./testing/sample-records.ts";

const PATIENCE = 20_000 * Number(process.env.PORTCULLIS_TEST_PATIENCE ?? 1);
const root = mkdtempSync(join(tmpdir(), "pc-records-"));
const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing.reverse()) await close();
  rmSync(root, { recursive: true, force: true });
});

function started(folder: string, socket = join(root, `${closing.length}.sock`)) {
  const lost = { queue: 0, disk: 0, kernel: 0, output: 0, export: 0 };
  const log: string[] = [];
  const records = new Records({
    ...{ folder, limit: 2 ** 30, socket, node: "worker-1", exports: [], serve: null },
    onLost: (where, count) => {
      lost[where] += count;
    },
    log: createLogger({ write: (line) => log.push(line) }),
  });
  closing.push(() => records.end());
  return { records, socket, lost, log };
}

async function ask(
  socket: string,
  query: Partial<RecordQuery> = {},
): Promise<{ records: AgentEvent[]; end: AnswerEnd }> {
  const lines: string[] = [];
  const whole = { select: { allow: [], deny: [] }, follow: false, ...query };
  for await (const line of askRecords(socket, whole, new AbortController().signal)) lines.push(line);
  const end = JSON.parse(lines.pop() ?? "null") as AnswerEnd;
  return { records: lines.map((line) => JSON.parse(line) as AgentEvent), end };
}

async function until<T>(what: string, get: () => Promise<T>, isRight: (value: T) => boolean): Promise<T> {
  for (const end = performance.now() + PATIENCE; ; await sleep(50)) {
    const value = await get().catch((cause: unknown) => cause);
    if (!(value instanceof Error) && isRight(value as T)) return value as T;
    assert.ok(
      performance.now() < end,
      `${what}: ${JSON.stringify(value)?.slice(0, 500)} ${String(value).slice(0, 500)}`,
    );
  }
}

test("what is written is found over the socket, which is its owner's alone, also by who comes after a restart", async () => {
  const folder = join(root, "simple");
  const first = started(folder);
  const written = Array.from({ length: 500 }, (_, number) => sampleRecord(number, 1_700_000_000_000 + number));
  for (const record of written) first.records.write(record);
  const expected = written.map((record) => ({ ...record, node: "worker-1" }));
  const all = await until(
    "all",
    () => ask(first.socket),
    ({ records }) => records.length === 500,
  );
  assert.deepEqual(all.records, expected);
  assert.deepEqual(all.end, { type: "end", lost: 0, damaged: 0 });
  assert.equal(statSync(first.socket).mode & 0o777, 0o600);
  await first.records.end();
  assert.equal(await askRecordsState(first.socket), null);
  const second = started(folder);
  const { records } = await until(
    "all again",
    () => ask(second.socket),
    () => true,
  );
  assert.deepEqual(records, expected);
  assert.equal((await askRecordsState(second.socket))?.segments, 1);
});

test("who follows gets what is written from now on", async () => {
  const { records, socket } = started(join(root, "follow"));
  await until(
    "it serves",
    () => ask(socket),
    () => true,
  );
  const stop = new AbortController();
  const got: AgentEvent[] = [];
  const query = { select: { allow: [{ verdict: ["dropped"] }], deny: [] }, follow: true };
  const reading = (async () => {
    for await (const line of askRecords(socket, query, stop.signal)) got.push(JSON.parse(line) as AgentEvent);
  })();
  let number = 0;
  await until(
    "ten",
    async () => {
      records.write(sampleRecord(number, Date.now()));
      number += 1;
      return got.length;
    },
    (count) => count >= 10,
  );
  assert.ok(got.every((record) => (record as VerdictEvent).verdict === "dropped"));
  stop.abort();
  await reading;
});

test("kill -9 in a loop while it writes: at most the last second is missing, and never an older record", async () => {
  const folder = join(root, "killed");
  const writer = join(import.meta.dirname, "testing/writer-process.ts");
  let next = 0;
  for (let round = 0; round < 6; round += 1) {
    const child = spawn(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", writer, folder, join(root, "killed.sock"), String(next)],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    const written: [number, number][] = [];
    const lines = createInterface({ input: child.stdout });
    lines.on("line", (line) => written.push(JSON.parse(line) as [number, number]));
    const enough = 1500 + round * 170;
    await until(
      "it writes",
      async () => written.length,
      (count) => count > 20,
    );
    await sleep(enough);
    const killedAt = Date.now();
    await killed(child);
    const old = written.filter(
      ([, time]) => time < killedAt - 1000 * Number(process.env.PORTCULLIS_TEST_PATIENCE ?? 1),
    );
    next = (written.at(-1)?.[0] ?? next) + 1;
    const { records, socket } = started(folder);
    const kept = await until(
      "what is kept",
      () => ask(socket),
      () => true,
    );
    assert.ok(isComplete(kept.end), JSON.stringify(kept.end));
    const numbers = new Set(kept.records.map((record) => (record as VerdictEvent).count));
    assert.ok(old.length > 0);
    const missing = old.filter(([number]) => !numbers.has(number));
    assert.deepEqual(missing, [], `round ${round}`);
    assert.equal(numbers.size, kept.records.length, "none is there twice");
    await records.end();
  }
});

async function killed(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "exit");
}

test("a full disk: nothing is kept, which is said and counted; once there is room, records are kept again", async () => {
  const disk = join(root, "disk");
  mkdirSync(disk);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k", "none", disk]);
  closing.push(() => execFileSync("umount", ["--lazy", disk]));
  const { records, socket, lost, log } = started(join(disk, "records"));
  let number = 0;
  const write = () => {
    records.write(sampleRecord(number, Date.now()));
    number += 1;
  };
  write();
  await until(
    "the first",
    () => ask(socket),
    (answer) => answer.records.length === 1,
  );
  spawnSync("dd", ["if=/dev/zero", `of=${join(disk, "filling")}`, "bs=4k"], { stdio: "ignore" });
  for (let count = 0; count < 2000; count += 1) write();
  const state = await until(
    "it is said",
    () => askRecordsState(socket),
    (one) => one?.problem != null,
  );
  assert.match(state?.problem ?? "", /^records cannot be kept in .*\/records: no space left on device \(ENOSPC\)$/);
  await until(
    "the agent knows",
    async () => records.state.problem,
    (problem) => problem?.includes("ENOSPC") === true,
  );
  assert.ok(lost.disk > 0);
  const meanwhile = await ask(socket);
  assert.equal(isComplete(meanwhile.end), false);
  assert.match(meanwhile.end.problem ?? "", /ENOSPC/);
  rmSync(join(disk, "filling"));
  await until(
    "they are kept again",
    async () => {
      write();
      return askRecordsState(socket);
    },
    (one) => one?.problem === null,
  );
  await until(
    "what was lost is counted",
    () => ask(socket),
    ({ records: there, end }) => {
      const told = there.reduce((sum, record) => sum + (record.type === "lost" ? record.count : 0), 0);
      const kept = there.filter(({ type }) => type !== "lost").length;
      return told === lost.disk && end.lost === told && kept + told === number;
    },
  );
  assert.equal(log.filter((line) => line.includes("ENOSPC")).length, 1, log.join(""));
  assert.equal(log.filter((line) => line.includes("kept again")).length, 1);
});

test("more than the thread can take: memory has its bound, and all that is left out is counted", async () => {
  const { records, socket, lost } = started(join(root, "flooded"));
  const record = sampleRecord(1, Date.now());
  for (let count = 0; count < 60_000; count += 1) records.write(record);
  assert.ok(lost.queue > 0, "16 MiB may wait");
  await until(
    "all that was taken is kept",
    () => ask(socket, { last: 60_000 }),
    ({ records: there }) => there.length === 60_000 - lost.queue,
  );
  records.write(record);
  const { records: there, end } = await until(
    "the next",
    () => ask(socket, { last: 2 }),
    ({ records: last }) => last.some(({ type }) => type === "lost"),
  );
  assert.equal(there.length, 2);
  assert.equal(end.lost, lost.queue);
});

test("wrong questions are refused by their names", async () => {
  const { socket } = started(join(root, "wrong"));
  await until(
    "it serves",
    () => ask(socket),
    () => true,
  );
  const wrong: [unknown, RegExp][] = [
    [{ select: { allow: [{ port: ["eighty"] }], deny: [] } }, /filter port cannot be "eighty"/],
    [{ select: { allow: [{ colour: ["red"] }], deny: [] } }, /select\.allow\.0 cannot have "colour": there are type,/],
    [{ select: { allow: [], deny: [{ port: "80" }] } }, /select\.deny\.0\.port has to be a list of 1000 texts/],
    [{ select: { allow: [{ pod: ["x".repeat(5000)] }], deny: [] } }, /select\.allow\.0\.pod has to be a list/],
    [{ select: { allow: {}, deny: [] } }, /select\.allow has to be a list of 100 at most/],
    [{ select: [] }, /select has to be an object/],
    [{ last: 0 }, /\.last has to be a whole number from 1/],
    [{ since: -1 }, /\.since has to be a whole number from 0/],
    [{ until: "now" }, /\.until has to be a whole number/],
    [{ follow: "yes" }, /\.follow has to be true or false/],
    [{ limit: 5 }, /cannot have "limit"/],
  ];
  for (const [query, message] of wrong) {
    await assert.rejects(ask(socket, query as Partial<RecordQuery>), { code: "PC_OBSERVE_SERVER", message });
  }
  const raw = net.connect(socket);
  raw.end("POST /v1/records HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello");
  assert.match(String(await once(raw, "data")), /^HTTP\/1\.1 400 [\s\S]*the question has to be an object/);
});

test("where nobody answers, the message says why", async () => {
  await assert.rejects(ask(join(root, "absent.sock")), {
    code: "PC_OBSERVE_SERVER",
    message: /absent\.sock: there is no such socket/,
  });
  writeFileSync(join(root, "file"), "");
  await assert.rejects(ask(join(root, "file")), { code: "PC_OBSERVE_SERVER" });
  await assert.rejects(ask(join(root, "x".repeat(120))), { code: "PC_OBSERVE_SERVER" });
});

test("a socket that somebody removes is made again", async () => {
  const { socket } = started(join(root, "removed"));
  await until(
    "it serves",
    () => ask(socket),
    () => true,
  );
  rmSync(socket);
  await until(
    "it serves again",
    () => ask(socket),
    () => true,
  );
});
