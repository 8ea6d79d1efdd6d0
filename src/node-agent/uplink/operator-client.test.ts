/** The client against an operator that speaks real gRPC over TLS. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { recordOf } from "../../flow/message.ts";
import { PodPhase, PodStateSchema } from "../../gen/agent_pb.js";
import { SubscriptionSchema, SubscriptionsSchema } from "../../gen/telemetry_pb.js";
import { HeldState } from "../../protocol/held-state.ts";
import { SILENT, testTable } from "../enforce/testing/workloads.ts";
import { OperatorClient } from "./operator-client.ts";
import { RecordSubscriptions } from "./record-subscriptions.ts";
import { type CountedPackets, CounterReport } from "./reports/counter-report.ts";
import { Reporter } from "./reports/reporter.ts";
import { ViolationQueue } from "./reports/violation-queue.ts";
import { TelemetryClient } from "./telemetry-client.ts";
import { fullState, testBinding } from "./testing/bindings.ts";
import { makeCertificates, type TestCertificates } from "./testing/certificates.ts";
import { FakeOperator } from "./testing/fake-operator.ts";
import { violationEvent } from "./testing/violation.ts";

const folder = mkdtempSync(join(tmpdir(), "pc-oc-"));
const certificates = makeCertificates(folder, "operator.test");
const tokenFile = join(folder, "token");
after(() => rmSync(folder, { recursive: true, force: true }));

let operator: FakeOperator;
let agent: TestAgent;

beforeEach(async () => {
  writeFileSync(tokenFile, "first\n");
  operator = new FakeOperator();
  await operator.start(certificates);
});

afterEach(() => {
  agent.client.close();
  operator.stop();
});

class TestAgent {
  held = HeldState.EMPTY;
  counts: CountedPackets[] = [];
  lost = 0;
  readonly violations = new ViolationQueue();
  readonly reporter: Reporter;
  readonly allowedWanted: string[][] = [];
  readonly subscriptions = new RecordSubscriptions({
    onAllowedWanted: (podUids) => this.allowedWanted.push([...podUids]),
  });
  /** Why there was no connection. */
  readonly reasons: string[] = [];
  readonly telemetry: TelemetryClient;
  readonly client: OperatorClient;

  constructor(port = operator.port, caFile = certificates.caFile) {
    const counters = new CounterReport({ read: () => this.counts, eventsLost: () => this.lost });
    this.reporter = new Reporter({ counters });
    const { violations, subscriptions } = this;
    this.telemetry = new TelemetryClient({ violations, subscriptions, reopenAfter: 50, log: SILENT });
    this.client = new OperatorClient({
      address: { target: `127.0.0.1:${port}`, serverName: "operator.test", caFile, tokenFile },
      nodeName: "node-1",
      version: "0",
      searchDomains: ["example.org"],
      reporter: this.reporter,
      telemetry: this.telemetry,
      held: () => this.held,
      onRevision: (state) => {
        this.held = state;
      },
      onConnection: (state, reason) => {
        if (state === "waiting") this.reasons.push(reason);
      },
      reconnect: { initial: 20, maximum: 100, maximumAnswered: 100, random: () => 0.5 },
      log: SILENT,
    });
  }
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 400; turn += 1) {
    if (holds()) return;
    await sleep(10);
  }
  assert.fail(`not within 4 s: ${what}`);
}

const connection = async (index: number) => {
  await until(`connection ${index}`, () => operator.connections.length > index);
  const found = operator.connections[index];
  assert.ok(found);
  return found;
};

const count = (packets: number, key = "1"): CountedPackets => ({
  key,
  packets,
  direction: "egress",
  verdict: "dropped",
  reason: "Peer",
  subjects: [{ profile: "default/p", path: "/bin/app", container: "" }],
});

const violation = (port: number) => violationEvent({ dst: { ip: "10.0.0.2", port, name: "db.example.com" }, count: 2 });

test("it says who it is, takes states, and acknowledges them", async () => {
  agent = new TestAgent();
  const { token, hello, send } = await connection(0);
  assert.equal(token, "Bearer first");
  assert.deepEqual([hello.nodeName, hello.stateHash, hello.searchDomains], ["node-1", "", ["example.org"]]);
  const table = testTable("/bin/app");
  send(...fullState(7n, [table], [testBinding("a", table)]));
  await until("an acknowledgement", () => operator.said("acknowledgement").length === 1);
  assert.equal(operator.said("acknowledgement")[0]?.revision, 7n);
  assert.deepEqual([...agent.held.bindings.keys()], ["a"]);
  assert.equal(agent.client.state, "connected");
});

