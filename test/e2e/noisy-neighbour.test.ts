/**
 * Section 9: what one pod makes the node remember pushes out, makes stale, and leaves unnamed nothing of another's. `loud` floods,
 * `quiet` goes on as if it was alone. Each flood is larger than what all workloads together once had room for.
 */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { test } from "node:test";
import type { EgressRules } from "../../src/api/types.ts";
import { statusText } from "../../src/cli/status.ts";
import type { AgentEvent } from "../../src/flow/record.ts";
import { EPOCHS, FLOWS_SHARE, PATHS_CLAIM, PROCESSES_CLAIM } from "../../src/gen/abi.gen.ts";
import { inspectNode } from "../../src/node-agent/enforce/inspect.ts";
import { openMaps } from "../../src/node-agent/kernel/typed-maps.ts";
import { fragments } from "../packets/ip.ts";
import { udp } from "../packets/transport.ts";
import { Fixture } from "./harness/fixture.ts";
import { egress, profile, RESOLVER } from "./harness/profiles.ts";
import { scatter } from "./harness/scatter.ts";

const SERVER = "198.51.100.1";
const RESOLVER_ADDRESS = "198.51.100.53";
const FLOOD_MS = 60_000;
const ASKS = {
  cidr4: [`${RESOLVER_ADDRESS}/32`],
  l4: { protocols: ["tcp"] },
  l7: { dns: ["*"] },
} satisfies EgressRules;

const fixture = await Fixture.start("noisy", {
  apps: ["quiet", "loud"],
  zone: { "good.test": { a: [SERVER] }, "*.flood.test": { a: ["198.51.100.2"] } },
  profiles: (fixture) => [
    profile("quiet", [
      egress(fixture.program("browser"), {
        cidr4: [`${SERVER}/32`],
        l4: { protocols: ["tcp"] },
        l7: { protocols: ["http"] },
      }),
      egress(fixture.program("sender"), { cidr4: [`${SERVER}/32`], l4: { protocols: ["udp"] } }),
      egress(fixture.program("asker"), {
        cidr4: [...RESOLVER.cidr4],
        fqdns: ["good.test"],
        l4: { protocols: ["udp"] },
      }),
      egress(fixture.program("python", "/usr/bin/python3"), ASKS),
    ]),
    profile("loud", [
      egress(fixture.path("bin", "python"), ASKS),
      egress(fixture.program("flooder"), {
        cidr4: ["198.51.100.0/24"],
        fqdns: ["*.flood.test"],
        l4: { protocols: ["udp"] },
      }),
    ]),
  ],
});
const quiet = fixture.workload("quiet");
const loud = fixture.workload("loud");
const flooder = fixture.path("bin", "flooder");
const stranger = fixture.program("stranger");

/** Asks a question in two segments over TCP, with connections to spare that never go on behind the first one. */
const ASK_IN_PARTS = (spare: number) => `import socket, struct
question = b"\\x12\\x34\\x01\\0\\0\\x01\\0\\0\\0\\0\\0\\0\\4good\\4test\\0\\0\\1\\0\\1"
message = struct.pack("!H", len(question)) + question
def begin():
    s = socket.create_connection(("${RESOLVER_ADDRESS}", 53), 2)
    s.sendall(message[:20])
    return s
s = begin()
others = [begin() for _ in range(${spare})]
print("begun", flush=True)
input()
s.settimeout(1)
s.sendall(message[20:])
print(len(s.recv(100)))`;

/** Runs a flood to its end. */
async function flood(program: string, verbs: string): Promise<void> {
  const running = fixture.start(loud, program, verbs);
  await running.line("done", FLOOD_MS);
  await running.finish();
}

test("§9 a neighbour's flood of flows: an open connection whose first payload was judged goes on", async () => {
  const tag = fixture.tag();
  const verbs = ["tcp4", "connect", SERVER, "7000", "send", `GET /${tag} HTTP/1.1\r\n\r\n`, "recv", "wait"];
  const browser = fixture.start(quiet, fixture.path("bin", "browser"), [...verbs, "send", "more of it", "recv"]);
  await browser.line("waiting");
  await flood(flooder, "udp4 scatter 100000 198.51.100.1");
  browser.tell();
  const { code, stderr } = await browser.finish();
  assert.equal(code, 0, stderr);
});

