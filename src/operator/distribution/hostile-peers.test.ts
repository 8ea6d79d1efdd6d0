/** What comes in on the agents' port from who has no business there: connections, streams, and HTTP/2 as nobody means it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import net from "node:net";
import { afterEach, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { Server } from "@grpc/grpc-js";
import { eventually } from "../../kube/testing/silence.ts";
import { busyTurns } from "../../net/testing/loop-turns.ts";
import { DISTRIBUTION_SERVICE } from "../../protocol/service.ts";
import { TestAgent } from "../testing/agent.ts";
import { AGENT_USER, distributionOptions, NO_METER } from "../testing/distribution.ts";
import { DistributionServer } from "./server.ts";

const nothing = () => {};
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A server whose API server takes a while over each token, and knows `good`. */
async function serve(reviewMilliseconds = 5) {
  const counts = { reviews: 0, results: new Map<string, number>(), dropped: new Map<string, number>() };
  const review = async (token: string) => {
    counts.reviews += 1;
    await wait(reviewMilliseconds);
    return token === "good" ? AGENT_USER : null;
  };
  const server = new DistributionServer({
    ...distributionOptions(review),
    meter: {
      ...NO_METER,
      connection: (result) => counts.results.set(result, (counts.results.get(result) ?? 0) + 1),
    },
    onDropped: (reason) => counts.dropped.set(reason, (counts.dropped.get(reason) ?? 0) + 1),
  });
  await server.listen();
  closing.push(() => server.close());
  return { server, counts };
}

function connect(server: DistributionServer, localAddress = "127.0.0.66"): net.Socket {
  const socket = net.connect({ port: server.port, host: "127.0.0.1", localAddress });
  socket.on("error", nothing);
  socket.resume();
  closing.push(() => socket.destroy());
  return socket;
}

const HEADERS = {
  ":method": "POST",
  ":path": DISTRIBUTION_SERVICE.connect.path,
  "content-type": "application/grpc",
  te: "trailers",
};

/** Of another thread, so that its own work does not count: 100 connections with 100 streams each, until all have ended. */
const FLOOD = `
  const { parentPort, workerData: { port, headers } } = require("node:worker_threads");
  const http2 = require("node:http2"), net = require("node:net");
  let open = 0;
  for (let connection = 0; connection < 100; connection += 1) {
    const socket = net.connect({ port, host: "127.0.0.1", localAddress: "127.0.0.66" });
    const client = http2.connect("http://operator", { createConnection: () => socket });
    client.on("error", () => {});
    for (let stream = 0; stream < 100; stream += 1) {
      open += 1;
      const request = client.request({ ...headers, authorization: "Bearer " + connection + "-" + stream });
      request.on("error", () => {});
      request.on("close", () => (open -= 1) || parentPort.postMessage("over"));
    }
  }`;

function agent(server: DistributionServer): TestAgent {
  const made = new TestAgent({ address: `127.0.0.1:${server.port}`, node: "n1", token: "good" });
  closing.push(() => made.disconnect());
  return made.connect();
}

test("streams without a valid token, thousands of them, leave an agent its place", async () => {
  const { server, counts } = await serve(20);
  const late = await busyTurns(async () => {
    const flood = new Worker(FLOOD, { eval: true, workerData: { port: server.port, headers: HEADERS } });
    closing.push(() => flood.terminate());
    const over = once(flood, "message");
    await eventually("the flood has come", () => counts.reviews > 20);
    const begun = Date.now();
    const honest = agent(server);
    await eventually("the agent has its state", () => honest.states.length === 1, 5_000);
    assert.ok(Date.now() - begun < 3_000, `${Date.now() - begun} ms`);
    await over;
    assert.equal(server.sessions, 1);
  });
  await eventually("all are gone", () => server.unauthenticated === 0);
  assert.ok(counts.reviews < 1_000, `${counts.reviews} questions to the API server`);
  assert.ok(late < 50, `the event loop was kept for ${late} ms`);
});

test("connections that say nothing are few, and an agent comes in beside them", async () => {
  const { server, counts } = await serve();
  for (let last = 100; last < 120; last += 1) {
    for (let count = 0; count < 40; count += 1) connect(server, `127.0.0.${last}`);
  }
  await eventually("there is room for no more", () => (counts.dropped.get("room") ?? 0) > 200, 20_000);
  assert.ok(server.unauthenticated <= 512);
  const honest = agent(server);
  await eventually("the agent has its state", () => honest.states.length === 1);
});

/** A stream with a token that is good, from a connection of its own, which says nothing more. */
function silentStream({ port }: DistributionServer, localAddress = "127.0.0.66"): http2.ClientHttp2Stream {
  const socket = net.connect({ port, host: "127.0.0.1", localAddress });
  const client = http2.connect("http://operator", { createConnection: () => socket });
  client.on("error", nothing);
  closing.push(() => client.destroy());
  const stream = client.request({ ...HEADERS, authorization: "Bearer good" });
  stream.on("error", nothing);
  return stream.resume();
}

test("a node whose agent was let in, and that floods, leaves the agents of others their place", async () => {
  const { server, counts } = await serve();
  silentStream(server);
  await eventually("it is let in", () => counts.reviews === 1);
  for (let count = 0; count < 700; count += 1) connect(server);
  await eventually("the flood has come", () => counts.dropped.size > 0);
  const honest = agent(server);
  await eventually("the agent has its state", () => honest.states.length === 1);
});