test("a state that comes to another hash is refused, and what was held stays", async () => {
  agent = new TestAgent();
  const { send } = await connection(0);
  const table = testTable("/bin/app");
  send(...fullState(1n, [table], [testBinding("a", table)]));
  await until("an acknowledgement", () => operator.said("acknowledgement").length === 1);
  const before = agent.held;
  const bad = fullState(2n, [table], [testBinding("b", table)]);
  for (const part of bad) part.stateHash = "other";
  send(...bad);
  await until("a refusal", () => operator.said("refusal").length === 1);
  assert.deepEqual([operator.said("refusal")[0]?.code, operator.said("refusal")[0]?.revision], ["PC_STATE_HASH", 2n]);
  assert.equal(agent.held, before);
});

test("after a break it comes again, with the token as it is then, and says what it holds", async () => {
  agent = new TestAgent();
  const first = await connection(0);
  const table = testTable("/bin/app");
  first.send(...fullState(1n, [table], [testBinding("a", table)]));
  await until("an acknowledgement", () => operator.said("acknowledgement").length === 1);
  writeFileSync(tokenFile, "second");
  first.fail(status.INTERNAL);
  const second = await connection(1);
  assert.equal(second.token, "Bearer second");
  assert.equal(second.hello.stateHash, agent.held.hash);
  assert.deepEqual(second.hello.tables, [table.hash]);
  assert.equal(second.hello.instance, first.hello.instance);
});

test("it goes to the leader that another operator names", async () => {
  const leader = new FakeOperator();
  await leader.start(certificates);
  try {
    operator.leader = `127.0.0.1:${leader.port}`;
    agent = new TestAgent();
    await until("the leader has welcomed it", () => agent.client.state === "connected");
    assert.equal(leader.connections.length, 1);
  } finally {
    agent.client.close();
    leader.stop();
  }
});

test("nothing is sent to an operator with another's certificate", async () => {
  const others = makeCertificates(folder, "other.test");
  agent = new TestAgent(operator.port, others.caFile);
  await sleep(300);
  assert.notEqual(agent.client.state, "connected");
  assert.equal(operator.messages.length, 0);
});

