/**
 * A connection that begins before its rules are in force: its SYN is dropped, and the kernel tries again, after a second for the first time.
 * The retries have to be judged by the new rules (projectcalico/felix#1490: they were dropped for ever, while a new connection passed).
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fixture } from "../e2e/harness/fixture.ts";
import { patiently } from "../e2e/harness/patience.ts";
import { entry, profile } from "../e2e/harness/profiles.ts";

const SERVER = "198.51.100.1";

const fixture = await Fixture.start("synretries", {
  apps: ["app"],
  profiles: (fixture) => [rules(fixture.program("good"), 7001)],
});
const app = fixture.workload("app");
const good = fixture.path("bin", "good");

function rules(path: string, port: number) {
  const egress = { cidr4: ["198.51.100.0/24"], l4: { protocolPorts: [{ protocol: "tcp" as const, port }] } };
  return profile("app", [entry(path, { egress })]);
}

test("a SYN that was dropped passes at its next try under rules that allow it", async () => {
  const mark = fixture.agent.events.mark();
  const client = fixture.start(app, good, `timeout ${patiently(5000)} tcp4 connect ${SERVER} 7000 send x recv`);
  await fixture.violation({ reason: "Port", path: good, proto: "tcp" }, mark);
  await fixture.agent.apply(rules(good, 7000));
  assert.equal((await client.finish()).code, 0);
});
