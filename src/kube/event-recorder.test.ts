import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
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

/** Of an object in another namespace. */
const elsewhere = (recorded: RecordedEvent): RecordedEvent => ({
  ...recorded,
  regarding: { ...recorded.regarding, namespace: "b" },
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
  mock.restoreAll();
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

test("a namespace that has something to tell all the time leaves others their events", async () => {
  for (let pod = 0; pod < 300; pod += 1) {
    for (let index = 0; index < 10; index += 1) recorder.record(event(`no ${index}`, `pod-${pod}`));
  }
  recorder.record(elsewhere(event("no", "other")));
  await recorder.flush();
  const namespaces = server.list(EVENTS).map(({ metadata }) => metadata.namespace);
  assert.equal(namespaces.filter((namespace) => namespace === "b").length, 1);
  assert.ok(namespaces.length < 50, `${namespaces.length} events`);
});

test("an event of an object whose name is cut at a dot is written", async () => {
  const name = `${"a".repeat(199)}.${"b".repeat(20)}`;
  recorder.record(event("no", name));
  await recorder.flush();
  const [first] = server.list(EVENTS);
  assert.match(first?.metadata.name ?? "", /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/);
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
        recorder.record(elsewhere({ ...event(`no ${index}`, `bad-${pod}`), source: "bad" }));
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

test("the machine's clock is set forward: what was counted until then is written", async () => {
  recorder.record(event("no"));
  await recorder.flush();
  recorder.record(event("no"));
  const { now } = Date;
  mock.method(Date, "now", () => now() + 3_600_000);
  await recorder.flush();
  assert.equal(stored()[0]?.series?.count, 2);
});
