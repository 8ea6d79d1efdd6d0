/**
 * The packets and bytes of all records of flows are those of the kernel's counters, and those of the interface: for
 * TCP and UDP of both families, however flows end, when more begin than are remembered, and when the agent is killed meanwhile.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { AgentEvent, FlowEvent } from "../../src/flow/record.ts";
import { checkEvent } from "../../src/flow/schema.ts";
import { Direction, FLOWS_SHARE } from "../../src/gen/abi.gen.ts";
import { openMaps } from "../../src/node-agent/kernel/typed-maps.ts";
import { Fixture } from "./harness/fixture.ts";
import { patiently } from "./harness/patience.ts";
import { egress, profile } from "./harness/profiles.ts";

const SERVERS = ["198.51.100.1", "2001:db8:1::1"];
const UDP_IDLE_S = 3;
/** So many flows more than are remembered. */
const EXCESS = 1000;
const WAIT_MS = patiently(60_000);

/** Answers half of what it gets over TCP, and every datagram. */
const SERVE = `import socket, sys, threading
def stream(s):
    got = 0
    while data := s.recv(65536): got += len(data)
    s.sendall(b"y" * (got // 2)); s.close()
def streams(l):
    while True: threading.Thread(target=stream, args=(l.accept()[0],), daemon=True).start()
l = socket.create_server(("::", 7900), family=socket.AF_INET6, dualstack_ipv6=True)
threading.Thread(target=streams, args=(l,), daemon=True).start()
def datagrams(host):
    u = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM); u.bind((host, 7900))
    while True:
        data, peer = u.recvfrom(65536); u.sendto(data[:100], peer)
threads = [threading.Thread(target=datagrams, args=(host,)) for host in sys.argv[1:]]
for t in threads: t.start()
print("begun", flush=True)`;

/** Streams that are closed, one that is reset, and datagrams, to each server. */
const TALK = `import socket, struct, sys, threading
def stream(host, size):
    s = socket.create_connection((host, 7900)); s.sendall(b"x" * size); s.shutdown(socket.SHUT_WR)
    while s.recv(65536): pass
    s.close()
for host in sys.argv[1:]:
    all = [threading.Thread(target=stream, args=(host, size)) for size in (1, 1000, 300000, 3000000)]
    for t in all: t.start()
    for t in all: t.join()
    r = socket.create_connection((host, 7900)); r.sendall(b"x" * 1000)
    r.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); r.close()
    u = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    u.connect((host, 7900)); u.settimeout(5)
    for n in range(200): u.send(b"x" * (n + 1)); u.recv(200)`;

/** One long stream, a piece for each line of its input. */
const TALK_ON = `import socket, sys
s = socket.create_connection((sys.argv[1], 7900))
print("begun", flush=True)
for line in sys.stdin: s.sendall(b"x" * 100000); print("sent", flush=True)
s.shutdown(socket.SHUT_WR)
while s.recv(65536): pass`;

const fixture = await Fixture.start("counts", {
  apps: ["web"],
  agentArgs: ["--udp-idle", `${UDP_IDLE_S}s`],
  profiles: (fixture) => [
    profile(
      "web",
      [fixture.program("client", "/usr/bin/python3"), fixture.program("flooder")].map((program) =>
        egress(program, {
          cidr4: ["198.51.100.0/24"],
          cidr6: ["2001:db8:1::/64"],
          l4: { protocols: ["tcp", "udp"] },
        }),
      ),
    ),
  ],
});
const web = fixture.workload("web");
const client = fixture.path("bin", "client");
const server = fixture.start(fixture.topology.outside, "/usr/bin/python3", ["-c", SERVE, ...SERVERS]);
await server.line("begun");

interface Total {
  packets: { sent: number; received: number };
  bytes: { sent: number; received: number };
}

/** Streams of records: each agent's. */
const streams = [fixture.agent.events];
const isFlow = (event: AgentEvent): event is FlowEvent => event.type === "flow";

/** The last record of each flow. */
function flows(): FlowEvent[] {
  const records = streams.flatMap(({ events }) => events.filter(isFlow));
  return [...new Map(records.map((record) => [record.id, record])).values()];
}

function ofFlows(): Total {
  const sum = (what: "packets" | "bytes", way: "sent" | "received") =>
    flows().reduce((total, flow) => total + flow[what][way], 0);
  return {
    packets: { sent: sum("packets", "sent"), received: sum("packets", "received") },
    bytes: { sent: sum("bytes", "sent"), received: sum("bytes", "received") },
  };
}

/** What the host's end of the veth has received is what the workload has sent. */
function ofInterface(): Total {
  const text = execFileSync("ip", ["-n", fixture.topology.node.name, "-s", "-j", "link", "show", web.hostInterface], {
    encoding: "utf8",
  });
  const [link] = JSON.parse(text) as { stats64: Record<"rx" | "tx", { packets: number; bytes: number }> }[];
  assert.ok(link !== undefined);
  const { rx, tx } = link.stats64;
  return { packets: { sent: rx.packets, received: tx.packets }, bytes: { sent: rx.bytes, received: tx.bytes } };
}

