/** Workloads whose policy is not known: what is in force stays, new ones wait for a while, and then the failure policy holds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Workload } from "../discovery/workload.ts";
import { SILENT, testWorkload } from "../enforce/testing/workloads.ts";
import { type StartupFailurePolicy, StartupWait } from "./startup-wait.ts";

const TIMEOUT_MS = 30;

function setUp(startupFailurePolicy: StartupFailurePolicy, known: (workload: Workload) => boolean = () => false) {
  let timeouts = 0;
  const onTimeout = () => {
    timeouts += 1;
  };
  const options = { startupFailurePolicy, startupTimeout: TIMEOUT_MS, log: SILENT };
  return { wait: new StartupWait(options, { isKnown: known, onTimeout }), timeouts: () => timeouts };
}

test("what is in force stays", () => {
  const { wait } = setUp("Block", () => true);
  assert.deepEqual(wait.policyOf(testWorkload(1)), { kind: "unchanged" });
});

test("a new workload is blocked, and let through when its time is over, which the agent hears of", async () => {
  const { wait, timeouts } = setUp("Allow");
  assert.deepEqual(wait.policyOf(testWorkload(1)), { kind: "pending" });
  await sleep(TIMEOUT_MS + 20);
  assert.equal(timeouts(), 1);
  assert.deepEqual(wait.policyOf(testWorkload(1)), { kind: "unrestricted" });
});

test("where it is to stay blocked it does, unless something is known of others like it", async () => {
  const { wait } = setUp("Block");
  wait.policyOf(testWorkload(1));
  await sleep(TIMEOUT_MS + 20);
  assert.deepEqual(wait.policyOf(testWorkload(1)), { kind: "pending" });
  assert.deepEqual(wait.policyOf(testWorkload(1), { policy: "Allow" }), { kind: "unrestricted" });
  assert.deepEqual(wait.policyOf(testWorkload(1), { after: () => ({ kind: "unchanged" }) }), { kind: "unchanged" });
});

test("one that was gone, or has another network namespace, waits anew", async () => {
  const { wait } = setUp("Allow");
  const workload = testWorkload(1);
  wait.policyOf(workload);
  await sleep(TIMEOUT_MS + 20);
  assert.deepEqual(wait.policyOf({ ...workload, netnsInum: workload.netnsInum + 1 }), { kind: "pending" });
  wait.keep([]);
  assert.deepEqual(wait.policyOf(workload), { kind: "pending" });
});
