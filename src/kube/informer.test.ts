import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Informer, type InformerOptions } from "./informer.ts";
import type { ResourceKind } from "./resources.ts";
import { FakeApiServer } from "./testing/fake-api-server.ts";
import { eventually, silentLogger } from "./testing/silence.ts";

const PODS: ResourceKind = { group: "", version: "v1", plural: "pods", kind: "Pod", namespaced: true };

let server: FakeApiServer;
let informer: Informer<string>;
const lines: string[] = [];

function informerOf(more: Partial<InformerOptions<string>> = {}): Informer<string> {
  informer = new Informer(server.connection(), {
    kind: PODS,
    transform: ({ metadata }) => metadata.labels?.app ?? null,
    log: silentLogger(lines),
    backoff: { initial: 5, maximum: 50 },
    ...more,
  });
  return informer;
}

const put = (name: string, app: string) => server.put(PODS, { metadata: { name, namespace: "a", labels: { app } } });
const shown = () => [...informer.entries()].map(([key, app]) => `${key}=${app}`).sort();
const showing = (...wanted: string[]) => eventually(`shows ${wanted}`, () => shown().join() === wanted.join());

beforeEach(async () => {
  server = await FakeApiServer.start();
});

afterEach(async () => {
  await informer.stop();
  await server.close();
});

test("it reads in pages, then follows changes", async () => {
  for (let index = 0; index < 7; index += 1) put(`p${index}`, "x");
  informerOf({ pageSize: 3 }).start();
  await informer.whenSynced();
  assert.equal(informer.size, 7);
  assert.equal(server.requests.filter((line) => line.includes("limit=3")).length, 3);
  for (let index = 2; index < 7; index += 1) server.remove(PODS, `a/p${index}`);
  put("p0", "y");
  put("p9", "z");
  await showing("a/p0=y", "a/p1=x", "a/p9=z");
});

test("handlers learn what is there and what changes; one that throws stops nobody", async () => {
  put("one", "x");
  const changes: string[] = [];
  informerOf();
  informer.subscribe(() => {
    throw new Error("a faulty handler");
  });
  informer.subscribe((key, before, after) => changes.push(`${key} ${before} ${after}`));
  informer.start();
  await informer.whenSynced();
  put("one", "x");
  put("one", "y");
  server.remove(PODS, "a/one");
  await eventually("three changes", () => changes.length === 3);
  assert.deepEqual(changes, ["a/one null x", "a/one x y", "a/one y null"]);
  assert.ok(lines.some((line) => line.includes("a handler failed")));
});

test("a watch that ends or breaks goes on where it was, without a new list", async () => {
  put("one", "x");
  informerOf().start();
  await informer.whenSynced();
  for (const [index, disturb] of [() => server.endWatches(), () => server.breakWatches()].entries()) {
    await eventually("a watch", () => server.watches === 1);
    disturb();
    put("one", `after ${index}`);
    await showing(`a/one=after ${index}`);
  }
  assert.equal(server.requests.filter((line) => line.includes("limit=500")).length, 1);
});

test("a version that is no longer kept leads to a new list, and what went meanwhile is gone", async () => {
  put("one", "x");
  put("two", "x");
  informerOf().start();
  await informer.whenSynced();
  await eventually("a watch", () => server.watches === 1);
  server.fail(/watch=true/, 503, 2);
  server.breakWatches();
  server.remove(PODS, "a/one");
  put("three", "z");
  server.compact();
  await showing("a/three=z", "a/two=x");
});

test("errors of the API server are waited out, and what was seen stays", async () => {
  put("one", "x");
  server.fail(/limit=/, 500, 3);
  server.fail(/limit=/, 429, 1, 0.02);
  informerOf().start();
  await informer.whenSynced();
  assert.equal(informer.problem, null);
  server.fail(/watch=true/, 500, 3);
  await eventually("a watch", () => server.watches === 1);
  server.breakWatches();
  await eventually("a problem is reported", () => informer.problem !== null);
  assert.deepEqual(shown(), ["a/one=x"]);
  put("one", "y");
  await showing("a/one=y");
  await eventually("no problem any more", () => informer.problem === null);
});

test("after a watch that lived, what failed before it makes nobody wait", async () => {
  server.fail(/watch=true/, 500, 5);
  informerOf({ backoff: { initial: 50, maximum: 60_000 } }).start();
  await informer.whenSynced();
  await eventually("a watch", () => server.watches === 1);
  await new Promise((settle) => setTimeout(settle, 1_100));
  server.breakWatches();
  const broken = Date.now();
  put("one", "x");
  await showing("a/one=x");
  assert.ok(Date.now() - broken < 500, `the sixth wait in a row, and not the first: ${Date.now() - broken} ms`);
});

test("a version that is gone after an outage is no reason to wait longer", async () => {
  put("one", "x");
  informerOf({ backoff: { initial: 50, maximum: 60_000, random: () => 0 } }).start();
  await informer.whenSynced();
  await eventually("a watch", () => server.watches === 1);
  server.fail(/watch=true/, 503, 5);
  const broken = Date.now();
  server.breakWatches();
  put("one", "y");
  server.compact();
  await showing("a/one=y");
  // Six failures are waited for, 25 ms to 800 ms, and the seventh wait would be 1,600 ms.
  assert.ok(Date.now() - broken < 2_700, `${Date.now() - broken} ms`);
});

test("an API server that is away for a while loses nothing", async () => {
  put("one", "x");
  informerOf().start();
  await informer.whenSynced();
  await server.close();
  put("one", "y");
  put("two", "x");
  await new Promise((settle) => setTimeout(settle, 100));
  assert.deepEqual(shown(), ["a/one=x"]);
  await server.listen();
  await showing("a/one=y", "a/two=x");
});

test("a watch that is silent for too long is begun anew", async () => {
  informerOf({ silence: 60 }).start();
  await informer.whenSynced();
  await eventually("several watches", () => server.requests.filter((line) => line.includes("watch=true")).length > 2);
});

test("an API server that was restored from a backup is noticed, and its past is the present", async () => {
  put("one", "x");
  const restore = server.backup();
  put("one", "later");
  put("two", "later");
  const back: string[] = [];
  const meter = { listed: () => {}, watchBroke: () => {}, wentBack: (plural: string) => back.push(plural) };
  informerOf({ meter }).start();
  await showing("a/one=later", "a/two=later");
  await eventually("a watch", () => server.watches === 1);
  restore();
  await showing("a/one=x");
  assert.deepEqual(back, ["pods"]);
  await eventually("a watch again", () => server.watches === 1);
  put("one", "edited");
  await showing("a/one=edited");
});

test("so is one whose watches go on and say nothing, because what they wait for is to come", async () => {
  put("one", "x");
  const restore = server.backup();
  for (let index = 0; index < 10; index += 1) put("one", `later ${index}`);
  informerOf({ silence: 300 }).start();
  await showing("a/one=later 9");
  await eventually("a watch", () => server.watches === 1);
  restore({ breakWatches: false });
  put("one", "edited");
  await showing("a/one=edited");
});

test("an object that cannot be read does not count, and the others do", async () => {
  put("bad", "x");
  put("good", "x");
  const transform: InformerOptions<string>["transform"] = ({ metadata }) => {
    if (metadata.name === "bad") throw new Error("unreadable");
    return metadata.name;
  };
  informerOf({ transform }).start();
  await informer.whenSynced();
  assert.deepEqual(shown(), ["a/good=good"]);
});
