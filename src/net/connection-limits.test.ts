/** A flood of connections costs mostly itself: who keeps a place, and who goes. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { afterEach, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { eventually } from "../kube/testing/silence.ts";
import { type ConnectionLimitOptions, ConnectionLimits, peerOf } from "./connection-limits.ts";

const opened: net.Socket[] = [];
const servers: net.Server[] = [];
afterEach(() => {
  for (const socket of opened.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

async function listener(more: Partial<ConnectionLimitOptions> = {}) {
  const dropped: string[] = [];
  const admitted: net.Socket[] = [];
  const limits = new ConnectionLimits({
    unauthenticated: 8,
    unauthenticatedByPeer: 6,
    burst: 100,
    perSecond: 100,
    patience: 60_000,
    bytes: 100_000,
    onDropped: (reason) => dropped.push(reason),
    ...more,
  });
  const server = net.createServer((socket) => {
    if (limits.admit(socket)) admitted.push(socket);
  });
  servers.push(server);
  await new Promise<void>((settle) => server.listen(0, "127.0.0.1", settle));
  const { port } = server.address() as net.AddressInfo;
  const connect = (localAddress: string) => {
    const socket = net.connect({ port, host: "127.0.0.1", localAddress });
    socket.on("error", () => {});
    socket.resume();
    opened.push(socket);
    return socket;
  };
  return { limits, dropped, admitted, connect };
}

test("one peer has so many connections, and no more", async () => {
  const { limits, dropped, connect } = await listener();
  for (let count = 0; count < 20; count += 1) connect("127.0.0.2");
  await eventually("those beyond are dropped", () => dropped.length === 14);
  assert.deepEqual([limits.size, new Set(dropped)], [6, new Set(["peer"])]);
});

test("where there is no room, the oldest connection of the peer with most of them makes room", async () => {
  const { limits, dropped, admitted, connect } = await listener();
  connect("127.0.0.3");
  await eventually("one", () => limits.size === 1);
  const flood = Array.from({ length: 6 }, () => connect("127.0.0.2"));
  connect("127.0.0.4");
  await eventually("all places are taken", () => limits.size === 8);
  connect("127.0.0.5");
  await eventually("the next one is in", () => admitted.length === 9 && limits.size === 8);
  assert.deepEqual(dropped, ["room"]);
  await eventually("the flood has lost one", () => flood.filter(({ destroyed }) => destroyed).length === 1);
});

test("who was let in before finds room, whatever else there is, and does not make room for unauthenticated ones", async () => {
  const { limits, dropped, admitted, connect } = await listener({ unauthenticatedByPeer: 8 });
  connect("127.0.0.9");
  await eventually("it is in", () => admitted.length === 1);
  limits.trust(peerOf(admitted[0] as net.Socket));
  assert.equal(limits.unauthenticated, 0);
  for (const last of [2, 3, 4]) for (let count = 0; count < 8; count += 1) connect(`127.0.0.${last}`);
  await eventually("a flood", () => dropped.length >= 16);
  const again = connect("127.0.0.9");
  await eventually("it is in again", () => admitted.some(({ remotePort }) => remotePort === again.localPort));
  for (const last of [5, 6, 7]) for (let count = 0; count < 8; count += 1) connect(`127.0.0.${last}`);
  await eventually("a flood", () => dropped.length >= 33);
  assert.equal(again.destroyed, false);
  assert.equal(opened[0]?.destroyed, false);
});

/** Connects from an address, and is let in. */
async function letIn({ limits, admitted, connect }: Awaited<ReturnType<typeof listener>>, address: string) {
  const { localPort } = await connected(connect(address));
  const isIts = ({ remotePort }: net.Socket) => remotePort === localPort;
  await eventually("it is in", () => admitted.some(isIts));
  limits.trust(peerOf(admitted.find(isIts) as net.Socket));
}

async function connected(socket: net.Socket): Promise<net.Socket> {
  if (socket.connecting) await once(socket, "connect");
  return socket;
}

test("who was let in before and floods has more places than an unknown peer, and leaves the others theirs", async () => {
  const some = await listener({ unauthenticated: 16, unauthenticatedByPeer: 2 });
  const { limits, dropped, connect } = some;
  await letIn(some, "127.0.0.8");
  await letIn(some, "127.0.0.9");
  for (let count = 0; count < 40; count += 1) connect("127.0.0.9");
  await eventually("the flood has come", () => dropped.length === 32);
  assert.deepEqual([limits.unauthenticated, new Set(dropped)], [8, new Set(["peer"])]);
  for (const last of [10, 11, 12, 13]) {
    await letIn(some, `127.0.0.${last}`);
    for (let count = 0; count < 8; count += 1) connect(`127.0.0.${last}`);
  }
  await eventually("all places are taken by such as are known", () => limits.unauthenticated === 16);
  const stays = async (address: string) => {
    const socket = await connected(connect(address));
    await wait(50);
    return !socket.destroyed;
  };
  assert.equal(await stays("127.0.0.8"), true, "one who is known");
  assert.equal(await stays("127.0.0.20"), true, "one who is not");
});

test("who was let in before comes at a rate, too", async () => {
  const some = await listener({ unauthenticated: 500, unauthenticatedByPeer: 500, burst: 3, perSecond: 1 });
  await letIn(some, "127.0.0.9");
  for (let count = 0; count < 40; count += 1) some.connect("127.0.0.9");
  await eventually("the others are dropped", () => some.dropped.length >= 25);
  assert.deepEqual([...new Set(some.dropped)], ["rate"]);
});

test("an unauthenticated connection that sends more than it takes to be let in is closed, and comes back slowly", async () => {
  const { dropped, admitted, connect } = await listener({ bytes: 10_000, burst: 30, perSecond: 1 });
  const modest = connect("127.0.0.3");
  modest.write(Buffer.alloc(10_000));
  const flood = connect("127.0.0.2");
  flood.write(Buffer.alloc(10_001));
  await eventually("both are in", () => admitted.length === 2);
  for (const socket of admitted) socket.resume();
  await eventually("one is gone", () => flood.destroyed);
  assert.deepEqual([dropped, modest.destroyed], [["bytes"], false]);
  for (let count = 0; count < 30; count += 1) connect("127.0.0.2");
  await eventually("it comes back slowly", () => dropped.filter((reason) => reason === "rate").length >= 8);
});

test("an unauthenticated connection that sends nothing is closed, one that is let in stays", async () => {
  const { limits, dropped, admitted, connect } = await listener({ patience: 100 });
  const silent = connect("127.0.0.2");
  connect("127.0.0.3");
  await eventually("both are in", () => admitted.length === 2);
  for (const socket of admitted) if (socket.remoteAddress === "127.0.0.3") limits.trust(peerOf(socket));
  await eventually("one is gone", () => silent.destroyed);
  await new Promise((settle) => setTimeout(settle, 150));
  assert.deepEqual([limits.size, dropped], [1, ["patience"]]);
});

test("new connections of one peer come at a rate", async () => {
  const { dropped, admitted, connect } = await listener({ burst: 3, perSecond: 1 });
  for (let count = 0; count < 10; count += 1) connect("127.0.0.2");
  await eventually("the others are dropped", () => dropped.length >= 6);
  assert.deepEqual([...new Set(dropped)], ["rate"]);
  assert.ok(admitted.length <= 4);
});
