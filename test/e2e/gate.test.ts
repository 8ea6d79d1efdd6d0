/**
 * Section 9: a new workload is blocked until its profile is known, also before its veth has classifiers. A process sends
 * without a pause from the first instant of its network namespace; what its profile does not allow must never arrive,
 * and what it allows not before the profile is in force.
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { GATED_CLAIM } from "../../src/gen/abi.gen.ts";
import type { NodeStatus } from "../../src/node-agent/enforce/inspect.ts";
import { cgroupRoot } from "../../src/node-agent/kernel/mounts.ts";
import { openMap } from "../../src/node-agent/kernel/typed-maps.ts";
import { buildTool } from "../tools/build.ts";
import { Fixture } from "./harness/fixture.ts";
import { patiently } from "./harness/patience.ts";
import { RunningProcess } from "./harness/processes.ts";
import { egress, profile } from "./harness/profiles.ts";
import { connectWorkload } from "./harness/topology.ts";

const STARTS = Number(process.env.GATE_STARTS ?? 100);
const SERVER = "198.51.100.1";
const [ALLOWED, DENIED] = ["9000", "9001"] as const;
const CARE_TIMEOUT_MS = 20_000;
/** Longer than `status` takes to say that nothing has been let through yet. */
const OPENS_AFTER_MS = patiently(30_000);

const fixture = await Fixture.start("gate", { apps: ["pod"], startAgent: false });
/** An agent with a gate that waits longer than a test takes. */
const GATED = { args: ["--gate", fixture.name, "--startup-timeout", `${OPENS_AFTER_MS}ms`] };
const pod = fixture.workload("pod");
const { node, outside } = fixture.topology;
const cgroup = join(cgroupRoot(), fixture.name);
mkdirSync(cgroup);
/** All spinners: one that a failed test left would send for ever. */
const born: RunningProcess[] = [];
after(() => {
  for (const { child } of born) child.kill("SIGKILL");
  removeCgroup();
});

const built = buildTool("spinner");
const spinner = fixture.program("spins", built);
const receiver = fixture.start(outside, built, ["receive", ALLOWED, DENIED]);
await receiver.line("ready");
fixture.agent.write(
  profile(
    "pod",
    [egress(spinner, { cidr4: [`${SERVER}/32`], l4: { protocolPorts: [{ protocol: "udp", port: Number(ALLOWED) }] } })],
    { actions: ["enforce"] },
  ),
);

interface Sent {
  sent: [number, number];
  refused: number;
}

/** The spinner in a new network namespace under the workload's name, not connected yet. */
async function bear(): Promise<RunningProcess> {
  spawnSync("ip", ["-n", node.name, "link", "delete", pod.hostInterface]);
  spawnSync("ip", ["netns", "delete", pod.name]);
  const running = new RunningProcess(spinner, ["send", cgroup, SERVER, ALLOWED, DENIED]);
  born.push(running);
  await running.line("born");
  execFileSync("ip", ["netns", "attach", pod.name, String(running.pid)]);
  await received();
  return running;
}

/** What has arrived on either port since the last time. */
async function received(): Promise<[number, number]> {
  const before = receiver.stdout.length;
  receiver.tell();
  const deadline = performance.now() + 5000;
  while (performance.now() < deadline) {
    const [line] = receiver.stdout
      .slice(before)
      .split("\n")
      .filter((text) => text.startsWith("{"));
    if (line !== undefined) return (JSON.parse(line) as { received: [number, number] }).received;
    await sleep(1);
  }
  throw new Error(`the receiver does not answer: ${receiver.stderr}`);
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((settle) => setTimeout(settle, milliseconds));
}

/** Milliseconds until the first datagram has arrived since `position` in the receiver's output. */
async function untilArrival(since: number, position: number): Promise<number> {
  while (!receiver.stdout.slice(position).includes("arrived")) {
    if (performance.now() - since > CARE_TIMEOUT_MS)
      throw new Error(`nothing has arrived; ${fixture.agent.diagnostics}`);
    await sleep(1);
  }
  return performance.now() - since;
}

async function end(running: RunningProcess): Promise<Sent> {
  running.child.kill("SIGTERM");
  const { stdout, stderr } = await running.finish();
  const line = stdout.split("\n").find((text) => text.startsWith("{"));
  if (line === undefined) throw new Error(`the spinner has not reported what it sent: ${stderr}`);
  return JSON.parse(line) as Sent;
}

async function status(): Promise<NodeStatus> {
  const { stdout, stderr, code } = await fixture.agent.command(
    "status",
    "--output",
    "json",
    ...fixture.agent.pinOptions,
  );
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as NodeStatus;
}

function removeCgroup(): void {
  for (let attempt = 0; attempt < 50; attempt++) {
    try {
      rmdirSync(cgroup);
      return;
    } catch {
      spawnSync("sleep", ["0.1"]); // Its last process has not been reaped yet.
    }
  }
}

test("§9 a cgroup that is not there is refused, by name", async () => {
  const { code, stderr } = await fixture.agent.command(
    ...["agent", "--profiles", fixture.agent.profilesFolder, "--netns", pod.name, "--gate", "no/such/cgroup"],
    ...fixture.agent.pinOptions,
  );
  assert.equal(code, 1);
  assert.match(stderr, /no\/such\/cgroup.*--gate.*PC_GATE_CGROUP/s);
});

