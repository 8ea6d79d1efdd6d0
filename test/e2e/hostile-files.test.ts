/** What an intruder does with files: a file system that never answers stops nobody, and names give no orders to a terminal. */
import assert from "node:assert/strict";
import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { HAS_FUSE, hangAt, OWN_FILES } from "../../src/node-agent/foreign-files/testing/hung-files.ts";
import { Fixture } from "./harness/fixture.ts";
import type { RunningProcess } from "./harness/processes.ts";
import { egress, profile } from "./harness/profiles.ts";
import type { Place } from "./harness/topology.ts";

const SERVER = "198.51.100.1";
const fixture = await Fixture.start("foreign", { apps: ["shop", "hostile"], startAgent: false });
const shop = fixture.workload("shop");
const hostile = fixture.workload("hostile");
const app = fixture.program("app");
const rights = (port: number) =>
  egress(app, { cidr4: [`${SERVER}/32`], l4: { protocolPorts: [{ protocol: "udp", port }] } });

fixture.agent.write(profile("shop", [rights(7000)]), profile("hostile", [rights(7000)]));
await fixture.agent.start();

/**
 * Runs a script whose own path leads through a file system that hangs by then. It is executed through a symbolic link below that,
 * as one that has to be looked at again and again.
 */
async function runScriptOnHungFiles(place: Place): Promise<RunningProcess> {
  const folder = fixture.path(`hung-${place.name}`);
  mkdirSync(join(folder, "real"), { recursive: true });
  symlinkSync("real", join(folder, "link"));
  const script = join(folder, "real", "script");
  writeFileSync(script, `#!/bin/sh\n(${hangAt(folder)}\n) &\nwait\n`);
  chmodSync(script, 0o755);
  const running = fixture.start(place, "unshare", [...OWN_FILES, join(folder, "link", "script")]);
  await running.line("hung");
  return running;
}

for (const { who, place } of [
  { who: "a process that nobody guards", place: fixture.topology.outside },
  { who: "a guarded workload", place: hostile },
]) {
  test(`the agent goes on while files of ${who} hang`, { skip: !HAS_FUSE && "no FUSE here" }, async () => {
    const script = await runScriptOnHungFiles(place);
    const began = performance.now();
    // A change of the profiles has everything looked at again, running scripts too.
    for (const port of [7001, 7000]) {
      await fixture.agent.apply(profile("shop", [rights(port)]), profile("hostile", [rights(port)]));
    }
    await fixture.passes(shop, app, `udp4 sendto ${SERVER} 7000 TAG recv`);
    assert.ok(performance.now() - began < 3000, "the agent was late");
    await script.kill();
  });
}

test("names of files reach a terminal as text, and in JSON they are what they are", async () => {
  const name = "x\u001b[2J\u001b]0;owned\u0007\n  State:      enforced\u202egpj.\u200b\u009b2J";
  const path = fixture.path("bin", name);
  copyFileSync(app, path);
  await fixture.stops(shop, path, `udp4 sendto ${SERVER} 7000 TAG recv`, { reason: "BinaryUnknown", path });
  assert.doesNotMatch(
    fixture.agent.events.lines.join("\n"),
    /[^\n\P{C}]/u,
    "a control or format character came through, in an event",
  );
  const text = (await fixture.agent.command("status", ...fixture.agent.pinOptions)).stdout;
  assert.match(text, /x\\x1b\[2J\\x1b\]0;owned\\x07\\x0a {2}State: {6}enforced\\u\{202e\}gpj\.\\u\{200b\}\\x9b2J/);
  assert.doesNotMatch(text, /[^\n\P{C}]/u, "a control or format character came through");
  const json = (await fixture.agent.command("status", "--output", "json", ...fixture.agent.pinOptions)).stdout;
  assert.doesNotMatch(json, /[^\n\P{C}]/u, "a control or format character came through, in JSON");
  const report = JSON.parse(json);
  const paths = report.workloads.flatMap(({ traffic }: { traffic: { path: string }[] }) =>
    traffic.map((count) => count.path),
  );
  assert.ok(paths.includes(path), "the exact path is in JSON");
});
