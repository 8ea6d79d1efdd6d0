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
import { Lab } from "../e2e/harness/lab.ts";
import { egress, profile } from "../e2e/harness/profiles.ts";

const SERVER = "198.51.100.1";
const OTHER = "198.51.100.2";
/** busybox has one of its own, which takes wget for an applet that it need not execute. */
const TIMEOUT = "/usr/bin/timeout";
const RULES = { cidr4: [`${SERVER}/32`], l4: { protocolPorts: [{ protocol: "tcp" as const, port: 80 }] } };

const lab = await Lab.start("applets", {
  apps: ["app", "unlisted"],
  profiles: (lab) => {
    const busybox = lab.program("busybox", "/bin/busybox");
    mkdirSync(lab.path("applets"));
    for (const name of ["wget", "nc"]) symlinkSync(busybox, lab.path("applets", name));
    return [
      profile("app", [egress(lab.path("applets", "wget"), RULES)]),
      profile("unlisted", [egress(lab.program("other"), RULES)]),
    ];
  },
});
const app = lab.workload("app");
const busybox = lab.path("bin", "busybox");
const wget = lab.path("applets", "wget");
const fetch = (address: string) => ["1", wget, "-q", "-O", "-", `http://${address}/`];

test("a listed link is its file, by whose name it is reported", async () => {
  const mark = lab.agent.events.mark();
  assert.equal((await lab.run(app, TIMEOUT, fetch(SERVER))).stdout, "hello\n");
  await lab.violation({ verdict: "allowed", reason: "Allowed", path: busybox, proto: "tcp" }, mark);
  const { stdout } = await lab.agent.command("status", ...lab.agent.pinOptions);
  assert.ok(stdout.includes(`${wget} is ${busybox}`), stdout);
});

test("an alert goes by the file's name, says which applet, and its explanation leads to the rule", async () => {
  const mark = lab.agent.events.mark();
  await lab.run(app, TIMEOUT, fetch(OTHER));
  const event = await lab.violation({ reason: "Peer", path: busybox, proto: "tcp" }, mark);
  assert.equal(event.process?.comm, "wget");
  const file = lab.path("applets.json");
  writeFileSync(file, JSON.stringify(profile("app", [egress(wget, RULES)])));
  const args = ["explain", "--profiles", file, "--event", "-"];
  const { status, stdout, stderr } = spawnSync(PORTCULLIS, args, { encoding: "utf8", input: JSON.stringify(event) });
  assert.equal(status, 1, stderr);
  assert.match(stdout, new RegExp(`${OTHER}`));
  assert.ok(stdout.includes(wget), stdout);
});

test("another applet has the same rights, because it is the same file; elsewhere neither has any", async () => {
  const request = `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | ${lab.path("applets", "nc")} -w 1 ${SERVER} 80`;
  assert.match((await lab.run(app, "/bin/sh", ["-c", request])).stdout, /hello/);
  const mark = lab.agent.events.mark();
  await lab.run(lab.workload("unlisted"), TIMEOUT, fetch(SERVER));
  await lab.violation({ reason: "BinaryUnknown", path: busybox }, mark, lab.workload("unlisted"));
});
