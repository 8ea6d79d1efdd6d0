/** Exports over OTLP, by gRPC and by HTTP: what is sent, and what becomes of it when the receiver fails, refuses, is away or slow. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { status } from "@grpc/grpc-js";
import type { AgentEvent, VerdictEvent } from "../../flow/record.ts";
import type { LogRecord } from "../../gen/otlp_pb.js";
import type { ExportSettings, OtlpSettings } from "../settings.ts";
import { exporting, until } from "../testing/exporting.ts";
import { type Fault, type OtlpReceiver, otlpReceiver } from "../testing/otlp-receiver.ts";

const root = mkdtempSync(join(tmpdir(), "pc-otlp-"));
const closing: (() => unknown)[] = [];
let folders = 0;
after(async () => {
  for (const close of closing.reverse()) await close();
  rmSync(root, { recursive: true, force: true });
});

type Protocol = OtlpSettings["protocol"];

async function receiverOf(protocol: Protocol, port?: number): Promise<OtlpReceiver> {
  const receiver = await otlpReceiver(protocol, port);
  closing.push(() => receiver.close());
  return receiver;
}

function started(protocol: Protocol, endpoint: string, more: Partial<ExportSettings> = {}, otlp = {}) {
  const settings: ExportSettings = {
    ...{ name: "otlp", allow: [], deny: [], fields: [], queue: 16 * 2 ** 20 },
    to: { kind: "otlp", endpoint, protocol, caFile: null, tokenFile: null, headers: {}, ...otlp },
    ...more,
  };
  const running = exporting(join(root, String(folders++)), [settings]);
  closing.push(() => running.records.end());
  return { ...running, state: () => running.states.get("otlp") };
}

const bodyOf = ({ body }: LogRecord) => JSON.parse(String(body?.value.value)) as AgentEvent;
const numbersOf = (records: readonly LogRecord[]) =>
  records.map(bodyOf).flatMap((record) => (record.type === "verdict" ? [record.count] : []));
const lossesOf = (records: readonly LogRecord[]) =>
  records.map(bodyOf).flatMap((record) => (record.type === "lost" ? [record.count] : []));
const upTo = (count: number) => Array.from({ length: count }, (_, number) => number + 1);

function attributes({ attributes: all }: LogRecord): Record<string, unknown> {
  return Object.fromEntries(
    all.map(({ key, value }) => {
      const inner = value?.value;
      if (inner?.case === "arrayValue") return [key, inner.value.values.map(({ value: one }) => one.value)];
      return [key, inner?.case === "intValue" ? Number(inner.value) : inner?.value];
    }),
  );
}

for (const protocol of ["grpc", "http"] as const) {
  test(`${protocol}: a record is the body, and attributes have what one filters by`, async () => {
    const receiver = await receiverOf(protocol);
    const tokenFile = join(root, `token-${protocol}`);
    writeFileSync(tokenFile, "secret\n");
    const running = started(protocol, receiver.endpoint, {}, { headers: { "x-scope": "shop" }, tokenFile });
    running.write(300);
    await until("all are taken", running.state, (state) => state?.taken === 300);
    await running.records.end();
    assert.deepEqual(numbersOf(receiver.records), upTo(300));
    assert.deepEqual(receiver.resource, { "service.name": "portcullis", "k8s.node.name": "worker-1" });
    assert.deepEqual([receiver.headers["x-scope"], receiver.headers.authorization], ["shop", "Bearer secret"]);
    const [log] = receiver.records.slice(3);
    assert.ok(log !== undefined);
    const record = bodyOf(log) as VerdictEvent;
    assert.equal(log.timeUnixNano, BigInt(Date.parse(record.time)) * 1_000_000n);
    assert.ok(log.observedTimeUnixNano >= log.timeUnixNano);
    assert.deepEqual([log.eventName, log.severityNumber, log.severityText], ["portcullis.verdict", 13, "WARN"]);
    assert.deepEqual(attributes(log), {
      "k8s.namespace.name": record.workload.namespace,
      "k8s.pod.name": record.workload.name,
      "k8s.pod.uid": record.workload.uid,
      "process.executable.path": record.process?.path,
      "process.pid": record.process?.pid,
      "process.parent_pid": 1,
      "network.transport": "tcp",
      "network.protocol.name": "tls",
      "network.io.direction": "transmit",
      "source.address": record.src.ip,
      "source.port": record.src.port,
      "destination.address": record.dst.ip,
      "destination.port": 443,
      "portcullis.type": "verdict",
      "portcullis.verdict": "dropped",
      "portcullis.reason": record.reason,
      "portcullis.profiles": record.profiles,
      "portcullis.protocol": "tcp",
      "portcullis.destination.name": record.dst.name,
      "portcullis.count": record.count,
    });
    assert.deepEqual([running.state()?.taken, running.state()?.refused], [300, 0]);
  });

  test(`${protocol}: what a receiver cannot take now is sent again, what it will never take is counted`, async () => {
    const receiver = await receiverOf(protocol);
    const [again, never]: [Fault[], Fault[]] =
      protocol === "http"
        ? [[{ http: 503 }, { http: 429 }], [{ http: 400 }]]
        : [
            [{ code: status.UNAVAILABLE }, { code: status.RESOURCE_EXHAUSTED, retryInfo: true }],
            [{ code: status.RESOURCE_EXHAUSTED }, { code: status.UNAUTHENTICATED }],
          ];
    receiver.faults.push(...again);
    const running = started(protocol, receiver.endpoint);
    running.write(10);
    await until("they are taken at last", running.state, (state) => state?.taken === 10);
    assert.deepEqual(numbersOf(receiver.records), upTo(10));
    assert.equal(receiver.requests, again.length + 1);
    for (const [index, fault] of never.entries()) {
      receiver.faults.push(fault);
      running.write(5);
      await until("they are refused", running.state, (state) => state?.refused === 5 * (index + 1));
      assert.match(running.state()?.problem ?? "", protocol === "http" ? /HTTP status 400/ : /answers with [RU]/);
    }
    receiver.faults.push({ rejected: 2 });
    running.write(5);
    await until("a part is refused", running.state, (state) => state?.refused === 5 * never.length + 2);
    running.write(1);
    await running.records.end();
    assert.equal(numbersOf(receiver.records).length, 10 + 3 + 1);
    const refused = running.state()?.refused;
    assert.equal(
      lossesOf(receiver.records).reduce((sum, count) => sum + count, 0),
      refused,
    );
  });
}

test("through a restart of the receiver nothing is lost, and what overflows meanwhile is counted", async () => {
  const protocol = "http";
  const first = await receiverOf(protocol);
  const running = started(protocol, first.endpoint, { queue: 2 ** 20 });
  running.write(100);
  await until("the first", running.state, (state) => state?.taken === 100);
  await first.close();
  running.write(200);
  await until("it is said", running.state, (state) => state?.problem != null && state.overflowed === 0);
  const second = await receiverOf(protocol, Number(new URL(first.endpoint).port));
  await until("those that waited", running.state, (state) => state?.taken === 300 && state.problem === null);
  assert.deepEqual(numbersOf(second.records), upTo(300).slice(100));
  await second.close();
  running.write(5_000);
  await until("it overflows", running.state, (state) => (state?.overflowed ?? 0) > 0 && state?.problem != null);
  const third = await receiverOf(protocol, Number(new URL(first.endpoint).port));
  await until("it goes on", running.state, (state) => state?.problem === null && state.waiting === 0);
  running.write(1);
  await running.records.end();
  assert.deepEqual(lossesOf(third.records), [running.state()?.overflowed]);
  assert.equal(numbersOf(third.records).length + (running.state()?.overflowed ?? 0), 5_001);
  assert.equal(numbersOf(third.records).at(-1), 5_301);
});

test("what is wrong with certificates, tokens and names is said, and holds up nobody", async () => {
  for (const [endpoint, otlp, words] of [
    ["https://127.0.0.1:1", { caFile: join(root, "none.pem") }, /cannot read .*none\.pem: no such file/],
    ["http://127.0.0.1:1", {}, /http:\/\/127\.0\.0\.1:1.*ECONNREFUSED/],
    ["http://none.invalid:4317", { protocol: "grpc" }, /none\.invalid.*UNAVAILABLE/],
  ] as const) {
    const running = started("http", endpoint, {}, otlp);
    running.write(1);
    const state = await until("it is said", running.state, (one) => one?.problem != null);
    assert.match(state?.problem ?? "", words);
    assert.deepEqual([state?.taken, state?.refused], [0, 0]);
  }
});
