import assert from "node:assert/strict";
import { test } from "node:test";
import type { SecurityProfile } from "../../api/types.ts";
import {
  Direction,
  ProcessFlag,
  Reason,
  RecordMessage,
  RecordType,
  Verdict,
  VerdictRecord,
} from "../../gen/abi.gen.ts";
import { compileTable } from "../../policy/compile/compile.ts";
import type { RuleTable } from "../../policy/table/tables.ts";
import { mappedAddress } from "../enforce/tables/entries.ts";
import { type Directory, profilesBehind, verdictEvent } from "./enrich.ts";
import type { KernelRecord } from "./kernel-records.ts";
import { nameFromReversed, nameHash } from "./names.ts";

function profile(name: string, processes: SecurityProfile["spec"]["processes"] = []): SecurityProfile {
  return {
    apiVersion: "security.datadoghq.com/v1",
    kind: "SecurityProfile",
    metadata: { name, namespace: "default", labels: { app: "p" } },
    spec: { processes },
  };
}

const tcp = (cidr: string) => ({ egress: { cidr4: [cidr], l4: { protocols: ["tcp" as const] } } });
const table: RuleTable = compileTable(
  [
    profile("one", [{ path: "/bin/a", network: tcp("10.0.0.0/8") }]),
    profile("two", [{ path: "/bin/a", network: tcp("11.0.0.0/8") }, { path: "/bin/b" }]),
    profile("three"),
  ],
  { searchDomains: [] },
);

const directory: Directory = {
  bootId: "boot",
  workload: (id) => (id === 7 ? { name: "ping", namespace: "default", labels: { app: "ping" } } : null),
  table: (id) => (id === 3 ? table : null),
  path: (id) =>
    new Map([
      [1, "/bin/a"],
      [2, "/bin/sh"],
      [3, "/app/run.py"],
    ]).get(id) ?? null,
  name: (_workloadId, hash) => (hash === 99n ? "pong.example" : null),
  container: (_, id) => (id === 5 ? "app" : null),
  eventTime: (monotonic) => new Date(Number(monotonic / 1_000_000n)),
  startTime: (boot) => new Date(Number(boot / 1_000_000n)),
};

interface Changes {
  header?: Partial<KernelRecord["header"]>;
  process?: Partial<KernelRecord["process"]>;
  packet?: Partial<KernelRecord["packet"]>;
  message?: Partial<RecordMessage>;
}

function record({ header, process, packet, message }: Changes = {}): KernelRecord {
  const empty = VerdictRecord.decode(Buffer.alloc(VerdictRecord.SIZE));
  const identity = { pathId: 1, scriptId: 0, flags: 0, lineage: 42, ancestry: 0, kuid: 0, uid: 0 };
  const actor = { startTime: 5_000_000n, cgroupId: 0n, tgid: 42, ...identity };
  return {
    header: { time: 1_000_000_000_000n, count: 2n, workloadId: 7, tableId: 3, type: RecordType.VERDICT, ...header },
    process: { ...empty.process, actor, binaryId: 1, comm: "a", ...process },
    packet: {
      ...empty.packet,
      ...{ verdict: Verdict.DROPPED, reason: Reason.PEER, direction: Direction.EGRESS, ethertype: 0x0800, protocol: 6 },
      ...{ local: mappedAddress("10.0.0.2"), remote: mappedAddress("10.0.0.3") },
      ...{ localPort: 0x3930, remotePort: 0x5000, application: 255 },
      ...packet,
    },
    message: message === undefined ? null : { ...RecordMessage.decode(Buffer.alloc(RecordMessage.SIZE)), ...message },
  };
}

test("a packet's event has every part that applies, under the names that users rely on", () => {
  assert.deepEqual(
    verdictEvent(record({ packet: { nameHash: 99n }, process: { parentTgid: 1, parentPathId: 2 } }), directory),
    {
      time: "1970-01-01T00:16:40.000Z",
      type: "verdict",
      verdict: "dropped",
      reason: "Peer",
      direction: "egress",
      workload: { name: "ping", namespace: "default", labels: { app: "ping" } },
      profiles: ["default/one", "default/two"],
      process: {
        ...{ key: "boot/42/5000000", pid: 42, path: "/bin/a", comm: "a", startTime: "1970-01-01T00:00:00.005Z" },
        parent: { pid: 1, path: "/bin/sh" },
      },
      proto: "tcp",
      src: { ip: "10.0.0.2", port: 0x3039 },
      dst: { ip: "10.0.0.3", port: 80, name: "pong.example" },
      count: 2,
    },
  );
});

