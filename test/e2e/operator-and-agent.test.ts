/**
 * Operator and agent together: profiles and pods in a made-up API server, the operator's own code, TLS over IPv6 between the two,
 * and the agent on this kernel with network namespaces for pods, one of them without IPv4.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import type { SecurityProfileSpec } from "../../src/api/types.ts";
import type { AgentEvent, VerdictEvent } from "../../src/flow/record.ts";
import { EVENTS } from "../../src/kube/resources.ts";
import { eventually, silentLogger } from "../../src/kube/testing/silence.ts";
import { detachAll } from "../../src/node-agent/enforce/detach.ts";
import { inspectNode } from "../../src/node-agent/enforce/inspect.ts";
import { DEFAULT_SETTINGS } from "../../src/node-agent/enforce/tables/settings.ts";
import { ForeignFiles } from "../../src/node-agent/foreign-files/foreign-files.ts";
import { hasFeature } from "../../src/node-agent/kernel/features/features.ts";
import { Records } from "../../src/node-agent/records/records.ts";
import { AgentMetrics } from "../../src/node-agent/uplink/agent-metrics.ts";
import { ClusterAgent } from "../../src/node-agent/uplink/cluster-agent.ts";
import { KeptState } from "../../src/node-agent/uplink/kept-state.ts";
import { PodBindings } from "../../src/node-agent/uplink/pod-bindings.ts";
import { makeCertificates } from "../../src/node-agent/uplink/testing/certificates.ts";
import {
  type FakePod,
  FakePods,
  makePods,
  ping,
  reaches,
  removePods,
} from "../../src/node-agent/uplink/testing/fake-pods.ts";
import { SECURITY_PROFILES } from "../../src/operator/cluster/kinds.ts";
import { Operator } from "../../src/operator/operator.ts";
import { TestCluster } from "../../src/operator/testing/cluster.ts";
import { OBSERVE_PATH } from "../../src/protocol/observe.ts";

const folder = mkdtempSync(join(tmpdir(), "pc-oa-"));
const pinRoot = `/sys/fs/bpf/pc-oa-test-${process.pid}`;
const stateDirectory = join(folder, "state");
const log = silentLogger();
const NAME = "operator.test";
const WEB: FakePod = { name: `pc-oa-${process.pid}`, uid: `uid-default-pc-oa-${process.pid}`, subnet: 7 };
const SIX: FakePod = {
  name: `pc-oa6-${process.pid}`,
  uid: `uid-default-pc-oa6-${process.pid}`,
  subnet: 6,
  hasIpv6Alone: true,
};
const PODS = [WEB, SIX];
const NODE = "n1";
/** Kernels without these lack other hooks too, as 5.10 does. */
const ENFORCED = hasFeature("socket-iterators") ? "True Enforced" : "True EnforcedWithLimits";

let cluster: TestCluster;
let operator: Operator;
let agent: ClusterAgent;
let workloads: FakePods;
const metrics = new AgentMetrics();
/** What the agent has put into its own log. */
const printed: AgentEvent[] = [];

before(async () => {
  mkdirSync(join(folder, "root"));
  makePods(PODS);
  const { caFile } = makeCertificates(folder, NAME);
  writeFileSync(join(folder, "token"), `agent-on-${NODE}`);
  cluster = await TestCluster.start();
  operator = new Operator({
    connection: cluster.server.connection(),
    version: "test",
    identity: "operator",
    listenAddress: "[::1]:0",
    observeAddress: "127.0.0.1:0",
    advertiseAddress: "operator:8443",
    tls: { certificateFile: caFile, keyFile: join(folder, `${NAME}.key`) },
    agentServiceAccount: "portcullis-system/portcullis-agent",
    clusterDomain: "cluster.local",
    election: null,
    log,
  });
  await operator.start();
  await eventually("agents are served", () => operator.isLeader);
  agent = startAgent(operator.server.port, caFile);
});

after(async () => {
  agent?.close();
  workloads?.close();
  await records.end();
  files.close();
  await operator?.stop();
  await cluster?.close();
  removePods(PODS);
  if (existsSync(pinRoot)) detachAll(pinRoot, stateDirectory);
  rmSync(folder, { recursive: true, force: true });
});