test("what is wrong with the operator's certificate is said in words that one can act on", async () => {
  const reasonOf = async (shown: TestCertificates, caFile: string) => {
    const stranger = new FakeOperator();
    await stranger.start(shown);
    agent = new TestAgent(stranger.port, caFile);
    try {
      await until("a reason", () => agent.reasons.length > 0);
    } finally {
      agent.client.close();
      stranger.stop();
    }
    return agent.reasons[0] ?? "";
  };
  const expired = makeCertificates(mkdtempSync(join(folder, "expired-")), "operator.test", -1);
  assert.match(await reasonOf(expired, expired.caFile), /^the operator's certificate has expired.*renew it/);
  const others = makeCertificates(folder, "other.test");
  assert.match(await reasonOf(certificates, others.caFile), /not by an authority in .*other\.test\.crt/);
  assert.match(await reasonOf(others, others.caFile), /not for the name operator\.test/);
  agent = new TestAgent();
  await until("a good one", () => agent.client.state === "connected");
});

test("without a token it waits for one", async () => {
  rmSync(tokenFile);
  agent = new TestAgent();
  await sleep(100);
  assert.equal(operator.connections.length, 0);
  writeFileSync(tokenFile, "late");
  assert.equal((await connection(0)).token, "Bearer late");
});

test("counters are said again until they are acknowledged, and never twice after that", async () => {
  agent = new TestAgent();
  agent.counts = [count(5)];
  const first = await connection(0);
  await until("counters", () => operator.said("counters").length === 1);
  agent.counts = [count(8)];
  await sleep(250);
  assert.equal(operator.said("counters").length, 1, "one report at a time");
  first.fail(status.INTERNAL);
  const second = await connection(1);
  await until("the report again", () => operator.said("counters").length === 2);
  const [one, two] = operator.said("counters");
  assert.deepEqual(two, one);
  second.acknowledgeCounters(two?.sequence ?? 0n);
  await until("the rest", () => operator.said("counters").length === 3);
  assert.equal(operator.said("counters")[2]?.processes[0]?.verdicts[0]?.packets, 3n);
});

test("violations are samples: what is beyond the operator's limit is a number", async () => {
  agent = new TestAgent();
  operator.violationsMax = 3;
  for (let port = 1; port <= 10; port += 1) agent.violations.write(violation(port));
  await until("violations", () => operator.reported("violations").length === 1);
  const [report] = operator.reported("violations");
  assert.deepEqual(
    report?.violations.map(({ port }) => port),
    [1, 2, 3],
  );
  assert.equal(report?.lost, 14n);
  const sample = report?.violations[0];
  assert.deepEqual(
    [sample?.podUid, sample?.path, sample?.container, sample?.remoteName, sample?.count],
    ["uid-web", "/bin/app", "main", "db.example.com", 2n],
  );
});

test("states of pods are all sent first, then as they change", async () => {
  agent = new TestAgent();
  const pod = (podUid: string, phase: PodPhase) => [podUid, create(PodStateSchema, { podUid, phase })] as const;
  agent.reporter.setPods(new Map([pod("a", PodPhase.PENDING), pod("b", PodPhase.ENFORCED)]));
  await until("all states", () => operator.said("podStates").some(({ full, pods }) => full && pods.length === 2));
  agent.reporter.setPods(new Map([pod("a", PodPhase.ENFORCED)]));
  await until("the change", () => operator.said("podStates").length === 2);
  const change = operator.said("podStates")[1];
  assert.deepEqual([change?.full, change?.pods.map(({ podUid }) => podUid), change?.removed], [false, ["a"], ["b"]]);
});

test("what somebody observes is sent while they do, and not after the connection has broken", async () => {
  agent = new TestAgent();
  const first = await connection(0);
  agent.subscriptions.write(violation(1));
  const subscription = create(SubscriptionSchema, {
    id: 7,
    podUid: "uid-web",
    verdicts: ["dropped", "allowed"],
    rate: 10,
  });
  await until("a stream of telemetry", () => operator.telemetry.length === 1);
  operator.subscribe(create(SubscriptionsSchema, { subscriptions: [subscription], leaseMilliseconds: 60_000 }));
  await until("it is observed", () => agent.allowedWanted.length === 1);
  agent.subscriptions.write(violation(2));
  await until("an observation", () => operator.reported("observations").length === 1);
  const [said] = operator.reported("observations");
  const events = said?.observations.map(({ record }) => record && recordOf(record));
  assert.deepEqual(
    events?.map((record) => (record?.type === "verdict" ? record.dst.port : null)),
    [2],
  );
  assert.deepEqual(said?.observations[0]?.subscriptions, [7]);
  first.fail(status.UNAVAILABLE);
  await until("nobody observes any more", () => agent.allowedWanted.length === 2);
  assert.deepEqual(agent.allowedWanted, [["uid-web"], []]);
  await connection(1);
  agent.subscriptions.write(violation(3));
  await sleep(200);
  assert.equal(operator.reported("observations").length, 1);
});

test("a proxy for the world outside is not the way to the operator", async () => {
  const before = { ...process.env };
  // Nobody listens there: whoever goes by it does not arrive.
  for (const name of ["https_proxy", "http_proxy", "grpc_proxy"]) process.env[name] = "http://127.0.0.1:9";
  process.env.no_proxy = "";
  try {
    agent = new TestAgent();
    await connection(0);
  } finally {
    process.env = before;
  }
});

test("an operator that reads no telemetry gets acknowledgements and counters all the same", async () => {
  operator.readsTelemetry = false;
  agent = new TestAgent();
  const first = await connection(0);
  await until("a stream of telemetry", () => operator.telemetry.length === 1);
  const subscription = create(SubscriptionSchema, {
    id: 1,
    podUid: "uid-web",
    verdicts: ["dropped", "allowed"],
    rate: 1000,
  });
  operator.subscribe(create(SubscriptionsSchema, { subscriptions: [subscription], leaseMilliseconds: 60_000 }));
  await until("it is observed", () => agent.allowedWanted.length === 1);
  const large = violationEvent({ process: { path: `/${"x".repeat(3000)}` } });
  const flood = setInterval(() => {
    for (let count = 0; count < 200; count += 1) agent.subscriptions.write(large);
  }, 10);
  try {
    await until("telemetry waits", () => agent.telemetry.isWaiting);
    const counters = operator.said("counters").length;
    agent.counts = [count(8)];
    first.send(...fullState(7n, [], []));
    await until("an acknowledgement", () => operator.said("acknowledgement").length === 1);
    await until("counters", () => operator.said("counters").length > counters);
    assert.equal(operator.reports.length, 0);
  } finally {
    clearInterval(flood);
  }
});

test("telemetry whose stream has ended leaves policy alone, and is opened again", async () => {
  agent = new TestAgent();
  const first = await connection(0);
  await until("a stream of telemetry", () => operator.telemetry.length === 1);
  operator.telemetry[0]?.emit("error", { code: status.INVALID_ARGUMENT, details: "a test ended it" });
  first.send(...fullState(7n, [], []));
  await until("an acknowledgement", () => operator.said("acknowledgement").length === 1);
  await until("telemetry again", () => operator.telemetry.length === 2);
  assert.equal(operator.connections.length, 1);
});
