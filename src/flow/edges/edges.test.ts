/** Edges: who talked to whom is gathered from the records of both ends, once; what is not sure stays apart, and memory has its bounds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { OTHER } from "../counting/tally.ts";
import { selectionFilter } from "../filters/filter.ts";
import type { AgentEvent, FlowEvent, VerdictEvent } from "../record.ts";
import { bypassing, type ProxyReference } from "./bypass.ts";
import { dotGraph } from "./dot.ts";
import { type Edge, endText, flowsOf, serviceText } from "./edge.ts";
import { Edges } from "./edges.ts";
import { serverTest } from "./matching.ts";
import { reached } from "./reach.ts";
import { bySlowness, culpritOf } from "./slowness.ts";

const TIME = Date.parse("2026-01-02T03:04:05.000Z");

interface Said {
  pod: string;
  process: string | null;
  /** `address:port`, from whom to whom. */
  from: string;
  to: string;
}

function record({ pod, process, from, to }: Said, more: Partial<VerdictEvent> = {}): VerdictEvent {
  const [namespace = "", name = ""] = pod.split("/");
  const end = (text: string) => {
    const [ip = "", port = "0"] = text.split(/:(?=\d+$)/);
    return { ip, port: Number(port) };
  };
  return {
    ...{ time: new Date(TIME).toISOString(), type: "verdict", verdict: "allowed", reason: "Allowed" },
    ...{ direction: "egress", workload: { name, namespace, labels: {} }, profiles: [] },
    ...{ process: process === null ? null : { path: process }, proto: "tcp", src: end(from), dst: end(to), count: 1 },
    ...more,
  };
}

const WEB = { pod: "shop/web", process: "/bin/web" };
const DB = { pod: "data/db", process: "/bin/db" };
const ask = (from: number, more: Partial<VerdictEvent> = {}) =>
  record({ ...WEB, from: `10.0.0.1:${from}`, to: "10.0.0.2:5432" }, more);
const asked = (from: number, more: Partial<VerdictEvent> = {}) =>
  record({ ...DB, from: `10.0.0.1:${from}`, to: "10.0.0.2:5432" }, { direction: "ingress", ...more });

function edgesOf(records: readonly AgentEvent[], filter?: (record: AgentEvent) => boolean) {
  const edges = new Edges(filter);
  for (const one of records) edges.add(one);
  return edges.end();
}

/** `shop/web /bin/web > data/db /bin/db 5432/tcp allowed 2+0`. */
function text(edge: Edge): string {
  const { client, server, verdict, violations } = edge;
  const [one, other] = [client, server].map((end) => [endText(end), end.process].filter(Boolean).join(" "));
  return `${one} > ${other} ${serviceText(edge)} ${verdict} ${flowsOf(edge)}+${violations}`;
}

const texts = (records: readonly AgentEvent[], filter?: (record: AgentEvent) => boolean) =>
  edgesOf(records, filter).edges.map(text);

test("a conversation that both ends have records of is one edge, from process to process", () => {
  assert.deepEqual(texts([ask(1), asked(1), ask(2), asked(2)]), [
    "shop/web /bin/web > data/db /bin/db 5432/tcp allowed 2+0",
  ]);
});

test("one that only one end has records of names the other as far as it is known", () => {
  assert.deepEqual(texts([asked(1)]), ["10.0.0.1 > data/db /bin/db 5432/tcp allowed 1+0"]);
  const named = ask(1, { dst: { ip: "192.0.2.1", port: 443, name: "api.example.com" }, application: "tls" });
  assert.deepEqual(texts([named, asked(1)]).sort(), [
    "shop/web /bin/web > api.example.com 443/tcp tls allowed 1+0",
    "shop/web > data/db /bin/db 5432/tcp allowed 1+0",
  ]);
});

test("what the client may, and the server refuses, is two edges: both are true", () => {
  const refused = asked(1, { verdict: "dropped", reason: "Peer", process: null, count: 3 });
  const { edges } = edgesOf([ask(1), refused]);
  assert.deepEqual(edges.map(text), [
    "shop/web /bin/web > data/db 5432/tcp allowed 1+0",
    "shop/web > data/db 5432/tcp dropped 0+3",
  ]);
  assert.deepEqual(edges[1]?.reasons, ["Peer"]);
});

