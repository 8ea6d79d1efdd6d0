/** A record is the same after it has been a message, on the wire too, with every field and with none that may be absent. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { RecordSchema } from "../gen/flow_pb.js";
import { recordMessage, recordOf, type WatchedRecord } from "./message.ts";
import { checkEvent } from "./schema.ts";

const bare: WatchedRecord = {
  time: "2026-01-02T03:04:05.678Z",
  type: "verdict",
  verdict: "allowed",
  reason: "Allowed",
  direction: "ingress",
  workload: { name: "a", namespace: "", labels: {} },
  profiles: [],
  process: null,
  proto: "icmp",
  src: { ip: "10.0.0.1" },
  dst: { ip: "10.0.0.2" },
  count: 1,
};

const whole: WatchedRecord = {
  ...bare,
  type: "dns",
  verdict: "dropped",
  reason: "DnsMalformed",
  direction: "egress",
  workload: { name: "web", namespace: "shop", labels: { app: "web", empty: "" }, uid: "u-1" },
  profiles: ["shop/a", "shop/b"],
  process: {
    key: "4a0c1c5e-6b0d-4a52-9a39-3f3f9e2d7c11/4711/123456789",
    pid: 4711,
    path: "/usr/bin/python3",
    script: "/app/run.py",
    comm: "",
    startTime: "2026-01-02T03:04:05.001Z",
    modified: true,
    container: "app",
    parent: { pid: 1, path: "/sbin/init" },
  },
  proto: "udp",
  src: { ip: "fd00::1", port: 0 },
  dst: { ip: "fd00::2", port: 53, name: "dns.example" },
  application: "dns",
  dns: { name: "example.com", type: "A", rcode: "NXDOMAIN", opcode: "NOTIFY" },
  malformed: { fault: "none", offset: 7 },
  count: 2 ** 40,
};

const flow: WatchedRecord = {
  ...{
    time: bare.time,
    type: "flow",
    state: "update",
    id: "f",
    start: "2026-01-02T03:04:05.000Z",
    durationNs: 678_000_000,
  },
  ...{ verdict: "allowed", reason: "Allowed", direction: "egress", workload: whole.workload, profiles: ["shop/a"] },
  ...{ process: whole.process, proto: "tcp", src: { ip: "10.0.0.1", port: 1 }, dst: { ip: "10.0.0.2", port: 80 } },
  packets: { sent: 3, received: 0 },
  bytes: { sent: 2 ** 40, received: 0 },
  tcpFlags: { sent: "SA", received: "" },
};

const cases: [string, WatchedRecord][] = [
  ["without anything that may be absent", bare],
  ["with every field", whole],
  ["with a process of which only its number is known", { ...bare, process: { pid: 3, parent: { pid: 2 } } }],
  ["that stands for several processes of one path", { ...bare, process: { path: "/bin/a" } }],
  ["of a flow that goes on", flow],
  [
    "of a flow that has ended, with every field",
    {
      ...{ ...flow, state: "end", end: "closed", application: "http", firstPayloadNs: { sent: 5, received: 9 } },
      tcpFlags: { sent: "FSPA", received: "SA" },
    },
  ],
  ["of a connection that stands", { ...flow, tcp: { handshakeNs: 7 } }],
  [
    "of a flow with answers",
    { ...flow, response: { count: 3, firstByteNs: { sum: 2 ** 40, max: 2 ** 39 }, histogram: [1, 0, 2] } },
  ],
  [
    "of a connection that was reset, with every figure",
    {
      ...{ ...flow, state: "end", end: "reset" },
      tcp: {
        ...{ state: "established", handshakeNs: 7, rtt: { minNs: 1, smoothedNs: 2 }, retransmits: 3, lost: 4 },
        ...{ outOfOrder: 5, resetBy: "remote", failure: "reset" },
      },
    },
  ],
  ["of what was lost", { time: bare.time, type: "lost", where: "output", count: 9 }],
  ["of what the kernel has lost", { time: bare.time, type: "lost", where: "kernel", kind: "allowed", count: 9 }],
];

for (const [name, record] of cases) {
  test(`a record ${name}`, () => {
    checkEvent(record);
    const bytes = toBinary(RecordSchema, recordMessage(record));
    assert.deepEqual(recordOf(fromBinary(RecordSchema, bytes)), record);
  });
}

test("a message of a kind that is not known is no record", () => {
  assert.equal(recordOf(create(RecordSchema, { time: 1n })), null);
});
