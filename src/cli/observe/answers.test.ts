/** An answer that was interrupted is incomplete, unless it is one that only an interruption ends. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { EVERY_RECORD } from "../../flow/filters/filter.ts";
import { answerOfAgent, missingIn } from "./answers.ts";

const folder = mkdtempSync(join(tmpdir(), "pc-answers-"));
const socket = join(folder, "observe.sock");
/** Answers with one record, and then waits. */
const server = http.createServer((_, response) => {
  response.write(`${JSON.stringify({ time: "2026-01-02T03:04:05Z", type: "lost", where: "kernel", count: 3 })}\n`);
});

before(async () => await new Promise<void>((settle) => server.listen(socket, settle)));
after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

async function interrupted(follow: boolean) {
  const ending = new AbortController();
  const answer = answerOfAgent(socket, { select: EVERY_RECORD, follow }, ending.signal);
  assert.equal((await answer.next()).done, false);
  ending.abort();
  const { done, value } = await answer.next();
  assert.equal(done, true);
  return value;
}

test("a question that is interrupted has an answer that broke off", async () => {
  const end = await interrupted(false);
  assert.equal(end, null);
  assert.match(missingIn(null).join(), /incomplete: the answer broke off/);
});

test("who follows ends it, and has all but what was lost", async () => {
  assert.deepEqual(await interrupted(true), { type: "end", lost: 3, damaged: 0 });
});
