/** Records on disk: what is kept is found again, the oldest go first, and what is damaged costs nothing else. */
import assert from "node:assert/strict";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { zstdDecompressSync } from "node:zlib";
import type { AgentEvent } from "../../flow/record.ts";
import { blocksIn } from "./block.ts";
import { Keeper } from "./keeper.ts";
import { keptLine } from "./messages.ts";
import { ask } from "./testing/answers.ts";
import { sampleRecord } from "./testing/sample-records.ts";

const root = mkdtempSync(join(tmpdir(), "pc-records-"));
after(() => rmSync(root, { recursive: true, force: true }));
const START = Date.UTC(2026, 0, 2);
const LIMIT = 2 ** 30;
let folders = 0;

class Kept {
  readonly folder: string;
  readonly limit: number;
  readonly warnings: string[] = [];
  lost = 0;
  keeper: Keeper;
  #next = 0;

  constructor(limit = LIMIT, folder = join(root, String(folders++))) {
    this.folder = folder;
    this.limit = limit;
    this.keeper = this.#open();
  }

  /** As another agent would that begins. */
  restart(): void {
    this.keeper = this.#open();
  }

  /** Adds records, one a millisecond; each block has so many. */
  add(count: number, perBlock = 100): AgentEvent[] {
    return Array.from({ length: count }, () => {
      const record = sampleRecord(this.#next, START + this.#next);
      this.#next += 1;
      this.keeper.take([keptLine(record)]);
      if (this.#next % perBlock === 0) this.keeper.flush();
      return record;
    });
  }

  files(): string[] {
    return readdirSync(this.folder).sort();
  }

  bytes(): number {
    return this.files().reduce((sum, file) => sum + statSync(join(this.folder, file)).size, 0);
  }

  #open(): Keeper {
    return new Keeper(this.folder, this.limit, {
      onLost: (count) => {
        this.lost += count;
      },
      onWarning: (message) => this.warnings.push(message),
    });
  }
}

test("what is kept is found again, all of it, in its order, by whoever comes next", async () => {
  const kept = new Kept();
  const written = kept.add(1050);
  assert.deepEqual((await ask(kept.keeper)).records, written);
  kept.keeper.close();
  kept.restart();
  const later = kept.add(10);
  const { records, end } = await ask(kept.keeper);
  assert.deepEqual(records, [...written, ...later]);
  assert.deepEqual(end, { type: "end", lost: 0, damaged: 0 });
  kept.keeper.close();
});

/** As zstdcat reads a file: frames that are to be skipped (RFC 8878, 3.1.2) are, the others follow each other. */
function zstdText(bytes: Buffer): string {
  let offset = 0;
  return blocksIn(bytes)
    .blocks.map(({ index, end }) => {
      assert.equal(bytes.readUInt32LE(offset) & 0xfffffff0, 0x184d2a50);
      offset += 8 + bytes.readUInt32LE(offset + 4);
      const texts = index.frames.map(({ bytes: length }) => {
        offset += length;
        return zstdDecompressSync(bytes.subarray(offset - length, offset)).toString();
      });
      assert.equal(offset, end);
      return texts.join("");
    })
    .join("");
}

test("a segment is a file of zstd, whose content is the records", () => {
  const kept = new Kept();
  const written = kept.add(500);
  kept.keeper.close();
  const [file = ""] = kept.files();
  assert.match(file, /^0000000001-\d+-\d+\.zst$/);
  const lines = zstdText(readFileSync(join(kept.folder, file)))
    .trimEnd()
    .split("\n");
  assert.deepEqual(new Set(lines), new Set(written.map((record) => JSON.stringify(record))));
});

test("first, last, since, until and filters, alone and together", async () => {
  const kept = new Kept();
  const written = kept.add(5000);
  kept.keeper.close();
  kept.restart();
  written.push(...kept.add(333));
  const of = async (query: Parameters<typeof ask>[1]) => (await ask(kept.keeper, query)).records;
  assert.deepEqual(await of({ first: 7 }), written.slice(0, 7));
  assert.deepEqual(await of({ last: 7 }), written.slice(-7));
  assert.deepEqual(await of({ last: 450 }), written.slice(-450));
  assert.deepEqual(await of({ last: 10_000 }), written);
  assert.deepEqual(await of({ since: START + 1111, until: START + 2222 }), written.slice(1111, 2223));
  assert.deepEqual(await of({ since: START + 1111, until: START + 2222, last: 3 }), written.slice(2220, 2223));
  const select = { allow: [{ pod: ["web-3-"], verdict: ["dropped"] }], deny: [] };
  const wanted = written.filter((_, number) => number % 20 === 3 && number % 6 >= 3);
  assert.deepEqual(await of({ select }), wanted);
  assert.deepEqual(await of({ select, last: 30 }), wanted.slice(-30));
  assert.deepEqual(
    await of({ select, first: 30, since: START + 3000 }),
    wanted.filter(({ time }) => Date.parse(time) >= START + 3000).slice(0, 30),
  );
  assert.deepEqual(await of({ select: { allow: [], deny: [{ namespace: ["shop", "bank"] }] } }), []);
  kept.keeper.close();
});

test("all segments together never have more bytes than they may; the oldest go first, and an answer says so", async () => {
  const kept = new Kept(2 ** 20);
  const written: AgentEvent[] = [];
  for (let round = 0; round < 40; round += 1) {
    written.push(...kept.add(1000, 250));
    assert.ok(kept.bytes() <= 2 ** 20, `${kept.bytes()} bytes`);
  }
  const { records, end } = await ask(kept.keeper);
  assert.ok(records.length > 1000 && records.length < written.length, `${records.length} of ${written.length}`);
  assert.deepEqual(records, written.slice(-records.length));
  assert.equal(end.forgottenBefore, undefined);
  const asked = await ask(kept.keeper, { since: START });
  assert.equal(asked.end.forgottenBefore, records[0]?.time);
  assert.equal((await ask(kept.keeper, { since: START + 39_000 })).end.forgottenBefore, undefined);
  kept.keeper.close();
});

test("§9 a workload's flood pushes out its own records, and none of another's, also after a restart; answers say whose are gone", async () => {
  const kept = new Kept(2 ** 19);
  const flood = (from: number, count: number) => {
    for (let number = from; number < from + count; number += 1) {
      const record = sampleRecord(number, START + 10_000 + number, 1);
      kept.keeper.take([keptLine({ ...record, workload: { name: "loud", namespace: "loud", labels: {} } })]);
      if (number % 1000 === 999) kept.keeper.flush();
    }
    assert.ok(kept.bytes() <= 2 ** 19, `${kept.bytes()} bytes`);
  };
  const quiet = kept.add(400);
  const ofQuiet = { select: { allow: [{ namespace: ["shop", "bank"] }], deny: [] } };
  const ofLoud = { select: { allow: [{ namespace: ["loud"] }], deny: [] } };
  flood(0, 20_000);
  kept.keeper.close();
  kept.restart();
  flood(20_000, 20_000);
  const { records, end } = await ask(kept.keeper, { ...ofQuiet, since: START });
  assert.deepEqual(records, quiet);
  assert.equal(end.forgottenBefore, undefined);
  const loud = await ask(kept.keeper, { ...ofLoud, since: START });
  assert.equal(loud.records.at(-1)?.time, new Date(START + 10_000 + 39_999).toISOString());
  assert.ok(loud.records.length < 35_000, `${loud.records.length} records`);
  assert.ok(Date.parse(loud.end.forgottenBefore ?? "") < Date.parse(loud.records[0]?.time ?? ""));
  assert.equal((await ask(kept.keeper, { ...ofLoud, since: START + 10_000 + 39_000 })).end.forgottenBefore, undefined);
  kept.keeper.close();
});

test("blocks of few records are joined when their segment is sealed", async () => {
  const kept = new Kept();
  const written = kept.add(2000, 2);
  const before = kept.bytes();
  kept.keeper.close();
  assert.ok(kept.bytes() < before / 3, `${kept.bytes()} of ${before} bytes`);
  kept.restart();
  assert.deepEqual((await ask(kept.keeper)).records, written);
});

test("an agent that is killed while it writes: whatever of its last block is there, all before it is", async () => {
  const kept = new Kept();
  const written = kept.add(300);
  const [file = ""] = kept.files();
  const path = join(kept.folder, file);
  const before = statSync(path).size;
  kept.add(100);
  const bytes = readFileSync(path);
  for (let length = before; length < bytes.length; length += 37) {
    const folder = join(root, String(folders++));
    mkdirSync(folder);
    writeFileSync(join(folder, file), bytes.subarray(0, length));
    const next = new Kept(LIMIT, folder);
    const { records, end } = await ask(next.keeper);
    assert.deepEqual(records, written, `${length} bytes`);
    assert.deepEqual(end, { type: "end", lost: 0, damaged: 0 });
    assert.deepEqual(next.warnings, []);
  }
});

test("an agent that is killed while it seals: nothing is there twice", async () => {
  const kept = new Kept();
  const written = kept.add(300);
  const [open = ""] = kept.files();
  const copy = join(root, "open");
  copyFileSync(join(kept.folder, open), copy);
  kept.keeper.close();
  copyFileSync(copy, join(kept.folder, open));
  writeFileSync(join(kept.folder, "segment.tmp"), "half");
  kept.restart();
  assert.deepEqual((await ask(kept.keeper)).records, written);
  assert.equal(kept.files().length, 1);
});

for (const [what, damage] of [
  ["a byte is another", (bytes: Buffer, at: number) => bytes.fill((bytes[at] ?? 0) ^ 1, at, at + 1)],
  ["4,096 bytes are zero", (bytes: Buffer, at: number) => bytes.fill(0, at, at + 4096)],
  ["the end is missing", (bytes: Buffer, at: number) => bytes.subarray(0, at)],
] as const) {
  test(`a damaged segment, of which ${what}: it is set aside and reported once, and the rest is read`, async () => {
    const kept = new Kept();
    // Blocks that are too big to be joined.
    const written = [...kept.add(12_000, 2000)];
    kept.keeper.close();
    kept.restart();
    written.push(...kept.add(2000, 2000));
    kept.keeper.close();
    const [file = ""] = kept.files();
    const bytes = readFileSync(join(kept.folder, file));
    writeFileSync(join(kept.folder, file), damage(bytes, Math.floor(bytes.length / 2)));
    kept.restart();
    const { records, end } = await ask(kept.keeper);
    assert.equal(end.damaged, 1);
    assert.ok(records.length >= 6000 && records.length < written.length, `${records.length} records`);
    const there = new Set(written.map(({ time }) => time));
    assert.ok(records.every(({ time }) => there.has(time)));
    assert.deepEqual(records.slice(-2000), written.slice(-2000));
    assert.deepEqual((await ask(kept.keeper)).records, records, "again the same");
    assert.equal(kept.warnings.length, 1);
    assert.match(kept.warnings[0] ?? "", /is damaged, and set aside as .*\.damaged\.zst/);
    assert.equal(kept.keeper.state.damaged, 1);
    assert.deepEqual((await ask(kept.keeper, { since: START + 13_000 })).end, { type: "end", lost: 0, damaged: 0 });
  });
}

test("files of others in the folder are left alone", async () => {
  const kept = new Kept();
  kept.add(10);
  kept.keeper.close();
  writeFileSync(join(kept.folder, "notes.txt"), "mine");
  kept.restart();
  assert.equal((await ask(kept.keeper)).records.length, 10);
  assert.ok(kept.files().includes("notes.txt"));
});

test("who follows gets what is kept and what comes, each once, also while a segment is sealed", async () => {
  const kept = new Kept(2 * 2 ** 20);
  const written = kept.add(3000);
  const got: AgentEvent[] = [];
  const stop = new AbortController();
  const answered = kept.keeper.answer(
    { select: { allow: [], deny: [] }, follow: true },
    {
      signal: stop.signal,
      write: async (lines) => {
        got.push(...lines.map((line) => JSON.parse(line) as AgentEvent));
        // More comes while it reads what is kept: the segment that it began with is sealed.
        if (written.length < 9000) written.push(...kept.add(60));
        return true;
      },
    },
  );
  while (got.length < 9000) await new Promise((settle) => setImmediate(settle));
  stop.abort();
  await answered;
  assert.equal(got.length, written.length);
  assert.deepEqual(got, written);
  assert.ok(kept.files().length > 1, "a segment was sealed meanwhile");
  kept.keeper.close();
});

test("a follower that does not read costs no more than a bound, and is told what it has missed", async () => {
  const kept = new Kept();
  const got: AgentEvent[] = [];
  let read: () => void = () => {};
  const slow = new Promise<void>((settle) => {
    read = settle;
  });
  const stop = new AbortController();
  const answered = kept.keeper.answer(
    { select: { allow: [], deny: [] }, follow: true },
    {
      signal: stop.signal,
      write: async (lines) => {
        await slow;
        got.push(...lines.map((line) => JSON.parse(line) as AgentEvent));
        return true;
      },
    },
  );
  const written = kept.add(20_000);
  read();
  const counted = () => got.reduce((sum, record) => sum + (record.type === "lost" ? record.count : 1), 0);
  while (counted() < written.length) await new Promise((settle) => setImmediate(settle));
  assert.equal(counted(), written.length);
  assert.equal(got.find(({ type }) => type === "lost")?.type, "lost");
  stop.abort();
  await answered;
  kept.keeper.close();
});