test("two processes that could be the server are none; names of one workload are one edge", () => {
  const other = asked(2, { process: { path: "/bin/other" } });
  assert.deepEqual(texts([ask(1), asked(1), other]), ["shop/web /bin/web > data/db 5432/tcp allowed 1+0"]);
  const names = ["db", "db.data"].map((name) => ask(1, { dst: { ip: "10.0.0.2", port: 5432, name } }));
  assert.deepEqual(texts([...names, asked(1)]), ["shop/web /bin/web > data/db /bin/db 5432/tcp allowed 2+0"]);
});

test("replicas are one workload; an address that went from one workload to another is nobody's, and counted", () => {
  const replica = (suffix: string) =>
    ask(1, { workload: { name: `web-6b-${suffix}`, namespace: "shop", labels: { "pod-template-hash": "6b" } } });
  assert.deepEqual(texts([replica("abcde"), replica("fghij")]), ["shop/web /bin/web > 10.0.0.2 5432/tcp allowed 2+0"]);
  const later = record({ pod: "bank/new", process: "/bin/new", from: "10.0.0.2:9", to: "192.0.2.1:80" });
  const { edges, ambiguous } = edgesOf([ask(1), asked(1), later]);
  assert.equal(ambiguous, 1);
  assert.ok(edges.map(text).includes("shop/web /bin/web > 10.0.0.2 5432/tcp allowed 1+0"));
});

test("a forged source is no address of the workload that forges it", () => {
  const forged = record(
    { pod: "evil/pod", process: "/bin/evil", from: "10.0.0.2:1", to: "10.0.0.1:80" },
    { verdict: "dropped", reason: "IpSpoofing" },
  );
  assert.equal(edgesOf([forged, ask(1), asked(1)]).ambiguous, 0);
  const group = { direction: "ingress", dst: { ip: "224.0.0.251", port: 5353 }, proto: "udp" } as const;
  assert.equal(edgesOf([ask(1, group), asked(1, group)]).ambiguous, 0, "a group is nobody's");
});

test("what is filtered out has no edge, and still tells whose address is whose", () => {
  const filter = selectionFilter({ allow: [{ pod: ["shop/"] }], deny: [] });
  assert.deepEqual(texts([ask(1), asked(1)], filter), ["shop/web /bin/web > data/db 5432/tcp allowed 1+0"]);
});

test("answers under trace-dns, traffic that is not of IP and records of other things make no edge", () => {
  const traced = ask(1, { type: "dns", dns: { name: "a.example", type: "A" } });
  const arp = ask(1, { proto: "arp" });
  const lost: AgentEvent = { time: traced.time, type: "lost", where: "kernel", count: 1 };
  assert.deepEqual(texts([traced, arp, lost]), []);
});

test("of a workload's peers the 200 most used have edges, all others one together; none is uncounted", () => {
  const scan = Array.from({ length: 1000 }, (_, number) =>
    ask(1, { dst: { ip: `192.0.${number >> 8}.${number & 255}`, port: 80 }, count: number < 150 ? 5 : 1 }),
  );
  const { edges } = edgesOf(scan);
  assert.equal(edges.length, 201);
  const rest = edges.find(({ server }) => server.name === OTHER);
  assert.deepEqual([rest?.begun, rest?.proto], [800, OTHER]);
  assert.equal(edges.filter(({ begun }) => begun === 5).length, 150);
  const flood = Array.from({ length: 60_000 }, (_, number) => ask(1, { dst: { ip: "192.0.2.1", port: number + 1 } }));
  const all = edgesOf([...flood, asked(1)]).edges;
  assert.ok(all.length <= 20_003, `${all.length}`);
  assert.equal(
    all.reduce((sum, { begun }) => sum + begun, 0),
    60_001,
  );
});