test("§9 starts of a namespace with a process that sends from its first instant", async (context) => {
  await fixture.agent.start(GATED);
  const times: number[] = [];
  const total = { arrived: 0, refused: 0, sent: 0 };
  for (let start = 0; start < STARTS; start++) {
    const running = await bear();
    const position = receiver.stdout.length;
    const since = performance.now();
    connectWorkload(fixture.topology, pod);
    times.push(await untilArrival(since, position));
    const { sent, refused } = await end(running);
    const [arrived, forbidden] = await received();
    assert.equal(forbidden, 0, `start ${start}: ${forbidden} packets got out that no profile allows`);
    total.arrived += arrived;
    total.refused += refused;
    total.sent += sent[1];
  }
  times.sort((left, right) => left - right);
  const at = (share: number) => (times[Math.floor((times.length - 1) * share)] ?? 0).toFixed(0);
  context.diagnostic(
    `${STARTS} starts: 0 packets out of ${total.sent} that the profile denies and ${total.refused} that the gate refused; ` +
      `${total.arrived} allowed ones arrived. Veth to first allowed packet: median ${at(0.5)} ms, p90 ${at(0.9)} ms, max ${at(1)} ms`,
  );
  assert.ok(total.refused > 0, "the gate has never refused anything: it was not there");
});

test("§9 a namespace that is not admitted is shown, and waits, while the agent is away too", async () => {
  await fixture.agent.crash();
  const running = await bear();
  connectWorkload(fixture.topology, pod);
  await sleep(300);
  const { gate } = await status();
  assert.equal(gate?.opensAfter, OPENS_AFTER_MS);
  assert.equal(gate?.waiting.length, 1);
  assert.ok((gate?.waiting[0]?.dropped ?? 0) > 0);
  assert.equal(gate?.waiting[0]?.passed, 0);
  assert.deepEqual(await received(), [0, 0]);
  const position = receiver.stdout.length;
  await fixture.agent.start(GATED);
  await untilArrival(performance.now(), position);
  assert.deepEqual((await status()).gate?.waiting, []);
  await end(running);
  assert.equal((await received())[1], 0);
});

test("§9 a container that makes network namespaces without end pushes nobody out who waits", async () => {
  await fixture.agent.stop();
  await fixture.agent.start(GATED);
  await fixture.agent.crash();
  const waiting = await bear();
  connectWorkload(fixture.topology, pod);
  const noisy = join(cgroup, "noisy");
  mkdirSync(noisy);
  const maker = fixture.start(outside, fixture.program("maker", buildTool("client")), ["wait", "namespaces", "200"]);
  try {
    await maker.line("waiting");
    using gated = openMap(fixture.agent.pinRoot, "gated");
    const before = [...gated.entries()];
    assert.equal(before.length, 1);
    writeFileSync(join(noisy, "cgroup.procs"), String(maker.pid));
    maker.tell();
    await maker.line("done");
    const after = new Map(gated.entries());
    for (const [netns, { firstSeen }] of before) assert.equal(after.get(netns)?.firstSeen, firstSeen);
    assert.equal(after.size - before.length, GATED_CLAIM);
    // What an agent would do that is alive: the next test looks at the only one that waits.
    gated.clear();
  } finally {
    await maker.kill();
    await end(waiting);
    rmdirSync(noisy);
  }
});

test("§9 after the startup timeout the policy holds: Allow lets it through, and says so", async () => {
  await fixture.agent.stop();
  await fixture.agent.start({ args: ["--gate", fixture.name, "--startup-timeout", "500ms"] });
  await fixture.agent.crash();
  const running = await bear();
  const position = receiver.stdout.length;
  const since = performance.now();
  connectWorkload(fixture.topology, pod);
  assert.ok((await untilArrival(since, position)) >= 490);
  const [waiting] = (await status()).gate?.waiting ?? [];
  assert.ok((waiting?.passed ?? 0) > 0);
  await end(running);
});

test("§9 after the startup timeout the policy holds: Block keeps it shut", async () => {
  await fixture.agent.start({
    args: ["--gate", fixture.name, "--startup-timeout", "100ms", "--startup-failure-policy", "Block"],
  });
  await fixture.agent.crash();
  const running = await bear();
  connectWorkload(fixture.topology, pod);
  await sleep(600);
  assert.deepEqual(await received(), [0, 0]);
  assert.equal((await status()).gate?.opensAfter, null);
  await end(running);
});

test("§9 an agent without --gate takes the gate away", async () => {
  await fixture.agent.start();
  assert.equal((await status()).gate, null);
  const running = await bear();
  const position = receiver.stdout.length;
  connectWorkload(fixture.topology, pod);
  await untilArrival(performance.now(), position);
  const { refused } = await end(running);
  assert.equal(refused, 0);
});

test("§9 a gate that an upgrade brings holds nobody up who is guarded already", async () => {
  const before = new Set((await status()).workloads.map(({ id }) => id));
  const running = await bear();
  connectWorkload(fixture.topology, pod);
  const isGuarded = async () =>
    (await status()).workloads.some(({ id, state }) => state === "enforced" && !before.has(id));
  for (const deadline = performance.now() + CARE_TIMEOUT_MS; !(await isGuarded()); await sleep(20)) {
    assert.ok(performance.now() < deadline, `not guarded; ${fixture.agent.diagnostics}`);
  }
  await fixture.agent.stop();
  await fixture.agent.start(GATED);
  assert.notEqual((await status()).gate, null);
  const { refused } = await end(running);
  assert.equal(refused, 0);
});

test("§9 detaching takes the gate away with everything else", async () => {
  await fixture.agent.stop();
  await fixture.agent.start(GATED);
  await fixture.agent.stop();
  const { code, stderr } = await fixture.agent.command("detach", "--all", ...fixture.agent.pinOptions);
  assert.equal(code, 0, stderr);
  const running = await bear();
  const position = receiver.stdout.length;
  connectWorkload(fixture.topology, pod);
  await untilArrival(performance.now(), position);
  const { refused } = await end(running);
  assert.equal(refused, 0);
});
