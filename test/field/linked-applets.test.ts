/**
 * An image whose programs are symbolic links to busybox. kubearmor/KubeArmor#984, "Inconsistent Behaviour with Symlinks Execution": rules were
 * enforced by the file's name and reported by the link's, so that neither alert nor rule led to the other. Here a rule about the
 * link holds for the file, events go by the file's name, and what explains them leads from one to the other.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { PORTCULLIS } from "../e2e/harness/agent-under-test.ts";
import { Fixture } from "../e2e/harness/fixture.ts";
import { egress, profile } from "../e2e/harness/profiles.ts";

const SERVER = "198.51.100.1";
const OTHER = "198.51.100.2";
/** busybox has one of its own, which takes wget for an applet that it need not execute. */
const TIMEOUT = "/usr/bin/timeout";
const RULES = { cidr4: [`${SERVER}/32`], l4: { protocolPorts: [{ protocol: "tcp" as const, port: 80 }] } };

const fixture = await Fixture.start("applets", {
  apps: ["app", "unlisted"],
  profiles: (fixture) => {
    const busybox = fixture.program("busybox", "/bin/busybox");
    mkdirSync(fixture.path("applets"));
    for (const name of ["wget", "nc"]) symlinkSync(busybox, fixture.path("applets", name));
    return [
      profile("app", [egress(fixture.path("applets", "wget"), RULES)]),
      profile("unlisted", [egress(fixture.program("other"), RULES)]),
    ];
  },
});
const app = fixture.workload("app");
const busybox = fixture.path("bin", "busybox");
const wget = fixture.path("applets", "wget");
const fetch = (address: string) => ["1", wget, "-q", "-O", "-", `http://${address}/`];

test("a listed link is its file, by whose name it is reported", async () => {
  const mark = fixture.agent.events.mark();
  assert.equal((await fixture.run(app, TIMEOUT, fetch(SERVER))).stdout, "hello\n");
  await fixture.violation({ verdict: "allowed", reason: "Allowed", path: busybox, proto: "tcp" }, mark);
  const { stdout } = await fixture.agent.command("status", ...fixture.agent.pinOptions);
  assert.ok(stdout.includes(`${wget} is ${busybox}`), stdout);
});

test("an alert goes by the file's name, says which applet, and its explanation leads to the rule", async () => {
  const mark = fixture.agent.events.mark();
  await fixture.run(app, TIMEOUT, fetch(OTHER));
  const event = await fixture.violation({ reason: "Peer", path: busybox, proto: "tcp" }, mark);
  assert.equal(event.process?.comm, "wget");
  const file = fixture.path("applets.json");
  writeFileSync(file, JSON.stringify(profile("app", [egress(wget, RULES)])));
  const args = ["explain", "--profiles", file, "--event", "-"];
  const { status, stdout, stderr } = spawnSync(PORTCULLIS, args, { encoding: "utf8", input: JSON.stringify(event) });
  assert.equal(status, 1, stderr);
  assert.match(stdout, new RegExp(`${OTHER}`));
  assert.ok(stdout.includes(wget), stdout);
});

test("another applet has the same rights, because it is the same file; elsewhere neither has any", async () => {
  const request = `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | ${fixture.path("applets", "nc")} -w 1 ${SERVER} 80`;
  assert.match((await fixture.run(app, "/bin/sh", ["-c", request])).stdout, /hello/);
  const mark = fixture.agent.events.mark();
  await fixture.run(fixture.workload("unlisted"), TIMEOUT, fetch(SERVER));
  await fixture.violation({ reason: "BinaryUnknown", path: busybox }, mark, fixture.workload("unlisted"));
});

test("a link that is not listed any more shares nothing", async () => {
  await fixture.agent.apply(profile("app", [egress(busybox, RULES)]));
  const { stdout } = await fixture.agent.command("status", ...fixture.agent.pinOptions);
  assert.match(stdout, /Profiles: +default\/app/);
  assert.doesNotMatch(stdout, /Link:/);
});
