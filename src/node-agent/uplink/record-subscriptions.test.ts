import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { VerdictEvent } from "../../flow/record.ts";
import { SubscriptionSchema, SubscriptionsSchema, type TelemetryReport } from "../../gen/telemetry_pb.js";
import { RecordSubscriptions } from "./record-subscriptions.ts";
import { violationEvent } from "./testing/violation.ts";

class Stream {
  full = false;
  readonly messages: TelemetryReport[] = [];

  write(message: TelemetryReport): void {
    this.messages.push(message);
  }

  get observations() {
    return this.messages.flatMap(({ message }) => (message.case === "observations" ? message.value.observations : []));
  }

  get lost(): bigint {
    const losses = this.messages.flatMap(({ message }) => (message.case === "observations" ? message.value.lost : []));
    return losses.reduce((sum, { count }) => sum + count, 0n);
  }
}

const wanted: string[][] = [];
let subscriptions: RecordSubscriptions;

type SubscriptionFields = Exclude<MessageInitShape<typeof SubscriptionSchema>, { $typeName: string }>;

function subscribed(stream: Stream, list: SubscriptionFields[], leaseMilliseconds = 60_000): void {
  wanted.length = 0;
  subscriptions = new RecordSubscriptions({
    onAllowedWanted: (uids) => wanted.push([...uids]),
  });
  subscriptions.start(stream);
  say(list, leaseMilliseconds);
}

function say(list: SubscriptionFields[], leaseMilliseconds = 60_000): void {
  const made = list.map((subscription, index) =>
    create(SubscriptionSchema, { id: index + 1, podUid: "uid-web", verdicts: ["dropped"], rate: 100, ...subscription }),
  );
  subscriptions.take(create(SubscriptionsSchema, { subscriptions: made, leaseMilliseconds }));
}

afterEach(() => subscriptions.stop());

const event = (more: Partial<VerdictEvent> = {}) =>
  violationEvent({ process: { path: "/bin/sh", script: "/run.sh", container: "main" }, ...more });

test("each subscription gets what it asks for: pod, verdict, direction, process, container", () => {
  const stream = new Stream();
  subscribed(stream, [
    {},
    { podUid: "uid-other" },
    { verdicts: ["alerted"] },
    { direction: "ingress" },
    { path: "/run.sh" },
    { path: "/bin/other" },
    { container: "main" },
    { container: "sidecar" },
  ]);
  subscriptions.write(event());
  // Another pod that has the name now.
  subscriptions.write(event({ workload: { name: "web", namespace: "default", labels: {}, uid: "uid-next" } }));
  subscriptions.write(event({ workload: { name: "web", namespace: "default", labels: {} } }));
  subscriptions.flush();
  assert.deepEqual(
    stream.observations.map(({ subscriptions: ids }) => ids),
    [[1, 5, 7]],
  );
});

test("beyond the rate, and where the connection does not take it, there is a count", () => {
  const stream = new Stream();
  subscribed(stream, [{ rate: 3 }, { rate: 1000 }]);
  for (let index = 0; index < 10; index += 1) subscriptions.write(event());
  subscriptions.flush();
  assert.equal(stream.observations.filter(({ subscriptions: ids }) => ids.includes(1)).length, 3);
  assert.equal(stream.lost, 7n);
  stream.full = true;
  for (let index = 0; index < 5_000; index += 1) subscriptions.write(event());
  subscriptions.flush();
  assert.equal(stream.observations.length, 10);
  stream.full = false;
  subscriptions.flush();
  assert.ok(stream.observations.length <= 2_010);
  assert.ok(stream.messages.length > 5, "no message is large");
  assert.ok(stream.lost > 3_000n);
});

test("allowed flows are reported of the pods whose somebody asks for, while somebody does, and a renewed subscription is the same one", () => {
  const stream = new Stream();
  subscribed(stream, [{}]);
  assert.deepEqual(wanted, []);
  say([{ verdicts: ["allowed", "dropped"], rate: 2 }]);
  subscriptions.write(event());
  subscriptions.write(event());
  say([{ verdicts: ["allowed", "dropped"], rate: 2 }]);
  subscriptions.write(event());
  subscriptions.flush();
  assert.equal(stream.lost, 1n);
  say([{ podUid: "uid-other", verdicts: ["allowed"] }, { podUid: "uid-third" }]);
  say([]);
  assert.deepEqual(wanted, [["uid-web"], ["uid-other"], []]);
});

test("subscriptions that are not said again end by themselves", async () => {
  const stream = new Stream();
  subscribed(stream, [{ verdicts: ["allowed"] }], 30);
  await sleep(80);
  assert.deepEqual(wanted, [["uid-web"], []]);
  subscriptions.write(event({ verdict: "allowed" }));
  subscriptions.flush();
  assert.deepEqual(stream.messages, []);
});

test("an operator that asks for more than a node should carry gets less", () => {
  const stream = new Stream();
  subscribed(
    stream,
    Array.from({ length: 50 }, () => ({ rate: 4_000_000 })),
  );
  for (let index = 0; index < 1_500; index += 1) subscriptions.write(event());
  subscriptions.flush();
  assert.equal(Math.max(...stream.observations.flatMap(({ subscriptions: ids }) => ids)), 16);
  assert.equal(stream.observations.length, 1_000);
  assert.equal(stream.lost, 16n * 500n);
});

test("events that the kernel has lost concern everybody who looks", () => {
  const stream = new Stream();
  subscribed(stream, [{}, { podUid: "uid-other" }]);
  subscriptions.write({ time: "2026-01-01T00:00:00.000Z", type: "lost", where: "kernel", kind: "violation", count: 3 });
  subscriptions.write({ time: "2026-01-01T00:00:00.000Z", type: "lost", where: "output", count: 3 });
  subscriptions.flush();
  assert.deepEqual(
    stream.observations.map(({ subscriptions: ids }) => ids),
    [[1, 2]],
  );
});
