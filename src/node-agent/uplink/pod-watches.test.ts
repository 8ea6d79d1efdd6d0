import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { VerdictEvent } from "../../flow/record.ts";
import { type AgentMessage, WatchesSchema, WatchSchema } from "../../gen/agent_pb.js";
import { PodWatches } from "./pod-watches.ts";
import { violationEvent } from "./testing/violation.ts";

class Stream {
  full = false;
  readonly messages: AgentMessage[] = [];

  write(message: AgentMessage): void {
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
let watches: PodWatches;

type WatchFields = Exclude<MessageInitShape<typeof WatchSchema>, { $typeName: string }>;

function watching(stream: Stream, list: WatchFields[], leaseMilliseconds = 60_000): void {
  wanted.length = 0;
  watches = new PodWatches({
    onAllowedWanted: (uids) => wanted.push([...uids]),
  });
  watches.start(stream);
  say(list, leaseMilliseconds);
}

function say(list: WatchFields[], leaseMilliseconds = 60_000): void {
  const made = list.map((watch, index) =>
    create(WatchSchema, { id: index + 1, podUid: "uid-web", verdicts: ["dropped"], rate: 100, ...watch }),
  );
  watches.take(create(WatchesSchema, { watches: made, leaseMilliseconds }));
}

afterEach(() => watches.stop());

const event = (more: Partial<VerdictEvent> = {}) =>
  violationEvent({ process: { path: "/bin/sh", script: "/run.sh", container: "main" }, ...more });

test("each watch gets what it asks for: pod, verdict, direction, process, container", () => {
  const stream = new Stream();
  watching(stream, [
    {},
    { podUid: "uid-other" },
    { verdicts: ["alerted"] },
    { direction: "ingress" },
    { path: "/run.sh" },
    { path: "/bin/other" },
    { container: "main" },
    { container: "sidecar" },
  ]);
  watches.write(event());
  // Another pod that has the name now.
  watches.write(event({ workload: { name: "web", namespace: "default", labels: {}, uid: "uid-next" } }));
  watches.write(event({ workload: { name: "web", namespace: "default", labels: {} } }));
  watches.flush();
  assert.deepEqual(
    stream.observations.map(({ watches: ids }) => ids),
    [[1, 5, 7]],
  );
});

test("beyond the rate, and where the connection does not take it, there is a count", () => {
  const stream = new Stream();
  watching(stream, [{ rate: 3 }, { rate: 1000 }]);
  for (let index = 0; index < 10; index += 1) watches.write(event());
  watches.flush();
  assert.equal(stream.observations.filter(({ watches: ids }) => ids.includes(1)).length, 3);
  assert.equal(stream.lost, 7n);
  stream.full = true;
  for (let index = 0; index < 5_000; index += 1) watches.write(event());
  watches.flush();
  assert.equal(stream.observations.length, 10);
  stream.full = false;
  watches.flush();
  assert.ok(stream.observations.length <= 2_010);
  assert.ok(stream.messages.length > 5, "no message is large");
  assert.ok(stream.lost > 3_000n);
});

test("allowed flows are reported of the pods whose somebody asks for, while somebody does, and a renewed watch is the same one", () => {
  const stream = new Stream();
  watching(stream, [{}]);
  assert.deepEqual(wanted, []);
  say([{ verdicts: ["allowed", "dropped"], rate: 2 }]);
  watches.write(event());
  watches.write(event());
  say([{ verdicts: ["allowed", "dropped"], rate: 2 }]);
  watches.write(event());
  watches.flush();
  assert.equal(stream.lost, 1n);
  say([{ podUid: "uid-other", verdicts: ["allowed"] }, { podUid: "uid-third" }]);
  say([]);
  assert.deepEqual(wanted, [["uid-web"], ["uid-other"], []]);
});

test("watches that are not said again end by themselves", async () => {
  const stream = new Stream();
  watching(stream, [{ verdicts: ["allowed"] }], 30);
  await sleep(80);
  assert.deepEqual(wanted, [["uid-web"], []]);
  watches.write(event({ verdict: "allowed" }));
  watches.flush();
  assert.deepEqual(stream.messages, []);
});

test("an operator that asks for more than a node should carry gets less", () => {
  const stream = new Stream();
  watching(
    stream,
    Array.from({ length: 50 }, () => ({ rate: 4_000_000 })),
  );
  for (let index = 0; index < 1_500; index += 1) watches.write(event());
  watches.flush();
  assert.equal(Math.max(...stream.observations.flatMap(({ watches: ids }) => ids)), 16);
  assert.equal(stream.observations.length, 1_000);
  assert.equal(stream.lost, 16n * 500n);
});

test("events that the kernel has lost concern everybody who looks", () => {
  const stream = new Stream();
  watching(stream, [{}, { podUid: "uid-other" }]);
  watches.write({ time: "2026-01-01T00:00:00.000Z", type: "lost", where: "kernel", kind: "violation", count: 3 });
  watches.write({ time: "2026-01-01T00:00:00.000Z", type: "lost", where: "output", count: 3 });
  watches.flush();
  assert.deepEqual(
    stream.observations.map(({ watches: ids }) => ids),
    [[1, 2]],
  );
});
