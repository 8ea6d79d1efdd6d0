/** Observers by real HTTP, agents by real gRPC, and a made-up cluster. */
import assert from "node:assert/strict";
import http from "node:http";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { recordMessage } from "../../flow/message.ts";
import type { VerdictEvent } from "../../flow/record.ts";
import { ObservationsSchema, type Subscriptions } from "../../gen/telemetry_pb.js";
import { collectionPath, SUBJECT_ACCESS_REVIEWS } from "../../kube/resources.ts";
import { eventually } from "../../kube/testing/silence.ts";
import { OBSERVE_PATH } from "../../protocol/observe.ts";
import { PODS } from "../cluster/kinds.ts";
import type { Operator } from "../operator.ts";
import type { TestAgent } from "../testing/agent.ts";
import { TestCluster } from "../testing/cluster.ts";

let cluster: TestCluster;
const observers: Observer[] = [];

beforeEach(async () => {
  cluster = await TestCluster.start();
});
afterEach(async () => {
  for (const observer of observers.splice(0)) observer.leave();
  await cluster.close();
});

interface Line {
  type: string;
  [field: string]: unknown;
}

/** One who looks at a pod. */
class Observer {
  readonly lines: Line[] = [];
  status = 0;
  ended = false;
  readonly #request: http.ClientRequest;
  #response: http.IncomingMessage | null = null;