test("of an ingress packet the peer is the source", () => {
  const event = verdictEvent(record({ packet: { direction: Direction.INGRESS, nameHash: 99n } }), directory);
  assert.deepEqual(event?.src, { ip: "10.0.0.3", port: 80, name: "pong.example" });
  assert.deepEqual(event?.dst, { ip: "10.0.0.2", port: 0x3039 });
});

test("no process is null; a modified one and a script say so", () => {
  const { actor } = record().process;
  const by = (changes: Partial<typeof actor>) =>
    verdictEvent(record({ process: { actor: { ...actor, ...changes } } }), directory)?.process;
  assert.equal(by({ tgid: 0 }), null);
  assert.equal(by({ flags: ProcessFlag.MODIFIED })?.modified, true);
  assert.equal(by({ scriptId: 3 })?.script, "/app/run.py");
  assert.equal(by({})?.script, undefined);
});

test("DNS events have the name, the type, and answers their code", () => {
  const header = { type: RecordType.DNS };
  const packet = { application: 0 };
  const message = { name: Buffer.from("elpmaxe.gnop."), nameLength: 13, type: 28 };
  const event = verdictEvent(record({ header, packet, message }), directory);
  assert.equal(event?.type, "dns");
  assert.equal(event?.application, "dns");
  assert.deepEqual(event?.dns, { name: "pong.example", type: "AAAA" });
  const answer = verdictEvent(record({ header, packet, message: { ...message, isResponse: 1, rcode: 3 } }), directory);
  assert.deepEqual(answer?.dns, { name: "pong.example", type: "AAAA", rcode: "NXDOMAIN" });
});

test("ICMP has no ports, ARP and other EtherTypes have names of their own", () => {
  assert.deepEqual(verdictEvent(record({ packet: { protocol: 1 } }), directory)?.src, { ip: "10.0.0.2" });
  assert.equal(verdictEvent(record({ packet: { ethertype: 0x0806 } }), directory)?.proto, "arp");
  assert.equal(verdictEvent(record({ packet: { ethertype: 0x88cc } }), directory)?.proto, "0x88cc");
});

test("a record of a type that is not known is no event", () => {
  assert.equal(verdictEvent(record({ header: { type: 99 } }), directory), null);
});

test("profiles behind a verdict: those whose blocks allowed it", () => {
  const origins = table.binaries[0]?.egress.blocks.map((block) => block.profile) ?? [];
  const bit = BigInt(origins.indexOf("default/two"));
  assert.deepEqual(profilesBehind(table, { binaryId: 1, direction: 0, mask: 1n << bit }), ["default/two"]);
});

test("profiles behind a violation: those with a say about the process; about a stranger, all of them", () => {
  const blamed = (binaryId: number, direction: number) => profilesBehind(table, { binaryId, direction, mask: 0n });
  assert.deepEqual(blamed(1, 0), ["default/one", "default/two"]);
  assert.deepEqual(blamed(1, 1), ["default/one", "default/two"]);
  assert.deepEqual(blamed(0, 0), ["default/one", "default/three", "default/two"]);
  assert.deepEqual(profilesBehind(null, { binaryId: 1, direction: 0, mask: 0n }), []);
});

test("names are read back from their form in the kernel, and hashed as the kernel does", () => {
  assert.equal(nameFromReversed(Buffer.from("moc.elpmaxe.www.")), "www.example.com");
  assert.equal(nameFromReversed(Buffer.from("")), "");
  assert.equal(nameHash(Buffer.from("ab"), 3n), 97n * 3n + 98n);
  assert.equal(nameHash(Buffer.from("aa"), (1n << 63n) + 1n), BigInt.asUintN(64, 97n * ((1n << 63n) + 1n) + 97n));
});
