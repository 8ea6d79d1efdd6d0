/** While no operator is at work, profiles' status says so; the next operator says what is true, and nobody else's word is lost. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { LEASES } from "../kube/resources.ts";
import { eventually, silentLogger } from "../kube/testing/silence.ts";
import { ELECTION, TestCluster } from "./testing/cluster.ts";
import { Watchdog } from "./watchdog.ts";

/** Milliseconds without a renewal, here. */
const AFTER = 600;

let cluster: TestCluster;
let watchdog: Watchdog;
let log: string[];

beforeEach(async () => {
  cluster = await TestCluster.start();
  log = [];
  watchdog = new Watchdog({
    connection: cluster.server.connection(),
    namespace: ELECTION.namespace,
    leaseName: ELECTION.leaseName,
    after: AFTER,
    period: 50,
    log: silentLogger(log),
  });
});
afterEach(async () => {
  await watchdog.stop();
  await cluster.close();
});

const written = () => cluster.server.requests.filter((line) => line.includes("fieldManager=portcullis-watchdog"));
const condition = (type: string) => cluster.status("web")?.conditions.find((item) => item.type === type);
const renewed = (count: number) => ({ holderIdentity: "one", renewTime: `2026-01-01T00:00:${count}.000000Z` });
const lease = (spec: object) =>
  cluster.server.put(LEASES, { metadata: { namespace: ELECTION.namespace, name: ELECTION.leaseName }, spec });

test("an operator that ends leaves statuses that become Unknown, with its last word; the next one says what is true", async () => {
  cluster.pod("web");
  cluster.profile("web", { actions: ["enforce"], processes: [{ path: "/bin/app" }] });
  const one = await cluster.operator(ELECTION, "one");
  await eventually("one leads", () => one.isLeader, 20_000);
  cluster.agent(one, "n1");
  await cluster.becomes("web", "Enforced", "True Enforced");
  watchdog.start();
  await sleep(3 * AFTER);
  assert.deepEqual(written(), [], "an operator that is at work is not spoken for");
  const before = cluster.status("web");
  await one.stop();
  await cluster.becomes("web", "Enforced", "Unknown OperatorAway");
  assert.match(condition("Enforced")?.message ?? "", /no operator has been at work since 20.*True: in force on 1 of 1/);
  assert.equal(condition("Programmed")?.status, "Unknown");
  assert.equal(condition("Accepted")?.status, "True");
  assert.deepEqual(cluster.status("web")?.pods, before?.pods, "and nothing else of the status is another");
  await sleep(3 * AFTER);
  assert.equal(written().length, 1, "it is said once");
  const two = await cluster.operator(ELECTION, "two");
  await eventually("two leads", () => two.isLeader, 20_000);
  cluster.agent(two, "n1");
  await cluster.becomes("web", "Enforced", "True Enforced");
  await cluster.becomes("web", "Programmed", "True Programmed");
  assert.ok(
    log.some((line) => line.includes("an operator is at work again")),
    log.join("\n"),
  );
});

test("a profile that was made while nobody was at work says so too", async () => {
  lease({ holderIdentity: "gone", renewTime: "2026-01-01T00:00:00.000000Z" });
  watchdog.start();
  cluster.profile("web", { processes: [{ path: "/bin/app" }] });
  await cluster.becomes("web", "Enforced", "Unknown OperatorAway");
});

test("a Lease that nobody has held yet is nobody's", async () => {
  lease({});
  cluster.profile("web", { processes: [{ path: "/bin/app" }] });
  watchdog.start();
  await cluster.becomes("web", "Enforced", "Unknown OperatorAway");
  assert.match(condition("Enforced")?.message ?? "", /no operator has been at work yet/);
});

test("an operator whose clock is wrong is at work as long as its Lease changes", async () => {
  cluster.profile("web", { processes: [{ path: "/bin/app" }] });
  lease(renewed(10));
  watchdog.start();
  for (let second = 11; second < 30; second += 1) {
    lease(renewed(second));
    await sleep(AFTER / 6);
  }
  assert.deepEqual(written(), []);
});

test("the time that the API server was away counts for nothing: the operator could not renew its Lease", async () => {
  cluster.profile("web", { processes: [{ path: "/bin/app" }] });
  lease(renewed(10));
  watchdog.start();
  await sleep(AFTER / 2);
  cluster.server.fail(/GET .*leases/, 503, 1_000_000);
  await sleep(2 * AFTER);
  cluster.server.heal();
  await sleep(AFTER / 2);
  assert.deepEqual(written(), []);
  await cluster.becomes("web", "Enforced", "Unknown OperatorAway");
});

test("what was written since the watchdog looked is not written over", async () => {
  lease({ holderIdentity: "gone", renewTime: "2026-01-01T00:00:00.000000Z" });
  cluster.profile("web", { processes: [{ path: "/bin/app" }] });
  cluster.server.fail(/PATCH .*fieldManager=portcullis-watchdog/, 409, 3);
  watchdog.start();
  await cluster.becomes("web", "Enforced", "Unknown OperatorAway");
  assert.ok(written().length >= 4, "it looks anew, and tries again");
});