test("§9 a neighbour's flood of names: a learned name goes on opening its address", async () => {
  const asker = fixture.start(quiet, fixture.path("bin", "asker"), [
    ...["udp4", "connect", RESOLVER_ADDRESS, "53", "ask", "good.test", "A", "wait"],
    ...["udp4", "connect", SERVER, "7000", "send", fixture.tag(), "recv"],
  ]);
  await asker.line("waiting");
  await flood(flooder, `udp4 connect ${RESOLVER_ADDRESS} 53 names 40000 flood.test`);
  asker.tell();
  const { code, stderr } = await asker.finish();
  assert.equal(code, 0, stderr);
});

test("§9 a neighbour's flood of refused first fragments: the rest of a datagram finds its first", async () => {
  const ends = { from: quiet.ipv4, to: SERVER };
  const parts = fragments(ends, udp({ from: 5000, to: 7000 }, `${fixture.tag()}${"x".repeat(64)}`), [32]);
  const [first, second] = parts.map((part) => Buffer.from(part).toString("hex"));
  const sender = fixture.start(quiet, fixture.path("bin", "sender"), [
    ...["udp4", "bind", "0.0.0.0", "5000", "raw4", "255", "connect", SERVER, "0"],
    ...["sendhex", first ?? "", "wait", "sendhex", second ?? "", "sleep", "200"],
  ]);
  await sender.line("waiting");
  await flood(stranger, `raw4 255 firstparts 40000 ${SERVER}`);
  sender.tell();
  assert.equal((await sender.finish()).code, 0);
  const tag = parts[0] === undefined ? "" : Buffer.from(parts[0].slice(28)).toString("latin1");
  assert.equal((await fixture.servers.received(tag)).length, 1);
});

test("§9 a neighbour's flood of DNS questions over TCP that are begun: one that goes on is whole", async () => {
  const python = fixture.path("bin", "python");
  const asker = fixture.start(quiet, python, ["-c", ASK_IN_PARTS(0)]);
  await asker.line("begun");
  const flooding = fixture.start(loud, python, ["-c", ASK_IN_PARTS(300)]);
  try {
    await flooding.line("begun", FLOOD_MS);
    asker.tell();
    const { code, stderr } = await asker.finish();
    assert.equal(code, 0, stderr);
  } finally {
    await flooding.kill();
  }
});

test("§9 a neighbour's flood of violations: each of another's is reported", async () => {
  const python = fixture.path("bin", "python");
  const floods = [1, 2, 3].map(() => fixture.start(loud, python, ["-c", scatter(SERVER)]));
  try {
    for (const flooding of floods) await flooding.line("begun");
    for (let port = 1; port <= 20; port += 1) {
      const mark = fixture.agent.events.mark();
      await fixture.run(quiet, stranger, `timeout 20 udp4 sendto ${SERVER} ${port} x recv`);
      await fixture.violation({ reason: "BinaryUnknown", path: stranger }, mark, quiet);
    }
  } finally {
    for (const flooding of floods) await flooding.kill();
  }
});

test("§9 a neighbour's flood of flows, of which each that is pushed out has a record: another's violations are reported", async () => {
  const begin = fixture.agent.events.mark();
  const flooding = fixture.start(loud, flooder, "udp4 scatter 10000000 198.51.100.1");
  try {
    const isLoss = (event: AgentEvent) => event.type === "lost" && event.kind === "flow";
    await fixture.agent.events.waitFor("a loss of flows", isLoss, { from: begin });
    for (let port = 1; port <= 5; port += 1) {
      const mark = fixture.agent.events.mark();
      await fixture.run(quiet, stranger, `timeout 20 udp4 sendto ${SERVER} ${port} x recv`);
      await fixture.violation({ reason: "BinaryUnknown", path: stranger }, mark, quiet);
    }
  } finally {
    await flooding.kill();
  }
});

