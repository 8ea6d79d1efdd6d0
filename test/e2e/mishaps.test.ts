/** Section 9: what happens to an agent by mistake is reported as it is, and mended where that can be done. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { WorkloadEvent } from "../../src/flow/record.ts";
import { PORTCULLIS } from "./harness/agent-under-test.ts";
import { Fixture } from "./harness/fixture.ts";
import { patiently } from "./harness/patience.ts";
import { RunningProcess } from "./harness/processes.ts";
import { egress, profile } from "./harness/profiles.ts";

const SERVER = "198.51.100.1";
const fixture = await Fixture.start("mishaps", { apps: ["shop"], startAgent: false });
const shop = fixture.workload("shop");
const { node, outside } = fixture.topology;
const app = fixture.program("app");
const stranger = fixture.program("stranger");
const rights = (port: number) =>
  egress(app, { cidr4: [`${SERVER}/32`], l4: { protocolPorts: [{ protocol: "udp", port }] } });
const ALLOWED = `udp4 sendto ${SERVER} 7000 TAG recv`;
fixture.agent.write(profile("shop", [rights(7000)]));
await fixture.agent.start();

const ip = (...args: string[]) => execFileSync("ip", args, { stdio: "pipe" });
const status = async () => (await fixture.agent.command("status", ...fixture.agent.pinOptions)).stdout;
const stateIs = (state: WorkloadEvent["state"]) => (event: { type: string }) =>
  event.type === "workload" && (event as WorkloadEvent).state === state;

async function until(what: string, look: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + patiently(10_000); performance.now() < end; await sleep(50))
    if (await look()) return;
  assert.fail(`not in time: ${what}`);
}

/** Interfaces that are no veth of the node's: name -> how it gets into the workload. */
const WAYS_OUT: Readonly<Record<string, () => void>> = {
  macvlan: () => {
    ip("-n", node.name, "link", "add", "way", "link", "up0", "type", "macvlan", "mode", "bridge");
    ip("-n", node.name, "link", "set", "way", "netns", shop.name);
  },
  ipvlan: () => {
    ip("-n", node.name, "link", "add", "way", "link", "up0", "type", "ipvlan", "mode", "l2");
    ip("-n", node.name, "link", "set", "way", "netns", shop.name);
  },
  "veth of another namespace": () => {
    ip("-n", outside.name, "link", "add", "way", "type", "veth", "peer", "name", "wayback");
    ip("-n", outside.name, "link", "set", "way", "netns", shop.name);
  },
  tun: () => ip("-n", shop.name, "tuntap", "add", "way", "mode", "tun"),
};

for (const [kind, make] of Object.entries(WAYS_OUT)) {
  test(`an interface that cannot be guarded (${kind}) is reported as long as it is there, and the workload is not enforced`, async (context) => {
    context.after(() => spawnSync("ip", ["-n", shop.name, "link", "del", "way"]));
    try {
      make();
    } catch (error) {
      return context.skip(`this kernel makes none: ${error}`);
    }
    const mark = fixture.agent.events.mark();
    // A tun without a process is down, and leads nowhere.
    const holder = kind === "tun" ? fixture.start(shop, "/usr/bin/python3", ["-c", HOLD_TUN]) : null;
    await holder?.line("held");
    ip("-n", shop.name, "link", "set", "way", "up");
    const event = (await fixture.agent.events.waitFor("partly", stateIs("partly"), { from: mark })) as WorkloadEvent;
    assert.equal(event.error?.code, "PC_INTERFACE_UNGUARDED");
    assert.match(await status(), /State: +PARTLY[\s\S]*Problem: +interface way/);
    await fixture.stops(shop, stranger, ALLOWED, { reason: "BinaryUnknown" });
    const later = fixture.agent.events.mark();
    await holder?.kill();
    ip("-n", shop.name, "link", "del", "way");
    await fixture.agent.events.waitFor("enforced again", stateIs("enforced"), { from: later });
    assert.doesNotMatch(await status(), /PARTLY|Problem/);
  });
}

