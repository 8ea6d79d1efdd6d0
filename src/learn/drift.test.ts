/** Deviations from the profiles in force: each of a kind once; and profiles that accept them, which allow them and all that they allowed before. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Network, SecurityProfile } from "../api/types.ts";
import { validateProfile } from "../api/validation/validate.ts";
import type { AgentEvent, VerdictEvent } from "../flow/record.ts";
import { processOf, profileOf } from "../policy/testing/profiles.ts";
import { Random } from "../policy/testing/random.ts";
import { accept } from "./accept.ts";
import { Drift } from "./drift.ts";
import { judge } from "./judge.ts";
import type { Observation } from "./recording.ts";
import { observationOf } from "./recording.ts";
import { flow, question, RESOLVER, visit } from "./testing/records.ts";

const WEB = { namespace: "default", labels: { app: "web" } };
const OPTIONS = { resolvers: [RESOLVER], searchDomains: [] };
const violating = (record: VerdictEvent): VerdictEvent => ({ ...record, verdict: "dropped", reason: "Peer" });

function driftOf(records: readonly AgentEvent[]): Drift {
  const drift = new Drift();
  for (const record of records) drift.add(record);
  return drift;
}

test("what is the same but for its time, its replica and its parent is one deviation; the newest comes first", () => {
  const once = violating(flow({}));
  const parent = { path: "/bin/app", parent: { pid: 1, path: "/bin/sh" } };
  const again = {
    ...violating(flow({ replica: "web-2", process: parent, time: "2026-01-02T05:00:00.000Z" })),
    count: 2,
  };
  const other = violating(flow({ port: 80, time: "2026-01-02T04:00:00.000Z" }));
  const drift = driftOf([once, other, again, flow({ port: 22 }), { ...once, verdict: "alerted" }]);
  const found = drift.deviations().map(({ verdicts, observation: { port, evidence } }) => ({
    ...{ port, verdicts, times: evidence.times, replicas: evidence.replicas.size },
  }));
  assert.deepEqual(found, [
    { port: 443, verdicts: { dropped: 3, alerted: 1 }, times: 4, replicas: 2 },
    { port: 80, verdicts: { dropped: 1 }, times: 1, replicas: 1 },
  ]);
  const ids = drift.deviations().map(({ id }) => id);
  const reversed = driftOf([other, again, once]).deviations();
  assert.deepEqual(
    reversed.map(({ id }) => id),
    ids,
    "the same id, whatever came first",
  );
});

test("a scan costs no more memory than a thousand deviations; the rest is counted", () => {
  const drift = driftOf(Array.from({ length: 1500 }, (_, index) => violating(flow({ port: 1 + index }))));
  assert.deepEqual([drift.deviations().length, drift.overflow], [1000, 500]);
});

const SMALL: Network = {
  egress: {
    fqdns: ["db.example.com"],
    peers: ["resolver"],
    l4: { protocols: ["udp"], protocolPorts: [{ protocol: "tcp", port: 5432 }] },
  },
};
const PROFILE = profileOf("web", { actions: ["alert", "enforce"], processes: [processOf("/bin/app", SMALL)] });

/** What the profile says to it. */
function said(profiles: SecurityProfile[], observation: Observation): string {
  return judge(profiles, WEB, observation, OPTIONS);
}

test("accepted deviations are allowed afterwards, with what was allowed before; what no rule allows is returned", () => {
  const names = ["api.example.com", "db.example.com", "example.org"];
  for (let seed = 0; seed < 60; seed++) {
    const random = new Random(seed);
    const records = random.list(12, () => {
      const process = random.chance(0.1) ? null : { path: random.pick(["/bin/app", "/bin/sh", "/opt/worker"]) };
      const what = { process, port: random.pick([80, 443, 5432]), proto: random.pick(["tcp", "udp", "icmp"]) };
      const direction = random.pick(["egress", "ingress"] as const);
      if (random.chance(0.3)) return question(random.pick(names), { process });
      if (random.chance(0.3)) return visit(random.pick(names), what)[1] as VerdictEvent;
      return flow({ ...what, direction, peer: random.pick(["192.0.2.1", "2001:db8::1"]) });
    });
    const before = records.map(observationOf).filter((observation) => said([PROFILE], observation) === "Allowed");
    const deviations = driftOf(records.map(violating)).deviations();
    const { profiles, refused } = accept([PROFILE], WEB, deviations, OPTIONS);
    for (const observation of before) assert.equal(said(profiles, observation), "Allowed", `seed ${seed}`);
    for (const deviation of deviations) {
      if (refused.includes(deviation)) continue;
      assert.equal(said(profiles, deviation.observation), "Allowed", `seed ${seed} ${JSON.stringify(deviation)}`);
    }
    assert.ok(refused.length < deviations.length || deviations.length < 3, `seed ${seed}: all are refused`);
    assert.deepEqual(validateProfile(profiles[0] as SecurityProfile).errors, [], `seed ${seed}`);
  }
});

test("a listener is not accepted: who may connect to it is not in the record", () => {
  const listen: VerdictEvent = {
    ...violating(flow({ direction: "ingress", port: 8080 })),
    type: "listen",
    reason: "Listen",
  };
  const { profiles, refused } = accept([PROFILE], WEB, driftOf([listen]).deviations(), OPTIONS);
  assert.deepEqual([profiles, refused.length], [[PROFILE], 1]);
});
