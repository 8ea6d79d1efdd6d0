/** Probes and metrics on a thread of their own: who may read, how often that costs something, and who cannot keep whom from it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import diagnostics from "node:diagnostics_channel";
import { once } from "node:events";
import net from "node:net";
import { afterEach, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { Gauge } from "prom-client";
import { eventually } from "../kube/testing/silence.ts";
import { busyTurns } from "../net/testing/loop-turns.ts";
import { createLogger } from "../telemetry/logger.ts";
import { createMetrics } from "../telemetry/metrics.ts";
import { OPERATOR_METRICS } from "../telemetry/operator-metrics.ts";
import { type EndpointOptions, isLoopback, parseListenAddress, serveEndpoints } from "./endpoints.ts";

const log = createLogger({ write: () => {} });
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function serve(more: Partial<EndpointOptions> = {}) {
  const { registry, metrics } = createMetrics(OPERATOR_METRICS);
  const collected = { count: 0 };
  const endpoints = await serveEndpoints({
    probeAddress: "127.0.0.1:0",
    metricsAddress: "127.0.0.1:0",
    registry,
    ready: () => [],
    collect: () => {
      collected.count += 1;
      metrics.agents.set(3);
    },
    log,
    ...more,
  });
  closing.push(() => endpoints.close());
  const get = async (port: number, path: string, headers: Record<string, string> = {}) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
    return [response.status, await response.text()] as const;
  };
  const { probePort, metricsPort } = endpoints;
  return {
    ...{ probePort, metricsPort, collected },
    probe: (path: string) => get(probePort, path),
    metrics: (token?: string) => get(metricsPort, "/metrics", token ? { authorization: `Bearer ${token}` } : {}),
  };
}

/** Connections from somewhere else that ask for something again and again, or say nothing. */
function flood(port: number, count: number, text: string): net.Socket[] {
  return Array.from({ length: count }, () => {
    const socket = net.connect({ port, host: "127.0.0.1", localAddress: "127.0.0.77" });
    socket.on("error", () => {});
    socket.on("connect", () => socket.write(text));
    socket.on("data", () => socket.write(text));
    closing.push(() => socket.destroy());
    return socket;
  });
}

test("metrics, health and readiness over HTTP", async () => {
  let problems: string[] = ["not synced"];
  const { probe, metrics, metricsPort } = await serve({ ready: () => problems });
  assert.match((await metrics())[1], /^portcullis_operator_agents 3$/m);
  assert.deepEqual(await probe("/healthz"), [200, "ok\n"]);
  assert.deepEqual(await probe("/readyz"), [503, "not synced\n"]);
  problems = [];
  await wait(700);
  assert.equal((await probe("/readyz"))[0], 200);
  assert.equal((await probe("/metrics"))[0], 404);
  await assert.rejects(serve({ probeAddress: `127.0.0.1:${metricsPort}` }), { code: "PC_LISTEN" });
});

test("who has no token that may is told so, and is shown nothing; the API server is asked little", async () => {
  const asked: string[] = [];
  const mayRead = async (token: string) => {
    asked.push(token);
    await wait(5);
    if (token === "nobody-knows") throw new Error("the API server is away");
    return token === "good";
  };
  const { metrics } = await serve({ mayRead });
  assert.equal((await metrics())[0], 401);
  assert.equal((await metrics("bad"))[0], 403);
  assert.equal((await metrics("nobody-knows"))[0], 503);
  for (let count = 0; count < 5; count += 1) assert.equal((await metrics("good"))[0], 200);
  assert.deepEqual(asked, ["bad", "nobody-knows", "good"]);
});

test("metrics are rendered once a second, however many ask", async () => {
  const { metrics, collected } = await serve();
  const answers = await Promise.all(Array.from({ length: 6 }, () => metrics()));
  assert.ok(answers.every(([status]) => status === 200));
  assert.equal(collected.count, 1);
  await wait(1_100);
  await metrics();
  assert.equal(collected.count, 2);
});