const HOLD_TUN = `
import fcntl, struct, time
tun = open('/dev/net/tun', 'r+b', buffering=0)
fcntl.ioctl(tun, 0x400454ca, struct.pack('16sH', b'way', 0x1001))
print('held', flush=True)
time.sleep(60)`;

test("status names what processes have beyond need, and what is weaker by that", async () => {
  const caps = ["--bounding-set", "-all,+net_raw", "--inh-caps", "-all", "--"];
  const hardened = fixture.start(shop, "setpriv", [...caps, "sh", "-c", "echo ready; exec sleep 60"]);
  await hardened.line("ready");
  const text = await status();
  assert.match(text, /Weakness: +CAP_NET_RAW: it can read/);
  assert.doesNotMatch(text, /privileged|CAP_NET_ADMIN/);
  const privileged = fixture.start(shop, "sh", ["-c", "echo ready; exec sleep 60"]);
  await privileged.line("ready");
  assert.match(await status(), /Weakness: +privileged: it can reach the node's kernel/);
  for (const running of [hardened, privileged]) await running.kill();
  assert.doesNotMatch(await status(), /Weakness/);
});

test("state that is removed under the agent is made again, reported once, and keeps other agents off", async () => {
  const said = () => fixture.agent.diagnostics.match(/was removed while it runs/g)?.length ?? 0;
  rmSync(fixture.agent.stateFolder, { recursive: true });
  await until("the lock is there again", () => existsSync(join(fixture.agent.stateFolder, "agent.lock")));
  await fixture.agent.apply(
    profile("shop", [rights(7000), egress(stranger, { cidr4: [], l4: { protocols: ["tcp"] } })]),
  );
  assert.match(await status(), new RegExp(`running, pid ${fixture.agent.pid}`));
  assert.ok(existsSync(join(fixture.agent.stateFolder, "state.json")));
  const { code, stderr } = await fixture.agent.command("detach", "--all", ...fixture.agent.pinOptions);
  assert.equal(code, 1);
  assert.match(stderr, new RegExp(`an agent \\(pid ${fixture.agent.pid}\\) looks after .* Stop it first`));
  await sleep(1500);
  assert.equal(said(), 2, "the lock, and the state");
});

test("detach --netns of what is not there fails, and says so", async () => {
  await fixture.agent.stop();
  const { code, stderr } = await fixture.agent.command("detach", "--netns", "no-such", ...fixture.agent.pinOptions);
  assert.equal(code, 1);
  assert.match(stderr, /no network namespace no-such/);
});

test("detach --all from another network namespace names what it took off, where", async () => {
  const args = ["detach", "--all", ...fixture.agent.pinOptions];
  const { code, stdout, stderr } = await RunningProcess.in(outside.name, PORTCULLIS, args).finish(20_000);
  assert.doesNotMatch(stdout + stderr, /\beth0\b|\bup0\b|\blo\b/);
  // Links are taken off from anywhere; filters of clsact are told to be elsewhere.
  if (code === 0) assert.match(stdout, new RegExp(`${shop.hostInterface} of network namespace \\d+`));
  else assert.match(stderr, /guards interfaces of network namespace \d+, and this is \d+/);
  assert.equal(spawnSync("ip", ["-n", node.name, "link", "show", shop.hostInterface]).status, 0);
});

test("pins that are not whole are not taken for another version's", async () => {
  await fixture.agent.start();
  await fixture.agent.crash();
  rmSync(join(fixture.agent.pinRoot, "ports"));
  for (const args of [["status"], ["detach", "--netns", shop.name]]) {
    const { code, stderr } = await fixture.agent.command(...args, ...fixture.agent.pinOptions);
    assert.equal(code, 1);
    assert.match(stderr, /is not whole: a start failed half-way/);
  }
  assert.equal((await fixture.agent.command("detach", "--all", ...fixture.agent.pinOptions)).code, 0);
  assert.equal(existsSync(fixture.agent.pinRoot), false);
});