  constructor(operator: Operator, more: object = {}, { host = "127.0.0.1", isReading = true } = {}) {
    const body = { token: "observer", namespace: "default", pod: "web", verdicts: ["dropped"], rate: 100, ...more };
    const port = operator.observeServer?.port ?? 0;
    this.#request = http.request({ host, port, path: OBSERVE_PATH, method: "POST", agent: false });
    this.#request.on("error", () => {
      this.ended = true;
    });
    this.#request.on("response", (response) => {
      this.#response = response;
      this.status = response.statusCode ?? 0;
      response.on("error", () => {});
      response.on("close", () => {
        this.ended = true;
      });
      if (isReading) this.read();
    });
    this.#request.end(JSON.stringify(body));
    observers.push(this);
  }

  read(): void {
    if (this.#response === null) return;
    const lines = createInterface({ input: this.#response });
    lines.on("line", (line) => this.lines.push(JSON.parse(line) as Line));
    // A test that has left breaks it off.
    lines.on("error", () => {});
  }

  of(type: string): Line[] {
    return this.lines.filter((line) => line.type === type);
  }

  leave(): void {
    this.#request.destroy();
  }
}

/** What the operator subscribed to last. */
function subscribed(agent: TestAgent): Subscriptions | undefined {
  return agent.requests.flatMap(({ message }) => (message.case === "subscriptions" ? [message.value] : [])).at(-1);
}

/** A record of a pod, as its agent sends it. */
const seen = (name = "web", more: Partial<VerdictEvent> = {}) =>
  recordMessage({
    time: "2026-01-01T00:00:00.000Z",
    type: "verdict",
    verdict: "dropped",
    reason: "Peer",
    direction: "egress",
    workload: { namespace: "default", name, labels: {}, uid: `uid-default-${name}` },
    profiles: [],
    process: null,
    proto: "tcp",
    src: { ip: "10.0.0.1", port: 1 },
    dst: { ip: "10.0.0.2", port: 2 },
    count: 1,
    ...more,
  });

type ObservationFields = Exclude<MessageInitShape<typeof ObservationsSchema>, { $typeName: string }>;

function sees(agent: TestAgent, observations: ObservationFields["observations"], lost: ObservationFields["lost"] = []) {
  const value = create(ObservationsSchema, { observations: observations ?? [], lost: lost ?? [] });
  agent.report({ case: "observations", value });
}

/** Until an agent of the node can be asked for records. */
async function sendsTelemetry({ observers }: Operator, node: string): Promise<void> {
  await eventually("an agent that sends telemetry", () => observers.sources.has(node));
}

async function scene(): Promise<{ operator: Operator; agent: TestAgent }> {
  cluster.pod("web");
  const operator = await cluster.operator();
  const agent = cluster.agent(operator, "n1");
  await sendsTelemetry(operator, "n1");
  return { operator, agent };
}

const observed = (agent: TestAgent) =>
  eventually("a subscription", () => (subscribed(agent)?.subscriptions.length ?? 0) > 0);

test("an observer sees what the pod's agent sees, and the agent is asked for no longer than that", async () => {
  const { operator, agent } = await scene();
  const observer = new Observer(operator, { verdicts: ["dropped", "allowed"], direction: "egress", process: "/bin/a" });
  await observed(agent);
  const [subscription] = subscribed(agent)?.subscriptions ?? [];
  assert.ok(subscription);
  assert.deepEqual(
    [subscription.podUid, subscription.verdicts, subscription.direction, subscription.path, subscription.rate],
    ["uid-default-web", ["dropped", "allowed"], "egress", "/bin/a", 100],
  );
  sees(agent, [{ subscriptions: [subscription.id], record: seen() }], [{ subscription: subscription.id, count: 4n }]);
  await eventually("the event", () => observer.of("verdict").length === 1);
  assert.equal(observer.of("lost")[0]?.count, 4);
  const [first] = observer.of("observing");
  assert.deepEqual([first?.node, first?.profiles], ["n1", []]);
  assert.match(String(first?.notes), /no SecurityProfile selects this pod/);
  observer.leave();
  await eventually("nobody observes", () => subscribed(agent)?.subscriptions.length === 0);
  assert.equal(operator.observers.size, 0);
});

test("subscriptions are said again while somebody observes, and to an agent that comes back", async () => {
  const { operator, agent } = await scene();
  const observer = new Observer(operator);
  await observed(agent);
  const lease = subscribed(agent)?.leaseMilliseconds ?? 0;
  const said = () => agent.requests.filter(({ message }) => message.case === "subscriptions").length;
  const before = said();
  await eventually("it is said again", () => said() > before, lease);
  agent.disconnect();
  await eventually("the observer is notified", () =>
    /no agent of node n1/.test(String(observer.of("observing").at(-1)?.notes)),
  );
  const next = cluster.agent(operator, "n1");
  await observed(next);
  await eventually("and is again", () => !/no agent/.test(String(observer.of("observing").at(-1)?.notes)));
});

test("a profile that comes to select the pod is reported, with what it will not show", async () => {
  const { operator, agent } = await scene();
  const observer = new Observer(operator, { container: "other" });
  await observed(agent);
  cluster.profile("web", { actions: ["enforce"], processes: [{ path: "/a", container: "app", network: {} }] });
  await eventually(
    "the profile",
    () => observer.of("observing").at(-1)?.profiles?.toString() === "default/web",
    15_000,
  );
  const notes = String(observer.of("observing").at(-1)?.notes);
  assert.match(notes, /no action alert/);
  assert.match(notes, /tell these containers apart: app/);
});

test("an agent tells of its own node's pods, and of the pod that is observed", async () => {
  const { operator, agent } = await scene();
  const other = cluster.agent(operator, "n2");
  const observer = new Observer(operator);
  await observed(agent);
  const id = subscribed(agent)?.subscriptions[0]?.id ?? 0;
  sees(other, [{ subscriptions: [id], record: seen("web", { count: 2 }) }], [{ subscription: id, count: 1_000n }]);
  sees(agent, [
    { subscriptions: [id], record: seen("another") },
    { subscriptions: [id] },
    { subscriptions: [id], record: seen("web", { profiles: Array.from({ length: 100 }, () => "p".repeat(500)) }) },
    { subscriptions: [id + 100], record: seen() },
    { subscriptions: [id], record: seen("web", { count: 3 }) },
  ]);
  await eventually("the event", () => observer.of("verdict").length === 1);
  assert.equal(observer.of("verdict")[0]?.count, 3);
  assert.deepEqual(
    observer.of("lost").map(({ count }) => count),
    [1, 1, 1],
  );
});

test("who may not, what is not there, and what cannot be seen is refused in words", async () => {
  const { operator } = await scene();
  cluster.pod("host", { hostNetwork: true });
  cluster.pod("elsewhere", { node: "n7" });
  cluster.pod("unplaced", { node: "" });
  cluster.pod("theirs", { namespace: "other" });
  cluster.pod("old", { node: "n3" });
  const old = cluster.agent(operator, "n3", { telemetry: false });
  await eventually("the old agent is there", () => old.states.length > 0);
  await eventually("pods are known", () => operator.plan.pods.get("other/theirs") !== undefined);
  const cases: [object, number, RegExp][] = [
    [{ token: "agent-on-n1" }, 401, /not for the audience portcullis-observer/],
    [{ token: "nonsense" }, 401, /not valid/],
    [{ namespace: "other", pod: "theirs" }, 403, /observer may not observe pods of namespace other.*no role says so/],
    [{ namespace: "other", pod: "none" }, 403, /may not observe/],
    [{ pod: "none" }, 404, /there is no running pod none/],
    [{ pod: "unplaced" }, 409, /on no node yet/],
    [{ pod: "host" }, 409, /shares its node's network namespace/],
    [{ pod: "old" }, 503, /no agent of node n3 sends records.* older than the operator/],
    [{ pod: "elsewhere" }, 503, /no agent of node n7 sends records/],
    [{ verdicts: ["all"] }, 400, /verdicts has to be a list of allowed, alerted/],
    [{ rate: 0 }, 400, /rate has to be a whole number/],
    [{ verbose: true }, 400, /does not know verbose/],
  ];
  for (const [more, status, words] of cases) {
    const observer = new Observer(operator, more);
    await eventually("an answer", () => observer.lines.length === 1);
    assert.equal(observer.status, status, JSON.stringify(more));
    assert.match(String(observer.lines[0]?.message), words);
    assert.equal(observer.lines[0]?.kind, "Status");
  }
  cluster.server.fail(new RegExp(collectionPath(SUBJECT_ACCESS_REVIEWS)), 500);
  const unlucky = new Observer(operator);
  await eventually("an answer", () => unlucky.status === 503);
});

test("no more observers than an agent should serve", async () => {
  const { operator, agent } = await scene();
  for (let index = 0; index < 8; index += 1) new Observer(operator);
  await eventually("eight", () => subscribed(agent)?.subscriptions.length === 8);
  const ninth = new Observer(operator);
  await eventually("a refusal", () => ninth.status === 429);
});

test("where all places are one namespace's, an observer of another one finds room, and the former keeps its share", async () => {
  cluster.pod("theirs", { namespace: "other" });
  cluster.observable.add("other");
  const { operator, agent } = await scene();
  const many = Array.from({ length: 8 }, () => new Observer(operator));
  await eventually("eight", () => subscribed(agent)?.subscriptions.length === 8);
  const theirs = { namespace: "other", pod: "theirs" };
  for (let count = 1; count <= 4; count += 1) {
    const one = new Observer(operator, theirs);
    await eventually("it is let in", () => one.status === 200);
    await eventually("one of many has gone", () => many.filter(({ ended }) => ended).length === count);
  }
  assert.match(String(many.flatMap((one) => one.of("end"))[0]?.message), /nobody has as many observers/);
  for (const more of [theirs, {}]) {
    const beyond = new Observer(operator, more);
    await eventually("a refusal", () => beyond.status === 429);
  }
  assert.equal(subscribed(agent)?.subscriptions.length, 8);
});

test("an observer who does not read costs a buffer, and is told what was left out", async () => {
  const { operator, agent } = await scene();
  const lazy = new Observer(operator, {}, { isReading: false });
  await observed(agent);
  const id = subscribed(agent)?.subscriptions[0]?.id ?? 0;
  const batch = Array.from({ length: 200 }, () => ({
    subscriptions: [id],
    record: seen("web", { profiles: Array.from({ length: 20 }, () => "p".repeat(400)) }),
  }));
  for (let index = 0; index < 15; index += 1) sees(agent, batch);
  const eager = new Observer(operator);
  await eventually("another is served", () => (subscribed(agent)?.subscriptions.length ?? 0) === 2);
  const second = subscribed(agent)?.subscriptions[1]?.id ?? 0;
  sees(agent, [{ subscriptions: [second], record: seen() }]);
  await eventually("and sees", () => eager.of("verdict").length === 1);
  lazy.read();
  const left = () => lazy.of("lost").reduce((sum, { count }) => sum + Number(count), 0);
  await eventually("it has all, or is notified", () => lazy.of("verdict").length + left() === 3_000, 20_000);
  assert.ok(left() > 0, "the sockets' buffers took it all");
});

test("a pod that is gone ends it, and so does the operator", async () => {
  const { operator, agent } = await scene();
  const observer = new Observer(operator);
  await observed(agent);
  cluster.server.remove(PODS, "default/web");
  await eventually("the end", () => observer.of("end").length === 1, 15_000);
  assert.deepEqual(
    [observer.of("end")[0]?.again, observer.of("end")[0]?.message],
    [false, "there is no running pod web in namespace default"],
  );
  cluster.pod("web");
  await eventually("it is back", () => operator.plan.planner.plan("default/web") !== undefined);
  const next = new Observer(operator);
  await observed(agent);
  await operator.stop();
  await eventually("the end", () => next.ended);
  assert.deepEqual([next.of("end")[0]?.again, next.of("end")[0]?.message], [true, "this operator ends"]);
});

test("an operator that does not lead passes it on to the one that does", async () => {
  cluster.pod("web");
  const election = {
    namespace: "portcullis-system",
    leaseName: "portcullis-operator",
    leaseDuration: 3_000,
    renewDeadline: 2_000,
    retryPeriod: 200,
  };
  const leader = await cluster.operator(election, "one", { advertiseAddress: "127.0.0.1:8443" });
  await eventually("it leads", () => leader.isLeader, 20_000);
  const observeAddress = `127.0.0.2:${leader.observeServer?.port}`;
  const standby = await cluster.operator(election, "two", { advertiseAddress: "127.0.0.2:8443", observeAddress });
  // Whoever asks in vain too often is not listened to any more.
  await eventually("the standby has read the cluster", () => standby.problems.length === 0, 20_000);
  const agent = cluster.agent(leader, "n1");
  await sendsTelemetry(leader, "n1");
  let observer = new Observer(standby, {}, { host: "127.0.0.2" });
  await eventually(
    "the standby knows the leader",
    () => {
      if (observer.status === 503) observer = new Observer(standby, {}, { host: "127.0.0.2" });
      return observer.status === 200;
    },
    20_000,
  );
  await observed(agent);
  sees(agent, [{ subscriptions: [subscribed(agent)?.subscriptions[0]?.id ?? 0], record: seen() }]);
  await eventually("the event", () => observer.of("verdict").length === 1);
  const refused = new Observer(standby, { token: "nonsense" }, { host: "127.0.0.2" });
  await eventually("the leader's refusal", () => refused.lines.length === 1);
  assert.equal(refused.status, 401);
  observer.leave();
  await eventually("nobody observes", () => subscribed(agent)?.subscriptions.length === 0);
});
