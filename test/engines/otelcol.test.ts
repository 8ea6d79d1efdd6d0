/** Exports over OTLP to a real OpenTelemetry Collector, which is killed and started again: what was sent is there, the rest is counted. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { exporting, until } from "../../src/export/testing/exporting.ts";
import type { AgentEvent } from "../../src/flow/record.ts";
import { engine } from "./engines.ts";

const collector = engine("otelcol");
const root = mkdtempSync(join(tmpdir(), "pc-otelcol-"));
const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing.reverse()) await close();
  rmSync(root, { recursive: true, force: true });
});

/** A log record, as the collector writes it in JSON. */
interface LogJson {
  timeUnixNano: string;
  severityText: string;
  eventName: string;
  body: { stringValue: string };
  attributes: { key: string; value: Record<string, unknown> }[];
}
interface LogsJson {
  resourceLogs: { resource: { attributes: LogJson["attributes"] }; scopeLogs: { logRecords: LogJson[] }[] }[];
}

/** Behind the collector: what it passes on, as it has understood it. */
const passed: LogJson[] = [];
const resources: LogJson["attributes"][] = [];
const backend = http.createServer(async (request, response) => {
  let text = "";
  for await (const part of request.setEncoding("utf8") as AsyncIterable<string>) text += part;
  for (const { resource, scopeLogs } of (JSON.parse(text) as LogsJson).resourceLogs) {
    resources.push(resource.attributes);
    for (const { logRecords } of scopeLogs) passed.push(...logRecords);
  }
  response.writeHead(200, { "content-type": "application/json" }).end("{}");
});
backend.listen(0, "127.0.0.1");
await once(backend, "listening");
closing.push(() => backend.close());

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

const [grpcPort, httpPort] = [await freePort(), await freePort()];
const configuration = join(root, "collector.yaml");
writeFileSync(
  configuration,
  JSON.stringify({
    receivers: {
      otlp: {
        protocols: { grpc: { endpoint: `127.0.0.1:${grpcPort}` }, http: { endpoint: `127.0.0.1:${httpPort}` } },
      },
    },
    exporters: {
      otlphttp: {
        endpoint: `http://127.0.0.1:${(backend.address() as AddressInfo).port}`,
        // What the collector has answered for is at the backend, also if it is killed then.
        ...{ encoding: "json", compression: "none", sending_queue: { enabled: false } },
      },
    },
    service: {
      telemetry: { metrics: { level: "none" } },
      pipelines: { logs: { receivers: ["otlp"], exporters: ["otlphttp"] } },
    },
  }),
);

async function startCollector(): Promise<ChildProcess> {
  const child = spawn(collector, ["--config", configuration], { stdio: ["ignore", "ignore", "pipe"] });
  closing.push(() => child.kill("SIGKILL"));
  let said = "";
  child.stderr?.on("data", (data) => {
    said += String(data);
  });
  await until(
    "the collector serves",
    () => said,
    (text) => text.includes("Everything is ready"),
  );
  return child;
}

const recordOf = ({ body }: LogJson) => JSON.parse(body.stringValue) as AgentEvent;
const numbersOf = (logs: readonly LogJson[]) =>
  new Set(logs.map(recordOf).flatMap((record) => (record.type === "verdict" ? [record.count] : [])));

for (const protocol of ["grpc", "http"] as const) {
  test(`${protocol}: a collector has every record, through its own sudden end, or the count of those that are missing`, async () => {
    passed.length = 0;
    let child = await startCollector();
    const endpoint = `http://127.0.0.1:${protocol === "grpc" ? grpcPort : httpPort}`;
    const running = exporting(join(root, protocol), [
      {
        ...{ name: "collector", allow: [], deny: [], fields: [], queue: 2 ** 20 },
        to: { kind: "otlp", endpoint, protocol, caFile: null, tokenFile: null, headers: {} },
      },
    ]);
    closing.push(() => running.records.end());
    const state = () => running.states.get("collector");
    running.write(500);
    await until("the first ones", state, (one) => one?.taken === 500);
    assert.equal(numbersOf(passed).size, 500);
    const log = passed.find((one) => (recordOf(one) as { verdict?: string }).verdict === "dropped");
    assert.deepEqual([log?.eventName, log?.severityText], ["portcullis.verdict", "WARN"]);
    const record = log === undefined ? null : recordOf(log);
    assert.ok(record?.type === "verdict");
    assert.equal(BigInt(log?.timeUnixNano ?? 0) / 1_000_000n, BigInt(Date.parse(record.time)));
    const value = (key: string) => log?.attributes.find((one) => one.key === key)?.value;
    assert.deepEqual(value("k8s.pod.name"), { stringValue: record.workload.name });
    assert.deepEqual(value("destination.port"), { intValue: "443" });
    assert.deepEqual(value("portcullis.profiles"), { arrayValue: { values: [{ stringValue: record.profiles[0] }] } });
    assert.deepEqual(resources.at(-1), [
      { key: "service.name", value: { stringValue: "portcullis" } },
      { key: "k8s.node.name", value: { stringValue: "worker-1" } },
    ]);
    child.kill("SIGKILL");
    await once(child, "exit");
    running.write(500);
    await until("it is said", state, (one) => one?.problem != null);
    child = await startCollector();
    await until("those that waited", state, (one) => one?.taken === 1_000 && one.problem === null);
    assert.equal(numbersOf(passed).size, 1_000, "none is missing");
    child.kill("SIGKILL");
    await once(child, "exit");
    running.write(4_000);
    await until("it overflows", state, (one) => (one?.overflowed ?? 0) > 0 && one?.problem != null);
    child = await startCollector();
    await until("it goes on", state, (one) => one?.problem === null && one.waiting === 0);
    await running.records.end();
    const lost = passed.map(recordOf).flatMap((one) => (one.type === "lost" ? [one.count] : []));
    assert.deepEqual(lost, [state()?.overflowed]);
    assert.equal(numbersOf(passed).size + (lost[0] ?? 0), running.written());
    child.kill("SIGKILL");
    await once(child, "exit");
  });
}
