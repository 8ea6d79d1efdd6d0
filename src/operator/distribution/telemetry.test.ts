/** Telemetry has a stream of its own: however much of it an agent sends, no rule waits for it. */
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { status as GrpcStatus } from "@grpc/grpc-js";
import { recordMessage } from "../../flow/message.ts";
import { BindingSchema, PolicyKind } from "../../gen/agent_pb.js";
import { ObservationsSchema, type TelemetryReport } from "../../gen/telemetry_pb.js";
import type { TokenUser } from "../../kube/access/token-review.ts";
import { eventually } from "../../kube/testing/silence.ts";
import type { NodeState } from "../../protocol/state-message.ts";
import { TestAgent } from "../testing/agent.ts";
import { AGENT_USER, distributionOptions } from "../testing/distribution.ts";
import { DistributionServer } from "./server.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const userOn = (node: string): TokenUser => ({
  ...AGENT_USER,
  extra: { "authentication.kubernetes.io/node-name": [node] },
});

/** A server that lets in the agent of the node that a token names, and counts what it has read of telemetry, with so many milliseconds of work on each message. */
async function serve() {
  const read = { observations: 0, work: 0 };
  const bindings = new Map<string, NodeState["bindings"]>();
  const wanted = (node: string): NodeState => ({
    bindings: bindings.get(node) ?? new Map(),
    tables: new Map(),
    enforcing: null,
  });
  const server = new DistributionServer({
    ...distributionOptions(async (token) => userOn(token)),
    wanted,
    observers: {
      connected: () => {},
      disconnected: () => {},
      observed: (_, { observations }) => {
        for (const end = performance.now() + read.work; performance.now() < end; );
        read.observations += observations.length;
      },
    },
  });
  await server.listen();
  closing.push(() => server.close());
  /** One more pod of the node. */
  const change = (node: string, podUid: string) => {
    const binding = create(BindingSchema, { podUid, policy: PolicyKind.UNRESTRICTED });
    bindings.set(node, new Map([...(bindings.get(node) ?? []), [podUid, binding]]));
    server.notify(node);
  };
  return { server, read, change };
}

async function connect(server: DistributionServer, node: string): Promise<TestAgent> {
  const agent = new TestAgent({ address: `127.0.0.1:${server.port}`, node, token: node });
  closing.push(() => agent.disconnect());
  agent.connect();
  await eventually("the agent has its state", () => agent.states.length === 1);
  return agent;
}

const PER_MESSAGE = 200;
const record = recordMessage({
  time: "2026-01-01T00:00:00.000Z",
  type: "verdict",
  verdict: "dropped",
  reason: "Peer",
  direction: "egress",
  workload: { namespace: "default", name: "web", labels: {}, uid: "uid-default-web" },
  profiles: ["default/web"],
  process: { path: "/bin/app", container: "main" },
  proto: "tcp",
  src: { ip: "10.0.0.1", port: 40_000 },
  dst: { ip: "10.0.0.2", port: 443 },
  count: 1,
});
const observations: TelemetryReport["message"] = {
  case: "observations",
  value: create(ObservationsSchema, {
    observations: Array.from({ length: PER_MESSAGE }, () => ({ subscriptions: [1], record })),
  }),
};

/** Two changes one after the other: the second is sent when the first has been acknowledged. @returns milliseconds */
async function twoRules(agent: TestAgent, change: (podUid: string) => void): Promise<number> {
  const begun = performance.now();
  for (const podUid of ["first", "second"]) {
    change(podUid);
    await eventually(`${podUid} has come`, () => agent.held.bindings.has(podUid), 20_000);
  }
  return performance.now() - begun;
}

test("an agent that floods the operator with telemetry gets its own rules beside it", async () => {
  const { server, read, change } = await serve();
  const agent = await connect(server, "n1");
  for (let message = 0; message < 600; message += 1) agent.report(observations);
  await eventually("the flood has come", () => read.observations > 0);
  const milliseconds = await twoRules(agent, (podUid) => change("n1", podUid));
  assert.ok(read.observations < 600 * PER_MESSAGE, "the flood was over before the rules had come");
  assert.ok(milliseconds < 5_000, `${milliseconds} ms`);
  assert.equal(agent.telemetryEnded, null);
});

test("however many agents flood, telemetry has a share of the operator's time, and the rest is for rules", async () => {
  const { server, read, change } = await serve();
  const floods = await Promise.all(Array.from({ length: 10 }, (_, index) => connect(server, `flood-${index}`)));
  const honest = await connect(server, "honest");
  read.work = 10;
  for (const flood of floods) for (let message = 0; message < 100; message += 1) flood.report(observations);
  await eventually("the flood has come", () => read.observations > 0);
  const begun = performance.now();
  await twoRules(honest, (podUid) => change("honest", podUid));
  await wait(Math.max(0, 2_000 - (performance.now() - begun)));
  const spent = (read.observations / PER_MESSAGE) * read.work;
  const elapsed = performance.now() - begun;
  assert.ok(read.observations < 1_000 * PER_MESSAGE, "the flood was over before it was looked at");
  // A quarter of each second, and a quarter of one that was left over before.
  assert.ok(spent < 0.5 * elapsed, `${spent} ms of ${elapsed} ms`);
});

test("telemetry on a connection on which nobody has said hello is refused", async () => {
  const { server } = await serve();
  const stranger = new TestAgent({ address: `127.0.0.1:${server.port}`, node: "n1", token: "n1" });
  closing.push(() => stranger.disconnect());
  stranger.openTelemetry();
  await eventually("it is refused", () => stranger.telemetryEnded !== null);
  assert.equal(stranger.telemetryEnded?.code, GrpcStatus.FAILED_PRECONDITION);
});

test("telemetry opened again and again is refused for a while, and policy goes on", async () => {
  const { server, change } = await serve();
  const agent = await connect(server, "n1");
  let refused = 0;
  for (let count = 0; count < 30; count += 1) {
    agent.openTelemetry();
    await wait(5);
    if (agent.telemetryEnded?.code === GrpcStatus.RESOURCE_EXHAUSTED) refused += 1;
  }
  await eventually(
    "most are refused",
    () => refused > 5 || agent.telemetryEnded?.code === GrpcStatus.RESOURCE_EXHAUSTED,
  );
  assert.ok((await twoRules(agent, (podUid) => change("n1", podUid))) < 5_000);
});
