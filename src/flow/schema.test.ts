import assert from "node:assert/strict";
import { test } from "node:test";
import type { AgentEvent, VerdictEvent } from "./record.ts";
import { checkEvent, EventFormatError } from "./schema.ts";

const VERDICT: VerdictEvent = {
  time: "2026-01-02T03:04:05.678Z",
  type: "verdict",
  verdict: "dropped",
  reason: "BinaryUnknown",
  direction: "egress",
  workload: { name: "ping", namespace: "default", labels: { app: "ping" } },
  profiles: ["default/ping"],
  process: { pid: 42, path: "/bin/sh", comm: "sh", parent: { pid: 1 } },
  proto: "tcp",
  src: { ip: "10.0.0.2", port: 1234 },
  dst: { ip: "10.0.0.3", port: 80, name: "pong.example" },
  count: 3,
};

test("events of every type are events", () => {
  const { time, workload } = VERDICT;
  const events: AgentEvent[] = [
    VERDICT,
    { ...VERDICT, type: "dns", process: null, dns: { name: "a.example", type: "A", rcode: "NOERROR" } },
    { ...VERDICT, type: "listen", reason: "Listen" },
    { time, type: "ready", workloads: ["ping"] },
    { time, type: "revision", revision: "ab", refused: true, profiles: [], errors: [], changes: [] },
    {
      time,
      type: "workload",
      workload,
      state: "failed",
      interfaces: [],
      profiles: [],
      error: { code: "PC_X", message: "y" },
    },
    { time, type: "lost", where: "kernel", count: 3 },
  ];
  for (const event of events) assert.equal(checkEvent(event), event);
});

test("what is none is refused, with the field that is wrong", () => {
  const refused: [unknown, RegExp][] = [
    [null, /the event/],
    [{ type: "summary" }, /^type: .*verdict, dns/],
    [{ ...VERDICT, reason: "Because" }, /^reason: .*Pending/],
    [{ ...VERDICT, dst: { ip: "10.0.0.3", port: 65536 } }, /^dst\.port: /],
    [{ ...VERDICT, time: "yesterday" }, /^time: /],
    [{ ...VERDICT, colour: "red" }, /colour/],
    [{ ...VERDICT, count: undefined }, /count/],
  ];
  for (const [value, words] of refused) {
    assert.throws(
      () => checkEvent(JSON.parse(JSON.stringify(value))),
      (error) => {
        assert.ok(error instanceof EventFormatError);
        assert.match(error.message, words);
        return true;
      },
    );
  }
});
