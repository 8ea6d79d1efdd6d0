/**
 * Section 9: more events than the kernel's buffer holds, while the agent does not read them. What is lost is counted, and reported as soon as
 * somebody reads again.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { AgentEvent, LostEvent } from "../../src/flow/record.ts";
import { ErrorKind, RECORDS_SHARE } from "../../src/gen/abi.gen.ts";
import { inspectNode } from "../../src/node-agent/enforce/inspect.ts";
import { openMap } from "../../src/node-agent/kernel/typed-maps.ts";
import { AgentMetrics } from "../../src/node-agent/uplink/agent-metrics.ts";
import { Fixture } from "./harness/fixture.ts";
import { patiently } from "./harness/patience.ts";
import { egress, profile } from "./harness/profiles.ts";
import { scatter } from "./harness/scatter.ts";

const SERVER = "198.51.100.1";
/** Each has its share of the events: together they fill the buffer of violations (2 MiB) in three seconds. */
const APPS = ["one", "two", "three", "four"];
const FULL_TIMEOUT_MS = patiently(60_000);
/** For so long a workload's share of the events counts (bpf/include/memory/share.h). */
const EVENTS_SECOND_MS = 1100;
/** As many as a busy machine still loses in one go. */
const LOST_MIN = RECORDS_SHARE / 10;

const fixture = await Fixture.start("lost", {
  apps: APPS,
  profiles: (fixture) =>
    APPS.map((app) => profile(app, [egress(fixture.program("asker"), { cidr4: [`${SERVER}/32`] })])),
});
const python = fixture.program("python", "/usr/bin/python3");
const stranger = fixture.program("stranger");

const isLost = (event: AgentEvent): event is LostEvent => event.type === "lost" && event.kind === "violation";

/** Has all workloads violate their rules until so many events are lost. */
async function flood(lost: () => number, wanted: number): Promise<void> {
  const floods = APPS.map((app) => fixture.start(fixture.workload(app), python, ["-c", scatter(SERVER)]));
  try {
    const deadline = performance.now() + FULL_TIMEOUT_MS;
    while (lost() < wanted) {
      assert.ok(performance.now() < deadline, `${lost()} events are lost`);
      await sleep(50);
    }
  } finally {
    for (const flooding of floods) await flooding.kill();
  }
}

test("§9 events of several workloads, while the agent is stopped: what the buffer cannot hold is counted and reported", async () => {
  using errors = openMap(fixture.agent.pinRoot, "errors");
  const lost = () => Number(errors.get(ErrorKind.VIOLATION_RECORDS_LOST) ?? 0n);
  const mark = fixture.agent.events.mark();
  assert.equal(lost(), 0);
  process.kill(fixture.agent.pid, "SIGSTOP");
  try {
    await flood(lost, LOST_MIN);
  } finally {
    process.kill(fixture.agent.pid, "SIGCONT");
  }
  const reported = await fixture.agent.events.waitFor("lost events", isLost, { from: mark, timeout: FULL_TIMEOUT_MS });
  assert.equal(reported.count, lost(), "all of them at once: nobody has lost any since");

  const status = inspectNode(fixture.agent.pinRoot, fixture.agent.stateFolder);
  const counted = status.errors.find(({ name }) => name === "violation_records_lost");
  assert.equal(counted?.count, lost());
  assert.deepEqual(
    counted.sites.map(({ site, count }) => [site.replace(/\d+$/, "LINE"), count]),
    [["verdict/report.h:LINE", lost()]],
  );
  const metrics = new AgentMetrics();
  metrics.write(reported);
  assert.match(
    await metrics.registry.metrics(),
    new RegExp(`events_lost_total{where="kernel",kind="violation"} ${lost()}\n`),
  );
});

test("§9 an agent that reads again tells of the next violation", async () => {
  // The flood may have used up this second's share of the workload's events.
  await sleep(EVENTS_SECOND_MS);
  await fixture.stops(fixture.workload("one"), stranger, `udp4 sendto ${SERVER} 7000 TAG recv`, {
    reason: "BinaryUnknown",
  });
});

test("§9 what is lost while there is no agent is reported by the next one, once", async () => {
  using errors = openMap(fixture.agent.pinRoot, "errors");
  const lost = () => Number(errors.get(ErrorKind.VIOLATION_RECORDS_LOST) ?? 0n);
  await fixture.agent.crash();
  const before = lost();
  await flood(lost, before + LOST_MIN);
  for (const expected of [lost() - before, undefined]) {
    await fixture.agent.start();
    // Events of one kind are held back for a second at most, and so is the number of those that are lost.
    const first = fixture.agent.events.waitFor("lost events", isLost, { timeout: expected ? FULL_TIMEOUT_MS : 3000 });
    assert.equal(
      await first.then(
        ({ count }) => count,
        () => undefined,
      ),
      expected,
    );
    await fixture.agent.stop();
  }
});