test("§9 a neighbour that executes all the time: verdicts of open flows stay good", async () => {
  const sender = fixture.start(
    quiet,
    fixture.path("bin", "sender"),
    `udp4 connect ${SERVER} 7000 send ${fixture.tag()} recv wait`,
  );
  await sender.line("waiting");
  using maps = openMaps(fixture.agent.pinRoot);
  const [, known] = [...maps.flows.entries()].find(([, { tgid }]) => tgid === sender.pid) ?? [];
  assert.ok(known !== undefined);
  const workload = [...maps.workloads.entries()].find(([, { tableId }]) => tableId === known.tableId)?.[1];
  const ofProcess = () => maps.processEpochs.get(known.lineage % EPOCHS) ?? 0n;
  const ofNamespace = () => maps.namespaceEpochs.get((workload?.netnsInum ?? 0) % EPOCHS) ?? 0n;
  const isGood = () => known.epoch === ofProcess() + ofNamespace();
  assert.ok(isGood());
  await fixture.run(loud, flooder, `udp4 exec ${flooder} exec ${flooder} exec ${flooder} sendto ${SERVER} 7000 x`);
  assert.ok(isGood());
  sender.tell();
  await sender.finish();
});

test("§9 a neighbour's flood of executables, whose names are no UTF-8: others' have their names, and are counted by them", async () => {
  const folder = fixture.path("bin", "links");
  mkdirSync(folder);
  await flood(flooder, `links ${PATHS_CLAIM + 500} ${folder} ${SERVER}`);
  const another = fixture.program("another");
  const event = await fixture.stops(quiet, another, `udp4 sendto ${SERVER} 7000 TAG recv`, { reason: "BinaryUnknown" });
  assert.equal(event.process?.path, another);
});

test("§9 a neighbour's fork bomb: others' processes are known, its own surplus is judged by default", async () => {
  const bomb = fixture.start(loud, flooder, `bomb ${PROCESSES_CLAIM + 200} wait`);
  await bomb.line("done", FLOOD_MS);
  try {
    await fixture.passes(quiet, fixture.path("bin", "sender"), `udp4 connect ${SERVER} 7000 send TAG recv`);
    const late = { reason: "BinaryUnknown", path: null } as const;
    await fixture.stops(loud, flooder, `udp4 connect ${SERVER} 7000 send TAG recv`, late);
  } finally {
    await bomb.kill();
  }
  await fixture.passes(loud, flooder, `udp4 connect ${SERVER} 7000 send TAG recv`);
});

test("§3 attack: a process that was one too many makes the kernel believe that it runs a listed executable, and forks", async () => {
  const tag = fixture.tag();
  const bomb = fixture.start(loud, flooder, `bomb ${PROCESSES_CLAIM + 200} wait`);
  await bomb.line("done", FLOOD_MS);
  const verbs = `impersonatebychild ${flooder} print ready wait fork timeout 250 udp4 sendto ${SERVER} 7000 ${tag} recv`;
  const forger = fixture.start(loud, stranger, verbs);
  try {
    await forger.line("ready");
  } finally {
    await bomb.kill();
  }
  forger.tell();
  const { code, stderr } = await forger.finish();
  assert.equal(code, 3, stderr);
  assert.deepEqual(await fixture.servers.received(tag), []);
});

test("§9 status says which workload has had its share of what, and nothing of the others", async () => {
  const status = inspectNode(fixture.agent.pinRoot, fixture.agent.stateFolder);
  const full = (name: string) =>
    status.workloads.find((workload) => workload.name === name)?.full.map((share) => share.name) ?? [];
  assert.deepEqual(full(quiet.name), []);
  for (const share of [
    "flows",
    "DNS names",
    "DNS messages over TCP in parts",
    "refused fragments",
    "processes",
    "paths of executables",
  ])
    assert.ok(full(loud.name).includes(share), `${share} in ${full(loud.name)}`);
  const flows = status.maps.find(({ name }) => name === "flows")?.entries ?? 0;
  assert.ok(flows >= FLOWS_SHARE && flows < 2 * FLOWS_SHARE, `${flows} flows`);
  assert.match(
    statusText({ ...status, records: null }, Number.POSITIVE_INFINITY),
    /Full: +flows: its 8192 are taken, and \d+ more were wanted/,
  );
});
