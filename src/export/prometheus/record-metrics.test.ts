/** Metrics of records: each is counted where it belongs, once, and whoever chooses names and numbers makes no series. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FlowEvent, VerdictEvent } from "../../flow/record.ts";
import { createMetrics } from "../../telemetry/metrics.ts";
import { RECORD_METRICS } from "../../telemetry/record-metrics.ts";
import { RecordMetrics } from "./record-metrics.ts";

const dropped: VerdictEvent = {
  ...{ time: "2026-01-01T00:00:00.000Z", type: "verdict", verdict: "dropped", reason: "Port", direction: "egress" },
  ...{ workload: { name: "web-0", namespace: "shop", labels: {} }, profiles: ["shop/web"], process: null },
  ...{ proto: "tcp", src: { ip: "10.0.0.1", port: 1 }, dst: { ip: "10.0.0.2", port: 2 }, count: 3 },
};
const question: VerdictEvent = {
  ...dropped,
  ...{ type: "dns", verdict: "allowed", reason: "Allowed", proto: "udp", count: 1 },
  dns: { name: "www.example.com", type: "AAAA" },
};
const flow: FlowEvent = {
  ...{ time: "2026-01-01T00:00:02.000Z", type: "flow", state: "end", end: "closed", id: "1" },
  ...{ start: "2026-01-01T00:00:00.000Z", durationNs: 2e9, verdict: "allowed", reason: "Allowed", direction: "egress" },
  ...{ workload: dropped.workload, profiles: [], process: null, proto: "tcp", src: dropped.src, dst: dropped.dst },
  ...{ packets: { sent: 5, received: 4 }, bytes: { sent: 500, received: 4000 } },
  firstPayloadNs: { sent: 1e9, received: 1.2e9 },
};

async function counted(...events: (VerdictEvent | FlowEvent)[]): Promise<string[]> {
  const { registry, metrics } = createMetrics(RECORD_METRICS);
  const sink = new RecordMetrics(metrics);
  for (const event of events) sink.write(event);
  const text = await registry.metrics();
  return text.split("\n").filter((line) => /^portcullis_(dns|drop|flow|tcp)_/.test(line) && !/ 0$|_bucket/.test(line));
}

test("drops, questions and answers", async () => {
  const answer = { ...question, dns: { name: "www.example.com", type: "AAAA", rcode: "NXDOMAIN" } };
  assert.deepEqual(await counted(dropped, question, answer, answer), [
    'portcullis_dns_queries_total{qtype="AAAA"} 1',
    'portcullis_dns_responses_total{qtype="AAAA",rcode="NXDOMAIN"} 2',
    'portcullis_drop_packets_total{direction="egress",protocol="tcp",reason="Port"} 3',
  ]);
});

test("flows, once each, when they end", async () => {
  assert.deepEqual(await counted({ ...flow, state: "update" }, { ...flow, state: "update" }, flow), [
    'portcullis_flow_ended_total{direction="egress",protocol="tcp",verdict="allowed"} 1',
    'portcullis_flow_bytes_total{protocol="tcp",way="sent"} 500',
    'portcullis_flow_bytes_total{protocol="tcp",way="received"} 4000',
    'portcullis_flow_packets_total{protocol="tcp",way="sent"} 5',
    'portcullis_flow_packets_total{protocol="tcp",way="received"} 4',
    'portcullis_flow_duration_seconds_sum{protocol="tcp"} 2',
    'portcullis_flow_duration_seconds_count{protocol="tcp"} 1',
    'portcullis_tcp_connections_ended_total{end="closed"} 1',
    "portcullis_tcp_first_reply_seconds_sum 0.2",
    "portcullis_tcp_first_reply_seconds_count 1",
  ]);
});

test("a pod that asks and sends whatever it can think of makes a bounded number of series", async () => {
  const events = Array.from({ length: 2_000 }, (_, number): (VerdictEvent | FlowEvent)[] => [
    { ...question, dns: { name: `n${number}`, type: `TYPE${number}`, rcode: `RCODE${number}` } },
    { ...question, dns: { name: `n${number}`, type: `TYPE${number}` } },
    { ...dropped, proto: String(number), dst: { ip: "10.0.0.3", port: number } },
    { ...flow, proto: String(number), id: String(number) },
  ]).flat();
  assert.ok((await counted(...events)).length < 20);
});
