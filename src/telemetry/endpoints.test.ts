import assert from "node:assert/strict";
import { test } from "node:test";
import { parseListenAddress, serveEndpoints } from "./endpoints.ts";
import { createLogger } from "./logger.ts";
import { createMetrics } from "./metrics.ts";
import { OPERATOR_METRICS } from "./operator-metrics.ts";

const log = createLogger({ write: () => {} });

test("metrics, health and readiness over HTTP", async () => {
  const { registry, metrics } = createMetrics(OPERATOR_METRICS);
  let problems: string[] = ["not synced"];
  const endpoints = await serveEndpoints({
    address: "127.0.0.1:0",
    registry,
    alive: () => [],
    ready: () => problems,
    collect: () => metrics.agents.set(3),
    log,
  });
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${endpoints.port}${path}`);
    return [response.status, await response.text()] as const;
  };
  assert.match((await get("/metrics"))[1], /^portcullis_operator_agents 3$/m);
  assert.deepEqual(await get("/healthz"), [200, "ok\n"]);
  assert.deepEqual(await get("/readyz"), [503, "not synced\n"]);
  problems = [];
  assert.equal((await get("/readyz"))[0], 200);
  assert.equal((await get("/other"))[0], 404);
  await assert.rejects(
    serveEndpoints({ address: `127.0.0.1:${endpoints.port}`, registry, alive: () => [], ready: () => [], log }),
    { code: "PC_LISTEN" },
  );
  await endpoints.close();
});

test("addresses to listen on", () => {
  assert.deepEqual(parseListenAddress(":8080"), { host: "::", port: 8080 });
  assert.deepEqual(parseListenAddress("[::1]:80"), { host: "::1", port: 80 });
  assert.deepEqual(parseListenAddress("localhost:0"), { host: "localhost", port: 0 });
  for (const bad of ["8080", "::1:80", "a:b", ":70000"])
    assert.throws(() => parseListenAddress(bad), { code: "PC_USAGE" });
});

test("names of metrics are as Prometheus wants them, and unique", () => {
  const names = Object.values(OPERATOR_METRICS).map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const { name, type } of Object.values(OPERATOR_METRICS)) {
    assert.match(name, /^portcullis_[a-z_]+$/);
    assert.equal(name.endsWith("_total"), type === "counter", name);
  }
});