/** By the kernel's counters: packets of processes, and others (neighbour discovery), which are of no flow. */
function ofCounters(hasProcess: boolean): Total {
  using maps = openMaps(fixture.agent.pinRoot);
  const counted = [...maps.counters.entries()].filter(([{ pathId }]) => (pathId !== 0) === hasProcess);
  const sum = (what: "packets" | "bytes", way: number) =>
    counted.filter(([{ direction }]) => direction === way).reduce((total, [, count]) => total + Number(count[what]), 0);
  return {
    packets: { sent: sum("packets", Direction.EGRESS), received: sum("packets", Direction.INGRESS) },
    bytes: { sent: sum("bytes", Direction.EGRESS), received: sum("bytes", Direction.INGRESS) },
  };
}

function minus(one: Total, other: Total): Total {
  const ways = (what: "packets" | "bytes") => ({
    sent: one[what].sent - other[what].sent,
    received: one[what].received - other[what].received,
  });
  return { packets: ways("packets"), bytes: ways("bytes") };
}

const interfaceBefore = ofInterface();
const othersBefore = ofCounters(false);

/** Flows whose records an agent that is not fast enough on a busy machine has lost, as it says itself. */
function lostFlows(): number {
  const lost = streams.flatMap(({ events }) => events.filter((event) => event.type === "lost"));
  return lost.reduce((sum, { where, kind, count }) => sum + (kind === "flow" || where === "output" ? count : 0), 0);
}

function expected(): Total {
  return minus(minus(ofInterface(), interfaceBefore), minus(ofCounters(false), othersBefore));
}

/** Waits until all flows have been reported to their end, or as lost. */
async function reported(): Promise<void> {
  const deadline = performance.now() + WAIT_MS;
  const isDone = () =>
    flows().every(({ state }) => state === "end") &&
    ofFlows().packets.sent + 2 * lostFlows() >= expected().packets.sent;
  while (!isDone() && performance.now() < deadline) await sleep(200);
}

/** Holds the three counts against each other. */
async function agree(): Promise<void> {
  await reported();
  assert.deepEqual(ofFlows(), expected(), "flows and interface");
  assert.deepEqual(ofFlows(), ofCounters(true), "flows and counters");
}

test("streams that are closed and reset, and datagrams, of both families: records have what the interface has", async () => {
  const finished = await fixture.run(web, client, ["-c", TALK, ...SERVERS]);
  assert.equal(finished.code, 0, finished.stderr);
  await agree();
  const ends = Map.groupBy(flows(), ({ proto, end }) => `${proto} ${end}`);
  const number = (end: string) => ends.get(end)?.length ?? 0;
  assert.deepEqual([number("tcp closed") + number("tcp reset"), number("udp idle")], [10, 2]);
  // A kernel may answer what comes late for a closed stream with a reset of its own.
  assert.ok(number("tcp reset") >= 2);
  for (const flow of flows()) checkEvent(flow);
  const largest = flows().sort((one, other) => other.bytes.sent - one.bytes.sent)[0];
  assert.ok((largest?.bytes.sent ?? 0) > 3_000_000 && (largest?.bytes.received ?? 0) > 1_500_000);
  assert.equal(largest?.process?.path, client);
  assert.deepEqual([largest?.tcpFlags?.sent, largest?.verdict], ["FSPA", "allowed"]);
  assert.ok((largest?.firstPayloadNs?.received ?? 0) > (largest?.firstPayloadNs?.sent ?? 0));
});

test("an agent that is killed under load: the next one goes on with the counts, nothing is missing and nothing counts twice", async () => {
  const talking = fixture.start(web, client, ["-c", TALK_ON, SERVERS[0] ?? ""]);
  await talking.line("begun");
  for (let piece = 0; piece < 30; piece += 1) {
    talking.tell();
    if (piece === 10) await fixture.agent.crash();
    if (piece === 20) {
      await fixture.agent.start();
      streams.push(fixture.agent.events);
    }
  }
  talking.child.stdin?.end();
  assert.equal((await talking.finish()).code, 0);
  await agree();
});

test("more flows than are remembered: those that are pushed out are reported with what they had", async () => {
  const finished = await fixture.run(
    web,
    fixture.path("bin", "flooder"),
    `udp4 scatter ${FLOWS_SHARE + EXCESS} 198.51.100.1`,
  );
  assert.equal(finished.code, 0, finished.stderr);
  await reported();
  // Each of these flows has two packets.
  const missing = expected().packets.sent - ofFlows().packets.sent;
  assert.ok(missing >= 0 && missing <= 2 * lostFlows(), `${missing} are missing, ${lostFlows()} were reported as lost`);
  const evicted = flows().filter(({ end }) => end === "evicted");
  assert.ok(evicted.length + lostFlows() >= EXCESS, `${evicted.length} were pushed out`);
});