test("of one node's streams one waits to say hello, and the connections of the others are closed", async () => {
  const { server, counts } = await serve();
  const streams = Array.from({ length: 15 }, () => silentStream(server));
  await eventually("all have come", () => counts.reviews === 15);
  await eventually("one is left", () => streams.filter(({ closed }) => !closed).length === 1);
  await eventually("with its connection", () => server.connections === 1);
});

test("agents of one node come at a rate", async () => {
  const { server, counts } = await serve();
  for (let count = 0; count < 60; count += 1) silentStream(server);
  await eventually("all have come", () => counts.reviews === 60);
  await eventually("most are told to come back", () => (counts.results.get("busy") ?? 0) >= 35);
});

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
/** A frame as RFC 9113 has it, section 4.1. */
function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}
const [DATA, HEADERS_FRAME, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION] = [0, 1, 3, 4, 6, 8, 9];
const END_HEADERS = 4;
const repeat = (count: number, one: (index: number) => Buffer) =>
  Array.from({ length: count }, (_, index) => one(index));
const stream = (index: number) => 2 * index + 1;
/** `:method POST`, `:scheme http`, `:path /`, by their numbers in HPACK's table (RFC 7541, appendix A). */
const SHORT_HEAD = Buffer.from([0x83, 0x86, 0x84]);
/** A header that is not in the table, with a value of so many bytes. */
function longHeader(size: number): Buffer {
  const length = [0x7f];
  for (let rest = size - 127; ; rest >>= 7) {
    length.push(rest > 127 ? (rest & 127) | 128 : rest);
    if (rest <= 127) break;
  }
  return Buffer.concat([Buffer.from([0x40, 1, 0x61]), Buffer.from(length), Buffer.alloc(size, 0x62)]);
}

const ABUSE: Readonly<Record<string, () => Buffer[]>> = {
  "streams that are reset at once": () =>
    repeat(20_000, (index) =>
      Buffer.concat([
        frame(HEADERS_FRAME, END_HEADERS, stream(index), SHORT_HEAD),
        frame(RST_STREAM, 0, stream(index), Buffer.from([0, 0, 0, 8])),
      ]),
    ),
  "a head that goes on and on": () => [
    frame(HEADERS_FRAME, 0, 1, SHORT_HEAD),
    ...repeat(2_000, () => frame(CONTINUATION, 0, 1, longHeader(1_000))),
  ],
  "a flood of settings": () => repeat(50_000, () => frame(SETTINGS, 0, 0, Buffer.from([0, 4, 0, 0, 0, 1]))),
  "a flood of pings": () => repeat(50_000, () => frame(PING, 0, 0, Buffer.alloc(8))),
  "references to one large entry of the table of headers": () => {
    const references = Buffer.concat([SHORT_HEAD, longHeader(3_000), Buffer.alloc(12_000, 0xbe)]);
    return repeat(50, (index) => frame(HEADERS_FRAME, END_HEADERS, stream(index), references));
  },
  "windows of one byte, and updates of nothing": () => [
    frame(SETTINGS, 0, 0, Buffer.from([0, 4, 0, 0, 0, 1])),
    ...repeat(20_000, () => frame(WINDOW_UPDATE, 0, 0, Buffer.alloc(4))),
  ],
  "data for streams that are not there": () => repeat(20_000, () => frame(DATA, 0, 1, Buffer.alloc(100))),
  "frames of no known kind": () => repeat(20_000, () => frame(0x77, 0, 0, Buffer.alloc(64))),
};

for (const [what, frames] of Object.entries(ABUSE)) {
  test(`HTTP/2: ${what}, costs its own connection and no memory`, async () => {
    const { server } = await serve();
    const honest = agent(server);
    await eventually("the agent has its state", () => honest.states.length === 1);
    const before = process.memoryUsage().rss;
    const all = Buffer.concat([PREFACE, frame(SETTINGS, 0, 0), ...frames()]);
    for (let round = 0; round < 8; round += 1) connect(server).write(all);
    await wait(300);
    const grown = (process.memoryUsage().rss - before) / 2 ** 20;
    assert.ok(grown < 200, `${grown} MiB`);
    const other = agent(server);
    await eventually("another agent comes in", () => other.states.length === 1);
    assert.equal(server.sessions, 1);
  });
}

test("HTTP/2: what is allowed, but has no end, is broken off before its sender is let in", async () => {
  const { server, counts } = await serve();
  const honest = agent(server);
  await eventually("the agent has its state", () => honest.states.length === 1);
  const update = frame(WINDOW_UPDATE, 0, 0, Buffer.from([0, 0, 0, 1]));
  const updates = Buffer.concat([PREFACE, frame(SETTINGS, 0, 0), ...repeat(100_000, () => update)]);
  for (let round = 0; round < 8; round += 1) connect(server).write(updates);
  await eventually("they are broken off", () => (counts.dropped.get("bytes") ?? 0) > 0);
  await eventually("all of them", () => server.connections === 1);
  assert.equal(server.sessions, 1);
});

test("a server closes, though gRPC never says so, as where a connection breaks at that moment", async (t) => {
  const { server } = await serve();
  const honest = agent(server);
  await eventually("the agent has its state", () => honest.states.length === 1);
  t.mock.method(Server.prototype, "tryShutdown", nothing);
  await server.close();
  await eventually("all connections are closed", () => server.connections === 0);
});
