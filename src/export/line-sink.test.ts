import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { test } from "node:test";
import type { AgentEvent } from "../flow/record.ts";
import { LineSink } from "./line-sink.ts";

const time = "2026-01-02T03:04:05.678Z";
const lost = (count: number): AgentEvent => ({ time, type: "lost", where: "kernel", count });
const verdict = { type: "verdict", time } as AgentEvent;

/** A reader that takes nothing until it is asked to. */
function slowReader() {
  const lines: string[] = [];
  let release: (() => void) | null = null;
  let open = false;
  const stream = new Writable({
    write(chunk, _, done) {
      lines.push(String(chunk));
      if (open) done();
      else release = done;
    },
  });
  return {
    ...{ stream, lines },
    read: () => {
      open = true;
      release?.();
    },
  };
}

test("JSON is one object a line", async () => {
  const { stream, lines, read } = slowReader();
  read();
  new LineSink(stream, { format: "json", colours: false }).write(lost(2));
  await new Promise((settle) => setImmediate(settle));
  assert.deepEqual(lines, [`${JSON.stringify(lost(2))}\n`]);
});

test("lines that are written in one turn leave in one piece", async () => {
  const pieces: number[] = [];
  const stream = new Writable({
    writev(chunks, done) {
      pieces.push(chunks.length);
      done();
    },
  });
  const sink = new LineSink(stream, { format: "json", colours: false });
  for (let n = 0; n < 3; n++) sink.write(lost(n));
  await new Promise((settle) => setImmediate(settle));
  assert.deepEqual(pieces, [3]);
});

test("a reader that is too slow loses verdicts, and is told how many; what happened to the policy always comes", async () => {
  const { stream, lines, read } = slowReader();
  const now = () => new Date(time);
  const sink = new LineSink(stream, { format: "json", colours: false, bufferLimit: 100, now });
  for (let n = 0; n < 10; n++) sink.write(verdict);
  assert.ok(stream.writableLength < 300, "what waits is bounded");
  sink.write({ time, type: "ready", workloads: ["a"] });
  read();
  await sink.end();
  const events = lines
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { type: string; where?: string; count?: number });
  const delivered = events.filter(({ type }) => type === "verdict").length;
  assert.equal(events.filter(({ type }) => type === "ready").length, 1);
  assert.deepEqual(events.at(-1), { time, type: "lost", where: "output", count: 10 - delivered });
});

test("a reader that has gone is no error", async () => {
  const stream = new Writable({ write: (_, __, done) => done(new Error("EPIPE")) });
  const sink = new LineSink(stream, { format: "text", colours: false });
  sink.write(lost(1));
  await sink.end();
  sink.write(lost(1));
  assert.equal(sink.closed, true);
});
