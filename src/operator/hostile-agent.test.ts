/** What one node's agent can do with what it says: end its own stream, and nothing else. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { status as GrpcStatus } from "@grpc/grpc-js";
import { type AgentMessage, CountersSchema, NodeProblemsSchema, PodStatesSchema } from "../gen/agent_pb.js";
import { JudgementSchema, RecordSchema } from "../gen/flow_pb.js";
import { ObservationsSchema, type TelemetryReport, ViolationSchema, ViolationsSchema } from "../gen/telemetry_pb.js";
import { eventually } from "../kube/testing/silence.ts";
import type { Operator } from "./operator.ts";
import type { TestAgent } from "./testing/agent.ts";
import { TestCluster } from "./testing/cluster.ts";

let cluster: TestCluster;
let operator: Operator;
let honest: TestAgent;

before(async () => {
  cluster = await TestCluster.start();
  cluster.pod("web", { node: "n1" });
  cluster.pod("web-2", { node: "n2", labels: { app: "web" } });
  cluster.profile("web", { actions: ["alert"], processes: [{ path: "/bin/app" }] });
  operator = await cluster.operator();
  honest = cluster.agent(operator, "n2");
  await eventually("the honest agent has its state", () => honest.states.length > 0);
});
after(() => cluster.close());

type Content = AgentMessage["message"];
type Telemetry = TelemetryReport["message"];

function violation(more: object): Telemetry {
  const { podUid } = honest.binding("web-2") ?? { podUid: "" };
  const base = { podUid, profiles: ["default/web"], path: "/bin/app", direction: "egress", verdict: "alerted" };
  const one = create(ViolationSchema, {
    ...base,
    reason: "Peer",
    protocol: "tcp",
    remoteAddress: "192.0.2.1",
    port: 80,
    count: 1n,
    time: BigInt(Date.now()),
    ...more,
  });
  return { case: "violations", value: create(ViolationsSchema, { violations: [one] }) };
}

const pods = (more: object): Content => ({
  case: "podStates",
  value: create(PodStatesSchema, { full: true, pods: [{ podUid: "uid-default-web", ...more } as never] }),
});

/** A record, as sent for a subscription. */
function seen(more: object, time = 0n): Telemetry {
  const judgement = create(JudgementSchema, {
    type: "verdict",
    verdict: "dropped",
    direction: "egress",
    workload: { uid: "uid-default-web" },
    source: {},
    destination: {},
    ...more,
  });
  const record = create(RecordSchema, { time, body: { case: "judgement", value: judgement } });
  return {
    case: "observations",
    value: create(ObservationsSchema, { observations: [{ subscriptions: [1], record }] }),
  };
}

const NONSENSE: Readonly<Record<string, () => Content>> = {
  "a code that is no code": () => pods({ code: "it failed" }),
  "search domains by the thousand": () => pods({ searchDomains: Array.from({ length: 1000 }, () => "a.example") }),
  "problems by the thousand": () => ({
    case: "nodeProblems",
    value: create(NodeProblemsSchema, { problems: Array.from({ length: 1000 }, () => ({ code: "PC_X" })) }),
  }),
};

for (const [what, content] of Object.entries(NONSENSE)) {
  test(`${what} ends the stream of the agent that sends it`, async () => {
    const agent = cluster.agent(operator, "n1");
    await eventually("it has its state", () => agent.states.length > 0);
    agent.send(content());
    await eventually("its stream has ended", () => agent.ended !== null);
    assert.equal(agent.ended?.code, GrpcStatus.INVALID_ARGUMENT);
    await eventually("and its telemetry", () => agent.telemetryEnded !== null);
    assert.equal(honest.ended, null);
    assert.equal(operator.isLeader, true);
  });
}

