import assert from "node:assert/strict";
import { test } from "node:test";
import type { VerdictEvent } from "../../flow/record.ts";
import { type Limit, LimitKey, MessageRecord, Reason, RecordType, Verdict } from "../../gen/abi.gen.ts";
import { mappedAddress } from "../enforce/tables/entries.ts";
import type { Directory } from "./enrich.ts";
import type { KernelRecord } from "./kernel-records.ts";
import { nameHash } from "./names.ts";
import { SuppressedEvents } from "./suppressed.ts";

const MULTIPLIER = 0x9e3779b97f4a7c15n;
const SECOND = 1_000_000_000n;

const directory: Directory = {
  bootId: "boot",
  workload: () => null,
  table: () => null,
  path: (id) => (id === 9 ? "/bin/a" : null),
  name: () => null,
  container: () => null,
  eventTime: (monotonic) => new Date(Number(monotonic / 1_000_000n)),
  startTime: () => new Date(0),
};

const key: LimitKey = {
  ...{ workloadId: 1, pathId: 9, remote: mappedAddress("10.0.0.3"), port: 0x3500, protocol: 17, direction: 0 },
  ...{ reason: Reason.DNS_NAME, verdict: Verdict.DROPPED, nameHash: nameHash(Buffer.from("a.b."), MULTIPLIER) },
};

function setUp(limit: Limit) {
  const limits = new Map([[LimitKey.encode(key).toString("hex"), { key, limit }]]);
  const events = new SuppressedEvents({
    limits: {
      entries: () => [...limits.values()].map((entry): [LimitKey, Limit] => [entry.key, entry.limit]),
      delete: (removed) => limits.delete(LimitKey.encode(removed).toString("hex")),
    },
    directory,
    nameHashMultiplier: MULTIPLIER,
  });
  return { events, limits };
}

const { verdict: empty, message } = MessageRecord.decode(Buffer.alloc(MessageRecord.SIZE));
const record: KernelRecord = {
  header: { ...empty.header, type: RecordType.MESSAGE_VERDICT, workloadId: 1 },
  process: {
    ...empty.process,
    actor: {
      ...{ startTime: 0n, cgroupId: 0n, tgid: 42, pathId: 9, scriptId: 0, flags: 0, lineage: 42 },
      ...{ ancestry: 0, kuid: 0, uid: 0 },
    },
  },
  packet: {
    ...{ ...empty.packet, remote: key.remote, remotePort: key.port, protocol: 17 },
    ...{ reason: key.reason, verdict: key.verdict },
  },
  message: { ...message, name: Buffer.from("a.b."), nameLength: 4 },
};

test("what was held back and has no successor is reported, with what the last event of its kind knew", () => {
  const { events, limits } = setUp({ last: 0n, suppressed: 5n });
  events.saw(record, { process: { pid: 42 }, count: 1 } as VerdictEvent);
  const [event, ...others] = events.drain(3n * SECOND, SECOND);
  assert.deepEqual([event?.process?.pid, event?.count, event?.time], [42, 5, "1970-01-01T00:00:03.000Z"]);
  assert.equal(others.length, 0);
  assert.equal(limits.size, 0);
});

test("§9 a workload's flood of kinds: of another's it is known what the last event was", () => {
  const { events } = setUp({ last: 0n, suppressed: 5n });
  events.saw(record, { process: { pid: 42 }, count: 1 } as VerdictEvent);
  for (let remotePort = 0; remotePort < 20_000; remotePort += 1) {
    const loud = { ...record, header: { ...record.header, workloadId: 2 }, packet: { ...record.packet, remotePort } };
    events.saw(loud, { process: { pid: 43 }, count: 1 } as VerdictEvent);
  }
  assert.equal(events.drain(3n * SECOND, SECOND)[0]?.process?.pid, 42);
});

test("a kind that was reported a moment ago may still have a successor: it is left alone", () => {
  const { events, limits } = setUp({ last: 2n * SECOND, suppressed: 5n });
  assert.deepEqual(events.drain(3n * SECOND, SECOND), []);
  assert.equal(limits.size, 1);
});

test("without an event of its kind, all that the kernel's key tells", () => {
  const { events } = setUp({ last: 0n, suppressed: 1n });
  const [event] = events.drain(3n * SECOND, SECOND);
  assert.deepEqual(event?.process, { path: "/bin/a" });
  assert.deepEqual(event?.dst, { ip: "10.0.0.3", port: 53 });
  assert.deepEqual([event?.reason, event?.verdict, event?.proto], ["DnsName", "dropped", "udp"]);
});