test("who is meant: a workload, a name, an address, a prefix, a port", () => {
  const { edges } = edgesOf([
    ask(1),
    asked(1),
    ask(2, { dst: { ip: "192.0.2.1", port: 443, name: "api.example.com" } }),
    ask(3, { dst: { ip: "2001:db8::1", port: 53 }, proto: "udp" }),
  ]);
  const meant = (what: string) => edges.filter(serverTest(what)).map(({ server }) => endText(server));
  for (const what of ["db", "data/db", "10.0.0.2", "10.0.0.0/8", "5432", ":5432", "5432/tcp"]) {
    assert.deepEqual(meant(what), ["data/db"], what);
  }
  for (const what of ["api.example.com", "*.example.com", "192.0.2.0/24", "443"]) {
    assert.deepEqual(meant(what), ["api.example.com"], what);
  }
  assert.deepEqual(meant("2001:db8::/32"), ["2001:db8::1"]);
  assert.deepEqual(meant("53/udp"), ["2001:db8::1"]);
  for (const what of ["web", "shop/db", "53/tcp", "10.0.0.1", "example.com"]) assert.deepEqual(meant(what), [], what);
  assert.throws(() => serverTest(""), { code: "PC_USAGE" });
});

test("what is behind a workload is found step by step, each workload once", () => {
  const cycle = record({ ...DB, from: "10.0.0.2:7", to: "10.0.0.1:80" });
  const further = record({ ...DB, from: "10.0.0.2:8", to: "192.0.2.1:443" });
  const { edges } = edgesOf([ask(1), asked(1), cycle, further]);
  const steps = (way: "down" | "up", depth: number) =>
    reached(edges, { namespace: "shop", name: "web" }, way, depth).map(
      ({ edge, depth: at }) => `${at} ${endText(way === "down" ? edge.server : edge.client)}`,
    );
  assert.deepEqual(steps("down", 1), ["1 data/db"]);
  assert.deepEqual(steps("down", 5).sort(), ["1 data/db", "2 192.0.2.1", "2 shop/web"]);
  assert.deepEqual(steps("up", 2), ["1 data/db", "2 shop/web"]);
});