test("who may read metrics and takes no answer, again and again, is not waited for", async () => {
  const { registry } = createMetrics(OPERATOR_METRICS);
  const help = "x".repeat(8 * 1024 * 1024);
  new Gauge({ name: "large", help, registers: [registry] }).set(1);
  const dropped: string[] = [];
  const { metricsPort } = await serve({ registry, mayRead: async () => true, onDropped: (why) => dropped.push(why) });
  const sockets = flood(metricsPort, 6, "GET /metrics HTTP/1.1\r\nhost: x\r\nauthorization: Bearer good\r\n\r\n");
  for (const socket of sockets) socket.removeAllListeners("data").pause();
  await eventually("all are closed", () => dropped.filter((why) => why === "patience").length === 6, 20_000);
});

for (const [what, text] of [
  ["that say nothing", ""],
  ["that never end their head", "GET /metrics HTTP/1.1\r\nx: y\r\n"],
  ["that ask without end", "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n"],
] as const) {
  test(`400 connections ${what} keep no probe from its answer, and the process from nothing`, async () => {
    const dropped: string[] = [];
    const { probe, probePort, metrics, metricsPort } = await serve({ onDropped: (reason) => dropped.push(reason) });
    const busy = await busyTurns(async () => {
      flood(metricsPort, 400, text);
      flood(probePort, 400, text);
      await eventually("most are dropped", () => dropped.length > 600, 20_000);
      for (let count = 0; count < 5; count += 1) {
        const begun = performance.now();
        assert.equal((await probe("/healthz"))[0], 200);
        assert.equal((await metrics())[0], 200);
        assert.ok(performance.now() - begun < 5_000 * Number(process.env.PORTCULLIS_TEST_PATIENCE ?? 1));
      }
    });
    assert.ok(busy < 50, `the event loop was kept for ${busy} ms`);
  });
}

test("the thread is killed: it is begun again on the same ports, also where one is taken for a while, and counts go on", async () => {
  const threads: Worker[] = [];
  const begun = (message: unknown) => threads.push((message as { worker: Worker }).worker);
  diagnostics.subscribe("worker_threads", begun);
  closing.push(() => diagnostics.unsubscribe("worker_threads", begun));
  const { probe, metrics, probePort, collected } = await serve();
  await metrics();
  const isServed = async () =>
    probe("/healthz").then(
      ([status]) => status === 200,
      () => false,
    );
  const served = async (what: string) => {
    for (let turn = 0; !(await isServed()); turn += 1) {
      assert.ok(turn < 200, what);
      await wait(100);
    }
  };
  await threads.at(-1)?.terminate();
  assert.equal(await isServed(), false);
  await served("probes are answered again");
  assert.equal((await metrics())[0], 200);
  assert.equal(collected.count, 2, "of this process, as before");

  await threads.at(-1)?.terminate();
  const other = net.createServer((socket) => socket.destroy()).listen(probePort, "127.0.0.1");
  closing.push(() => other.close());
  await eventually("tries in vain", () => threads.length >= 4, 20_000);
  other.close();
  await served("probes are answered once the port is free");
});

test("a process that does not answer is not said to live", async () => {
  const { probePort } = await serve();
  const late = `setTimeout(() => fetch("http://127.0.0.1:${probePort}/readyz").then(async (answer) =>
    console.log(answer.status, await answer.text())), 5000)`;
  const child = spawn(process.execPath, ["-e", late], { stdio: ["ignore", "pipe", "inherit"] });
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 6_500);
  const [said] = (await once(child.stdout, "data")) as [Buffer];
  assert.match(said.toString(), /^503 the process has not been heard of for [5-9] s/);
});

test("addresses to listen on", () => {
  assert.deepEqual(parseListenAddress(":8080"), { host: "::", port: 8080 });
  assert.deepEqual(parseListenAddress("[::1]:80"), { host: "::1", port: 80 });
  assert.deepEqual(parseListenAddress("localhost:0"), { host: "localhost", port: 0 });
  for (const bad of ["8080", "::1:80", "a:b", ":70000"])
    assert.throws(() => parseListenAddress(bad), { code: "PC_USAGE" });
  assert.deepEqual(
    ["127.0.0.1:1", "[::1]:1", "localhost:1", ":1", "10.0.0.1:1"].map((address) => isLoopback(address)),
    [true, true, true, false, false],
  );
});

test("names of metrics are as Prometheus wants them, and unique", () => {
  const names = Object.values(OPERATOR_METRICS).map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const { name, type } of Object.values(OPERATOR_METRICS)) {
    assert.match(name, /^portcullis_[a-z_]+$/);
    assert.equal(name.endsWith("_total"), type === "counter", name);
  }
});