const NONSENSE_TELEMETRY: Readonly<Record<string, () => Telemetry>> = {
  "a time that no calendar has": () => violation({ time: 9n * 10n ** 17n }),
  "a time before all times": () => violation({ time: -(2n ** 63n) }),
  "a verdict that is none": () => violation({ verdict: "x".repeat(1000) }),
  "a path of a million characters": () => violation({ path: "/".repeat(1_000_000) }),
  "a profile with a newline": () => violation({ profiles: ["default/web\nfoo"] }),
  "a port above all ports": () => violation({ port: 70_000 }),
  "a record of a verdict that is none": () => seen({ verdict: "maybe" }),
  "a record of a kind that is none": () => seen({ type: "end" }),
  "a record without addresses": () => seen({ source: undefined }),
  "a record of a time before all times": () => seen({}, -(2n ** 63n)),
  "a record with labels by the ten thousand": () =>
    seen({ workload: { labels: Object.fromEntries(Array.from({ length: 10_001 }, (_, index) => [`l${index}`, ""])) } }),
};

test("telemetry that cannot be ends its own stream, and the agent's policy goes on", async () => {
  for (const [index, [what, content]] of Object.entries(NONSENSE_TELEMETRY).entries()) {
    const agent = cluster.agent(operator, `telemetry-${index}`);
    await eventually("it has its state", () => agent.states.length > 0);
    agent.report(content());
    await eventually(`${what} has ended the stream`, () => agent.telemetryEnded !== null);
    assert.equal(agent.telemetryEnded?.code, GrpcStatus.INVALID_ARGUMENT, what);
    assert.equal(agent.ended, null, what);
    assert.equal(honest.telemetryEnded, null);
    agent.disconnect();
  }
});

test("counts beyond all packets there are, and times to come, pin nothing", async () => {
  const liar = cluster.agent(operator, "n1");
  await eventually("it has its state", () => liar.states.length > 0);
  const counters = (packets: bigint, sequence: bigint): Content => ({
    case: "counters",
    value: create(CountersSchema, {
      sequence,
      processes: [
        {
          profile: "default/web",
          path: "/bin/app",
          verdicts: [{ direction: "egress", verdict: "alerted", reason: "Peer", packets }],
        },
      ] as never,
      eventsLost: packets,
    }),
  });
  for (let sequence = 1n; sequence <= 20n; sequence += 1n) liar.send(counters(2n ** 64n - 1n, sequence));
  const year9999 = BigInt(Date.parse("9999-01-01T00:00:00Z"));
  liar.report(
    violation({
      podUid: liar.binding("web")?.podUid,
      time: year9999,
      path: `/${"x".repeat(3000)}`,
      remoteName: "x".repeat(1000),
    }),
  );
  await eventually(
    "a status",
    () => cluster.status("web")?.lastViolation?.pod === "web" || cluster.status("web")?.lastViolation?.node === "n1",
    20_000,
  );
  const before = cluster.status("web");
  assert.ok(Date.parse(before?.lastViolation?.time ?? "") <= Date.now());
  assert.ok((before?.lastViolation?.process ?? "").length <= 1024);
  assert.ok((before?.lastViolation?.remote ?? "").length <= 512);
  assert.ok(Number.isSafeInteger(before?.alerted) && (before?.alerted ?? 0) < 2 ** 50, `${before?.alerted}`);
  honest.send(counters(5n, 1n));
  honest.report(violation({ time: BigInt(Date.now() + 1000) }));
  await eventually("the honest one's truth", () => cluster.status("web")?.lastViolation?.node === "n2", 20_000);
  assert.equal((cluster.status("web")?.alerted ?? 0) - (before?.alerted ?? 0), 5);
});

test("pods that the node has not, without end, are not kept", async () => {
  const agent = cluster.agent(operator, "n1");
  await eventually("it has its state", () => agent.states.length > 0);
  for (let message = 0; message < 40 && agent.ended === null; message += 1) {
    const states = Array.from({ length: 500 }, (_, index) => ({
      podUid: `made-up-${message}-${index}`,
      message: "x".repeat(2000),
    }));
    agent.send({ case: "podStates", value: create(PodStatesSchema, { pods: states as never }) });
    await new Promise((settle) => setTimeout(settle, 5));
  }
  await eventually("its stream has ended", () => agent.ended !== null, 20_000);
  assert.ok((operator.records.get("n1")?.pods.size ?? 0) <= 5_000);
});