const files = new ForeignFiles({ log });
const recordsFolder = join(folder, "records");
// In its place is a file.
writeFileSync(recordsFolder, "no folder");
const records = new Records({
  ...{
    folder: recordsFolder,
    limit: 2 ** 20,
    socket: join(folder, "observe.sock"),
    node: NODE,
    exports: [],
    serve: null,
  },
  log,
});

function startAgent(port: number, caFile: string): ClusterAgent {
  const bindings = new PodBindings(undefined, join(folder, "no-logs"));
  workloads = new FakePods(PODS, bindings, () => ({ cgroupId: 1n, root: join(folder, "root") }));
  return new ClusterAgent({
    pinRoot,
    stateDirectory,
    settings: { ...DEFAULT_SETTINGS, eventInterval: 100, reportAllowed: false },
    workloads,
    files,
    sink: { write: (event) => printed.push(event), end: () => Promise.resolve() },
    startupFailurePolicy: "Block",
    startupTimeout: 60_000,
    log,
    operator: {
      address: { target: `[::1]:${port}`, serverName: NAME, caFile, tokenFile: join(folder, "token") },
      nodeName: NODE,
      version: "test",
      searchDomains: [],
    },
    bindings,
    kept: new KeptState(stateDirectory),
    exemptNamespaces: new Set(),
    blockNamespaces: new Set(),
    metrics,
    records,
  });
}

/** By its name, and until that is known, by its UID. */
const inForce = (pod = WEB) =>
  inspectNode(pinRoot, stateDirectory).workloads.find(({ name }) => name === pod.name || name === pod.uid);

const profile = (spec: Partial<SecurityProfileSpec>, generation: number) =>
  cluster.profile(
    "web",
    {
      actions: ["alert"],
      processes: [{ path: "/bin/app", network: { egress: { cidr4: ["10.0.0.0/8"], l4: { protocols: ["tcp"] } } } }],
      ...spec,
    },
    generation,
    { app: WEB.name },
  );

test("a pod that the API server has not listed is blocked; then no profile selects it", async () => {
  await eventually("it is found", () => inForce() !== undefined);
  assert.equal(inForce()?.state, "pending");
  cluster.pod(WEB.name, { node: NODE });
  await eventually("unrestricted", () => inForce()?.state === "unrestricted");
});

test("records that cannot be kept are in the status, until they can; nothing else has to change for that", async () => {
  profile({}, 1);
  await cluster.becomes("web", "Enforced", "True EnforcedWithLimits");
  const message = () => cluster.status("web")?.conditions.find(({ type }) => type === "Enforced")?.message ?? "";
  await eventually(
    "it is reported",
    () => message().includes("PC_RECORDS_NOT_KEPT: records cannot be kept in"),
    20_000,
  );
  rmSync(recordsFolder);
  await eventually("it is over", () => !message().includes("PC_RECORDS_NOT_KEPT"), 20_000);
});

test("a profile is in force on the pod, and its status says so", async () => {
  profile({}, 1);
  await cluster.becomes("web", "Enforced", ENFORCED);
  assert.deepEqual([inForce()?.state, inForce()?.actions], ["watching", ["alert"]]);
  assert.deepEqual([cluster.status("web")?.pods.text, cluster.status("web")?.nodes.text], ["1/1", "1/1"]);
});

test("what the pod does against it is counted in the status, and is an Event of the pod", async () => {
  ping(WEB);
  await eventually("alerts in the status", () => Number(cluster.status("web")?.alerted ?? 0) > 0, 15_000);
  await eventually("an Event", () => cluster.server.list(EVENTS).length > 0, 15_000);
  const [event] = cluster.server.list(EVENTS);
  const regarding = event?.regarding as { kind: string; name: string } | undefined;
  assert.deepEqual([regarding?.kind, regarding?.name], ["Pod", WEB.name]);
});

