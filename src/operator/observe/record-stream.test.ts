import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { eventually } from "../../kube/testing/silence.ts";
import { RecordStream } from "./record-stream.ts";

test("silence is distinguished from death", async () => {
  const output = new PassThrough();
  const stream = new RecordStream(output, () => {}, { aliveInterval: 10 });
  let text = "";
  output.on("data", (chunk) => {
    text += chunk;
  });
  await eventually("a sign of life", () => text.includes('"alive"'));
  stream.end("enough", false);
  await eventually("the last words", () => text.includes('"enough"'));
  const length = text.length;
  stream.event("{}");
  stream.end("again", true);
  await new Promise((settle) => setTimeout(settle, 30));
  assert.equal(text.length, length);
});

test("a reader who takes nothing is let go after a while", async () => {
  const output = new PassThrough({ highWaterMark: 16 });
  let ends = 0;
  const stream = new RecordStream(
    output,
    () => {
      ends += 1;
    },
    { aliveInterval: 10, stallLimit: 40, bufferLimit: 100 },
  );
  for (let index = 0; index < 50; index += 1) stream.event(`{"event":${index}}`);
  assert.ok(output.writableLength < 300);
  await eventually("it is let go", () => output.destroyed);
  assert.equal(ends, 1);
  assert.equal(stream.ended, true);
});

test("a reader who takes nothing, and is told that it is over, is not waited for", async () => {
  const output = new PassThrough({ highWaterMark: 16 });
  const stream = new RecordStream(output, () => {}, { stallLimit: 40 });
  for (let index = 0; index < 50; index += 1) stream.event(`{"event":${index}}`);
  stream.end("enough", false);
  const keepsRunning = setInterval(() => {}, 1_000);
  await eventually("it is let go", () => output.destroyed).finally(() => clearInterval(keepsRunning));
});
