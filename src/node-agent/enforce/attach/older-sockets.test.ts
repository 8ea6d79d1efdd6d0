import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { test } from "node:test";
import { type Process, SocketFlag, type SocketOwner } from "../../../gen/abi.gen.ts";
import { describeInternetSocket } from "../../ffi/foreign-sockets.ts";
import { adoptOlderSockets, type OlderSocketParts } from "./older-sockets.ts";

const SELF: Process = {
  variables: 0n,
  startTime: 77n,
  cgroupId: 5n,
  owner: 5n,
  changed: 0n,
  scriptChanged: 0n,
  pathId: 3,
  scriptId: 0,
  flags: 0,
  netnsInum: 1,
  parentTgid: 1,
  parentPathId: 0,
  ancestry: 0,
  lineage: 4,
  comm: "test",
};

interface Given {
  owner: SocketOwner;
  listens: boolean;
  localPort: number;
}

/** Only this process is known; what its sockets are given is kept here. */
function partsOf(given: Given[], changes: Partial<OlderSocketParts> = {}): OlderSocketParts {
  return {
    process: (tgid) => (tgid === process.pid ? SELF : undefined),
    epoch: () => 9n,
    addOwner: (fd, owner) => {
      const socket = describeInternetSocket(fd);
      assert.ok(socket !== null);
      given.push({ owner, listens: socket.listens, localPort: socket.localPort });
      return true;
    },
    ...changes,
  };
}

async function withConnection(work: (ports: { server: number; client: number }) => void): Promise<void> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = connect(port, "127.0.0.1");
  const [[accepted]] = await Promise.all([once(server, "connection"), once(client, "connect")]);
  try {
    work({ server: port, client: client.localPort ?? 0 });
  } finally {
    client.destroy();
    accepted.destroy();
    server.close();
  }
}

test("a listener, what it has accepted, and a client get their process, distinguished", async () => {
  await withConnection((ports) => {
    const given: Given[] = [];
    const before = readdirSync("/proc/self/fd").length;
    const count = adoptOlderSockets(partsOf(given));
    assert.equal(count, given.length);
    assert.equal(readdirSync("/proc/self/fd").length, before, "no descriptor is left open");
    const flags = (port: number, listens: boolean) =>
      given.filter((one) => one.localPort === port && one.listens === listens).map(({ owner }) => owner.flags);
    assert.deepEqual(flags(ports.server, true), [SocketFlag.FOUND]);
    assert.deepEqual(flags(ports.server, false), [SocketFlag.FOUND | SocketFlag.ACCEPTED]);
    assert.deepEqual(flags(ports.client, false), [SocketFlag.FOUND]);
    const owner = given[0]?.owner;
    assert.equal(owner?.epoch, 9n);
    assert.deepEqual(owner?.creator, owner?.user);
    assert.deepEqual([owner?.user.tgid, owner?.user.pathId, owner?.user.startTime], [process.pid, 3, 77n]);
  });
});

test("a process that is another, or has executed something, by the second look gets nothing", async () => {
  await withConnection(() => {
    const given: Given[] = [];
    let looks = 0;
    const another = () => ({ ...SELF, startTime: BigInt(looks++) });
    const executes = () => ({ ...SELF, lineage: looks++ });
    assert.equal(adoptOlderSockets(partsOf(given, { process: another })), 0);
    assert.equal(adoptOlderSockets(partsOf(given, { process: executes })), 0);
    assert.deepEqual(given, []);
  });
});

test("a socket that has an owner is not counted", async () => {
  await withConnection(() => {
    assert.equal(adoptOlderSockets(partsOf([], { addOwner: () => false })), 0);
  });
});
