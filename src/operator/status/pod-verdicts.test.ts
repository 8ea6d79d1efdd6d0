/** Whether a pod is said to be judged while its node's agent is not connected. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PodPhase, PolicyKind } from "../../gen/agent_pb.js";
import type { AgentRecord } from "../distribution/agent-records.ts";
import type { PodPlan } from "../plan/planner.ts";
import { judgePod } from "./pod-verdicts.ts";

const SECOND = 1_000;
const binding = { policy: PolicyKind.TABLE, tableHash: "hash" };
const plan = {
  key: "shop/web",
  uid: "u",
  node: "n1",
  profiles: ["shop/web"],
  policy: null,
  binding,
} as unknown as PodPlan;
const state = { phase: PodPhase.ENFORCED, tableHash: "hash" };

/** One that was connected a minute ago. */
const gone = {
  node: "n1",
  connected: false,
  lastSeen: 40 * SECOND,
  acknowledged: new Map([["u", binding]]),
  waitingSince: null,
  turnedAway: null,
  refusal: null,
  pods: new Map([["u", state]]),
  problems: [],
} as unknown as AgentRecord;

test("an agent that is away is missed, but not by an operator that has only begun to serve again", () => {
  const reason = (servingSince: number) => judgePod(plan, gone, { now: 100 * SECOND, servingSince }).failure?.reason;
  assert.equal(reason(0), "AgentMissing");
  assert.equal(reason(79 * SECOND), "AgentMissing");
  assert.equal(reason(85 * SECOND), undefined);
});