test("a graph has each pair and service once, and names that somebody chose cannot leave their quotes", () => {
  const evil = ask(2, {
    dst: { ip: "192.0.2.1", port: 80, name: 'a" [label="x\n' },
    verdict: "dropped",
    reason: "Peer",
  });
  const graph = dotGraph(edgesOf([ask(1), asked(1), { ...ask(3), process: { path: "/bin/two" } }, evil]).edges);
  assert.equal(graph.match(/"shop\/web" -> "data\/db"/g)?.length, 1);
  assert.match(graph, /"shop\/web" -> "data\/db" \[label="5432\/tcp"\];/);
  assert.match(graph, /-> "a\\" \[label=\\"x\\\\x0a" \[label="80\/tcp", style=dashed, color=red\];/);
});

test("a proxy is passed by where its workload has it, and another process talks itself", () => {
  const app = { pod: "shop/web", from: "10.0.0.1:5" };
  const records = [
    record({ ...app, process: "/usr/bin/envoy", to: "192.0.2.1:443" }),
    record({ ...app, process: "/bin/app", to: "192.0.2.2:443" }),
    record({ ...app, process: "/bin/app", to: "10.96.0.9:3128" }),
    record({ pod: "shop/plain", process: "/bin/app", from: "10.0.0.3:5", to: "192.0.2.3:443" }),
    record({ ...app, process: null, to: "192.0.2.4:443" }),
  ];
  const past = (proxy: ProxyReference) =>
    bypassing(edgesOf(records).edges, proxy).map(({ client, server }) => `${client.process} ${endText(server)}`);
  assert.deepEqual(past({ path: "envoy" }).sort(), ["/bin/app 10.96.0.9", "/bin/app 192.0.2.2"]);
  assert.deepEqual(past({ path: "/usr/bin/envoy" }).length, 2);
  assert.deepEqual(past({ path: "nginx" }), []);
  assert.deepEqual(past({ port: 3128 }).sort(), [
    "/bin/app 192.0.2.2",
    "/usr/bin/envoy 192.0.2.1",
    "undefined 192.0.2.4",
  ]);
});

const flow = (id: string, bytes: number, more: Partial<FlowEvent> = {}): FlowEvent => ({
  ...{
    time: new Date(TIME + 9_000).toISOString(),
    type: "flow",
    state: "update",
    id,
    start: new Date(TIME).toISOString(),
  },
  ...{ durationNs: 1, verdict: "allowed", reason: "Allowed", direction: "egress", profiles: [], proto: "tcp" },
  ...{ workload: { name: "web", namespace: "shop", labels: {} }, process: { path: "/bin/web" } },
  ...{ src: { ip: "10.0.0.1", port: 1 }, dst: { ip: "10.0.0.2", port: 5432 } },
  ...{ packets: { sent: 2, received: 1 }, bytes: { sent: bytes, received: 1 } },
  ...more,
});

test("a flow's first packet and its records are one conversation; its bytes count once, as the client sends and receives them", () => {
  const records = [ask(1), flow("a", 100), flow("a", 300), flow("a", 300, { state: "end" }), flow("b", 50)];
  const [edge] = edgesOf(records).edges;
  assert.deepEqual(edge && [flowsOf(edge), edge.bytes, edge.first], [2, { sent: 350, received: 2 }, TIME]);
  const asServer = { direction: "ingress", workload: { name: "db", namespace: "data", labels: {} } } as const;
  const [served] = edgesOf([flow("c", 100, { ...asServer, process: { path: "/bin/db" } })]).edges;
  assert.deepEqual(served?.bytes, { sent: 1, received: 100 });
  assert.deepEqual(texts([...records, asked(1), flow("c", 100, { ...asServer, process: { path: "/bin/db" } })]), [
    "shop/web /bin/web > data/db /bin/db 5432/tcp allowed 2+0",
  ]);
});

test("answers are slow by the network or by the application: the two ends tell", () => {
  const server = { workload: { name: "db", namespace: "data", labels: {} }, process: { path: "/bin/db" } };
  const both = (id: string, waited: number, served: number) => [
    flow(id, 1, { firstPayloadNs: { sent: 100, received: 100 + waited } }),
    flow(`${id}-served`, 1, { ...server, direction: "ingress", firstPayloadNs: { received: 50, sent: 50 + served } }),
  ];
  const edge = (records: AgentEvent[]) => edgesOf(records).edges[0];
  const slow = edge([...both("a", 100, 90), ...both("b", 300, 250), ...both("b", 300, 250)]);
  assert.deepEqual(slow?.waited, { count: 2, sumNs: 400, maxNs: 300 });
  assert.deepEqual(slow?.served, { count: 2, sumNs: 340, maxNs: 250 });
  assert.equal(slow && culpritOf(slow), "application");
  const far = edge(both("c", 1000, 10));
  assert.equal(far && culpritOf(far), "network");
  const alone = edge(both("d", 1000, 10).slice(0, 1));
  assert.equal(alone && culpritOf(alone), null);
  const greeting = edge([flow("e", 1, { firstPayloadNs: { sent: 100, received: 50 } })]);
  assert.equal(greeting?.waited.count, 0, "the server spoke first");
  const unanswered = [
    flow("f", 1, { firstPayloadNs: { sent: 100 } }),
    flow("f", 2, { firstPayloadNs: { sent: 100, received: 150 } }),
  ];
  assert.deepEqual(edge(unanswered)?.waited, { count: 1, sumNs: 50, maxNs: 50 });
  const order = edgesOf([
    ...both("c", 1000, 10),
    flow("g", 1, { dst: { ip: "192.0.2.1", port: 1 }, firstPayloadNs: { sent: 1, received: 2001 } }),
  ]);
  assert.deepEqual(
    bySlowness(order.edges).map(({ waited }) => waited.sumNs),
    [2000, 1000],
  );
});

test("of a flow that began before the time that is asked about, only what passed since its first record counts", () => {
  const edges = new Edges(undefined, TIME + 1000);
  for (const record of [flow("a", 100), flow("a", 130)]) edges.add(record);
  assert.deepEqual(edges.end().edges[0]?.bytes, { sent: 30, received: 0 });
});
