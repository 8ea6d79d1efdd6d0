import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { ADDRESS_ANNOTATION, LeaderElection, type LeaderOptions } from "./leader.ts";
import { LEASES } from "./resources.ts";
import { FakeApiServer } from "./testing/fake-api-server.ts";
import { eventually, silentLogger } from "./testing/silence.ts";

let server: FakeApiServer;
let log: string[];
let started: LeaderElection[];

function candidate(identity: string, more: Partial<LeaderOptions> = {}): LeaderElection {
  const election = new LeaderElection(server.connection(), {
    namespace: "system",
    name: "portcullis",
    identity,
    address: `${identity}:8443`,
    leaseDuration: 300,
    renewDeadline: 200,
    retryPeriod: 20,
    onStarted: () => log.push(`${identity} leads`),
    onStopped: () => log.push(`${identity} stops`),
    log: silentLogger(),
    ...more,
  });
  started.push(election);
  election.start();
  return election;
}

beforeEach(async () => {
  server = await FakeApiServer.start();
  log = [];
  started = [];
});

afterEach(async () => {
  await Promise.all(started.map((election) => election.stop()));
  await server.close();
});

test("one leads, the other knows where, and takes over at once when it steps back", async () => {
  const one = candidate("one");
  await eventually("one leads", () => one.isLeader);
  const two = candidate("two");
  await eventually("two knows", () => two.leader?.address === "one:8443");
  await new Promise((settle) => setTimeout(settle, 400));
  assert.equal(two.isLeader, false);
  await one.stop();
  const start = Date.now();
  await eventually("two leads", () => two.isLeader);
  assert.ok(Date.now() - start < 200);
  assert.deepEqual(log, ["one leads", "one stops", "two leads"]);
  const lease = server.get(LEASES, "system/portcullis");
  assert.equal(lease?.metadata.annotations?.[ADDRESS_ANNOTATION], "two:8443");
  assert.equal((lease as { spec?: { leaseTransitions?: number } } | undefined)?.spec?.leaseTransitions, 1);
});

test("one that dies is followed after the lease's time", async () => {
  server.put(LEASES, {
    metadata: { namespace: "system", name: "portcullis" },
    spec: { holderIdentity: "dead", leaseDurationSeconds: 1, renewTime: "2099-01-01T00:00:00.000000Z" },
  });
  const two = candidate("two");
  await new Promise((settle) => setTimeout(settle, 500));
  assert.equal(two.isLeader, false);
  await eventually("two leads", () => two.isLeader);
});

test("without the API server one stops to lead before another may begin, and leads again after", async () => {
  const one = candidate("one");
  await eventually("one leads", () => one.isLeader);
  server.fail(/leases/, 500, 1000);
  const start = Date.now();
  await eventually("one stops", () => !one.isLeader);
  assert.ok(Date.now() - start < 300);
  await server.close();
  server = await FakeApiServer.start();
});

test("who loses a conflict does not lead", async () => {
  server.fail(/POST.*leases/, 409, 3);
  const one = candidate("one");
  await eventually("tries", () => server.requests.filter((line) => line.startsWith("POST")).length >= 3);
  await eventually("one leads", () => one.isLeader);
  assert.deepEqual(log, ["one leads"]);
});
