import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { EventRecorder, type RecordedEvent } from "./event-recorder.ts";
import { EVENTS } from "./resources.ts";
import { FakeApiServer } from "./testing/fake-api-server.ts";
import { silentLogger } from "./testing/silence.ts";

let server: FakeApiServer;
let recorder: EventRecorder;
let suppressed = 0;

const event = (note: string, name = "pod"): RecordedEvent => ({
  regarding: { apiVersion: "v1", kind: "Pod", namespace: "a", name, uid: `uid-${name}` },
  type: "Warning",
  reason: "PolicyViolation",
  action: "Drop",
  note,
});

beforeEach(async () => {
  server = await FakeApiServer.start();
  suppressed = 0;
  recorder = new EventRecorder(server.connection(), {
    controller: "security.datadoghq.com/test",
    instance: "test",
    log: silentLogger(),
    onSuppressed: (count) => {
      suppressed += count;
    },
  });
});

afterEach(async () => {
  await recorder.close();
  await server.close();
});

const stored = () => server.list(EVENTS) as unknown as { note: string; series?: { count: number } }[];

test("the same again is one event with a count", async () => {
  recorder.record(event("no"));
  await recorder.flush();
  for (let index = 0; index < 4; index += 1) recorder.record(event("no"));
  await recorder.flush();
  recorder.record(event("other"));
  await recorder.flush();
  assert.deepEqual(
    stored().map(({ note, series }) => [note, series?.count]),
    [
      ["no", 5],
      ["other", undefined],
    ],
  );
});

test("an object has a limited number of events, and others have theirs", async () => {
  for (let index = 0; index < 30; index += 1) recorder.record(event(`no ${index}`));
  recorder.record(event("no", "second"));
  await recorder.flush();
  assert.equal(stored().length, 11);
  assert.equal(suppressed, 20);
});

test("one source has a share of all events, new ones and counts alike, and others have theirs", async () => {
  const flood = () => {
    for (let pod = 0; pod < 60; pod += 1) {
      for (let index = 0; index < 5; index += 1)
        recorder.record({ ...event(`no ${index}`, `bad-${pod}`), source: "bad" });
    }
  };
  for (let turn = 0; turn < 4; turn += 1) {
    flood();
    await recorder.flush();
  }
  const writes = server.requests.filter((line) => /^(POST|PATCH) .*events/.test(line)).length;
  assert.ok(writes <= 30, `${writes} writes for one source`);
  for (let pod = 0; pod < 20; pod += 1) recorder.record({ ...event("no", `good-${pod}`), source: "good" });
  recorder.record(event("our own"));
  await recorder.flush();
  const notes = server.list(EVENTS) as unknown as { regarding: { name: string } }[];
  assert.equal(notes.filter(({ regarding }) => regarding.name.startsWith("good-")).length, 20);
  assert.ok(stored().some(({ note }) => note === "our own"));
  assert.ok(suppressed >= 1_000, `${suppressed} are counted as left out`);
});

test("long notes are cut to what the API takes", async () => {
  recorder.record(event("ü".repeat(1000)));
  await recorder.flush();
  assert.ok(Buffer.byteLength(stored()[0]?.note ?? "") <= 1024);
  assert.ok(stored()[0]?.note.endsWith("ü..."));
});

test("an API server that refuses loses the event, and nothing else", async () => {
  server.fail(/events/, 500);
  recorder.record(event("lost"));
  await recorder.flush();
  assert.equal(suppressed, 1);
  recorder.record(event("kept"));
  await recorder.flush();
  assert.deepEqual(
    stored().map(({ note }) => note),
    ["kept"],
  );
});