test("one who looks at the pod sees what it does, also what is allowed; the agent's own log is as it was", async () => {
  profile(
    { default: { egress: { cidr4: ["0.0.0.0/0"], l3: { protocols: ["ipv4", "arp"] }, l4: { protocols: ["icmp"] } } } },
    2,
  );
  await cluster.becomes("web", "Enforced", ENFORCED);
  const seen: VerdictEvent[] = [];
  const body = { token: "observer", namespace: "default", pod: WEB.name, verdicts: ["allowed", "alerted"], rate: 100 };
  const port = operator.observeServer?.port ?? 0;
  const ca = readFileSync(join(folder, `${NAME}.crt`));
  const request = https.request({ host: "127.0.0.1", port, path: OBSERVE_PATH, method: "POST", ca, servername: NAME });
  request.on("response", (response) => {
    const lines = createInterface({ input: response });
    lines.on("line", (line) => seen.push(JSON.parse(line) as VerdictEvent));
    lines.on("error", () => {});
  });
  request.on("error", () => {});
  request.end(JSON.stringify(body));
  const isEcho = (event: AgentEvent) =>
    event.type === "verdict" && event.verdict === "allowed" && event.proto === "icmp";
  for (let turn = 0; turn < 50 && !seen.some(isEcho); turn += 1) {
    ping(WEB);
    await new Promise((settle) => setTimeout(settle, 100));
  }
  const echo = seen.find(isEcho);
  assert.deepEqual([echo?.direction, echo?.workload.name, echo?.profiles], ["egress", WEB.name, ["default/web"]]);
  request.destroy();
  await eventually("nobody looks", () => operator.observers.size === 0);
  assert.equal(printed.some(isEcho), false);
});

test("alert becomes enforce, live", async () => {
  profile({ actions: ["alert", "enforce"] }, 3);
  await eventually("enforce", () => inForce()?.actions.includes("enforce") === true);
  ping(WEB);
  await eventually("drops in the status", () => Number(cluster.status("web")?.dropped ?? 0) > 0, 15_000);
});

test("an edit that is not valid leaves the old one in force", async () => {
  const before = inForce()?.table;
  profile({ processes: [{ path: "relative" }] }, 4);
  await cluster.becomes("web", "Accepted", "False Invalid");
  assert.equal(inForce()?.table, before);
});

test("without a profile nothing is judged any more", async () => {
  cluster.server.remove(SECURITY_PROFILES, "default/web");
  await eventually("unrestricted", () => inForce()?.state === "unrestricted");
  assert.match(
    await metrics.registry.metrics(),
    /portcullis_agent_revisions_total\{result="acknowledged",code=""\} \d/,
  );
});

test("a pod without IPv4 is judged as any other: peers are found by their IPv6 addresses, and followed", async () => {
  const [listed, other] = [`fd99:${SIX.subnet}::1`, `fd99:${SIX.subnet}::9`];
  cluster.pod(SIX.name, { node: NODE, ip: `fd99:${SIX.subnet}::2` });
  cluster.pod("db", { node: "n2", ip: listed });
  await eventually("nothing is judged yet", () => inForce(SIX)?.state === "unrestricted");
  assert.deepEqual([reaches(SIX, listed), reaches(SIX, other)], [true, true]);
  const peers = {
    pods: [{ podSelector: { matchLabels: { app: "db" } } }],
    cidr6: ["fe80::/10", "ff02::/16"],
    l4: { protocols: ["icmpv6" as const] },
  };
  cluster.profile("six", { actions: ["alert", "enforce"], default: { egress: peers, ingress: peers } }, 1, {
    app: SIX.name,
  });
  await cluster.becomes("six", "Enforced", ENFORCED);
  assert.deepEqual([reaches(SIX, listed), reaches(SIX, other)], [true, false]);
  await eventually("drops in the status", () => Number(cluster.status("six")?.dropped ?? 0) > 0, 15_000);
  const before = inForce(SIX)?.table;
  cluster.pod("db", { node: "n2", ip: other });
  await eventually("the peer's new address", () => inForce(SIX)?.table !== before);
  assert.deepEqual([reaches(SIX, listed), reaches(SIX, other)], [false, true]);
});
