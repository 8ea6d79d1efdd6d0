/** Masks of fields: parts of records, also of those that have none of them; a field that no record has is named. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fieldMask } from "./field-mask.ts";
import { fieldPath } from "./field-path.ts";
import type { AgentEvent } from "./record.ts";

const record: AgentEvent = {
  time: "2026-01-01T00:00:00.000Z",
  ...{ type: "verdict", verdict: "dropped", reason: "Peer", direction: "egress" },
  workload: { name: "web-0", namespace: "shop", labels: { app: "web", "example.com/tier": "front" } },
  profiles: ["shop/web"],
  process: null,
  proto: "tcp",
  src: { ip: "10.0.0.1", port: 40_000 },
  dst: { ip: "10.0.0.2", port: 443 },
  count: 1,
};

const mask = (fields: readonly string[]) => fieldMask(fields.map(fieldPath));

test("a mask takes the fields that it names, each with all that is in it", () => {
  assert.deepEqual(mask(["time", "workload.name", "dst"])(record), {
    time: record.time,
    workload: { name: "web-0" },
    dst: { ip: "10.0.0.2", port: 443 },
  });
  assert.deepEqual(mask(["dst.port", "dst", "dst.ip"])(record), { dst: { ip: "10.0.0.2", port: 443 } });
  assert.deepEqual(mask(["workload.labels.example.com/tier"])(record), {
    workload: { labels: { "example.com/tier": "front" } },
  });
  assert.deepEqual(mask(["process.path", "dns.name", "profiles"])(record), {
    process: null,
    profiles: ["shop/web"],
  });
});

test("a field that no record has is named, with those that there are", () => {
  assert.throws(() => mask(["colour"]), { code: "PC_RECORD_FIELD", message: /no field "colour": .*\bverdict\b/ });
  assert.throws(() => mask(["process.colour"]), { message: /no field "process.colour": .*\bcomm\b/ });
  assert.throws(() => mask(["time.hour"]), { code: "PC_RECORD_FIELD" });
  assert.throws(() => mask([""]), { code: "PC_RECORD_FIELD" });
});
