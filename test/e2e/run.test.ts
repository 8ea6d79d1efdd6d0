/** `portcullis run` as what it runs would like to escape it: by capabilities, by outliving it, by signals. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { PORTCULLIS } from "./harness/agent-under-test.ts";
import { Fixture } from "./harness/fixture.ts";
import { deadRuns } from "./harness/leftovers.ts";
import { type Finished, RunningProcess } from "./harness/processes.ts";
import { egress, profile } from "./harness/profiles.ts";
import { networkState } from "./harness/traces.ts";

const SERVER = "198.51.100.1";
/** What containerd gives a container: 14 capabilities. */
const CONTAINER_CAPABILITIES = "00000000a80425fb";

const fixture = await Fixture.start("run", { apps: ["shop"], startAgent: false });
const { node } = fixture.topology;
const client = fixture.program("client");
const stranger = fixture.program("stranger");
const file = fixture.path("profile.yaml");
const rights = { cidr4: [`${SERVER}/32`], l4: { protocolPorts: [{ protocol: "udp" as const, port: 7000 }] } };
writeFileSync(file, JSON.stringify(profile("shop", [egress(client, rights)])));
const pristine = networkState(node.name);

/** Starts it on the node. The process is `run` itself. */
function start(...args: string[]): RunningProcess {
  return RunningProcess.in(node.name, PORTCULLIS, ["run", "--profile", file, ...args]);
}

const run = (...args: string[]): Promise<Finished> => start(...args).finish(20_000);
const shell = (script: string) => ["--", "sh", "-c", script];
const send = (program: string, tag: string) => `${program} timeout 300 udp4 sendto ${SERVER} 7000 ${tag} recv`;

async function leavesNothing(): Promise<void> {
  assert.deepEqual(await deadRuns(), []);
  assert.equal(networkState(node.name), pristine);
}

test("the command has a container's capabilities, and no way to more; --privileged leaves it all", async () => {
  const show = shell("grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status");
  const { stdout } = await run("-q", ...show);
  const held = Object.fromEntries([...stdout.matchAll(/^Cap(\w+):\t(\w+)$/gm)].map(([, name, value]) => [name, value]));
  const none = "0".repeat(16);
  const [Prm, Eff, Bnd] = [CONTAINER_CAPABILITIES, CONTAINER_CAPABILITIES, CONTAINER_CAPABILITIES];
  assert.deepEqual(held, { Inh: none, Prm, Eff, Bnd, Amb: none });
  assert.doesNotMatch(
    (await run("-q", "--privileged", ...show)).stdout,
    new RegExp(`CapEff:\t${CONTAINER_CAPABILITIES}`),
  );
});

test("the command cannot leave for another network namespace, unless it is privileged", async () => {
  const [left, kept] = [fixture.tag(), fixture.tag()];
  const leave = (tag: string) => shell(`nsenter --net=/run/netns/${node.name} ${send(stranger, tag)}`);
  await run("-q", "--privileged", ...leave(left));
  assert.equal((await fixture.servers.received(left)).length, 1, "the way out is there");
  const { stderr } = await run("-q", ...leave(kept));
  assert.match(stderr, /Operation not permitted/);
  assert.deepEqual(await fixture.servers.received(kept), []);
});

test("what the command leaves behind is guarded until it has ended, and ends with it", async () => {
  const tag = fixture.tag();
  const marker = fixture.path("outlived");
  const child = `trap '' TERM; sleep 0.3; ${send(stranger, tag)}; sleep 5; touch ${marker}`;
  const { code, stderr } = await run(...shell(`(${child}) >/dev/null 2>&1 & exit 5`));
  assert.equal(code, 5);
  assert.deepEqual(await fixture.servers.received(tag), []);
  assert.match(stderr, /BinaryUnknown/);
  assert.equal(existsSync(marker), false);
  await leavesNothing();
});

test("what the command leaves behind in namespaces of its own ends with it, too", async () => {
  const [ready, marker] = [fixture.path("has-left"), fixture.path("outlived-elsewhere")];
  const child = `unshare -Urn sh -c 'touch ${ready}; sleep 3; touch ${marker}'`;
  const { code } = await run("-q", ...shell(`${child} >/dev/null 2>&1 & while [ ! -e ${ready} ]; do sleep 0.05; done`));
  assert.equal(code, 0);
  await sleep(3500);
  assert.equal(existsSync(marker), false);
  await leavesNothing();
});

test("the command takes no socket out of a process outside, though both have one user and equal rights", async () => {
  const without = ["--bounding-set", "-all", "--inh-caps", "-all", client];
  const verbs = `udp4 connect ${SERVER} 7000 descriptor wait`.split(" ");
  const victim = RunningProcess.in(node.name, "/usr/bin/setpriv", [...without, ...verbs]);
  const descriptor = await victim.line(/^\d+$/);
  await victim.line("waiting");
  const [taken, kept] = [fixture.tag(), fixture.tag()];
  const thief = (tag: string) => [stranger, "steal", String(victim.pid), descriptor, "send", tag];
  await RunningProcess.in(node.name, "/usr/bin/setpriv", ["--bounding-set", "-all", ...thief(taken)]).finish();
  assert.equal((await fixture.servers.received(taken)).length, 1, "such a socket can be taken");
  const { code, stderr } = await run("-q", "--", ...thief(kept));
  assert.equal(code, 1, stderr);
  assert.deepEqual(await fixture.servers.received(kept), []);
  victim.tell();
  await victim.finish();
});

test("kill -9 ends what runs in there with it", async () => {
  const running = start("-q", ...shell("trap '' TERM; echo ready; while :; do sleep 0.05; done"));
  await running.line("ready");
  const children = readFileSync(`/proc/${running.pid}/task/${running.pid}/children`, "utf8");
  const pids = children.trim().split(" ");
  running.child.kill("SIGKILL");
  await running.finish();
  for (
    const deadline = performance.now() + 5000;
    pids.some((pid) => existsSync(`/proc/${pid}/ns/net`));
    await sleep(20)
  )
    assert.ok(performance.now() < deadline, "something goes on");
  await run("-q", "--", "true");
  await leavesNothing();
});

for (const [signal, number] of [
  ["SIGTERM", 15],
  ["SIGINT", 2],
  ["SIGHUP", 1],
] as const) {
  test(`${signal} reaches the command; its end is waited for, and reported`, async () => {
    const trapping = start(
      ...shell(`trap 'sleep 0.3; echo ended; exit 9' ${number}; echo ready; while :; do sleep 0.05; done`),
    );
    await trapping.line("ready");
    trapping.child.kill(signal);
    const { code, stdout, stderr } = await trapping.finish(20_000);
    assert.equal(code, 9, stderr);
    assert.match(stdout, /^ended$/m);
    assert.match(stderr, /ended with exit status 9\./);
    await leavesNothing();
    const plain = start(...shell("echo ready; exec sleep 60"));
    await plain.line("ready");
    plain.child.kill(signal);
    const finished = await plain.finish(20_000);
    assert.equal(finished.code, 128 + number);
    assert.match(finished.stderr, new RegExp(`exit status ${128 + number}`));
    await leavesNothing();
  });
}

test("a second signal reaches the command too", async () => {
  const script = "trap 'n=x$n; [ $n = xx ] && exit 11; echo once' TERM; echo ready; while :; do sleep 0.05; done";
  const running = start(...shell(script));
  await running.line("ready");
  running.child.kill("SIGTERM");
  await running.line("once");
  running.child.kill("SIGTERM");
  assert.equal((await running.finish(20_000)).code, 11);
  await leavesNothing();
});

test("Ctrl-C at a terminal interrupts the command once, and run ends in order", async () => {
  const script = "trap 'echo interrupted' INT; echo begins; sleep 1; sleep 1; exit 6";
  const terminal = [
    "import os, pty, sys",
    "pid, fd = pty.fork()",
    "if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])",
    "seen = b''",
    "while b'begins' not in seen: seen += os.read(fd, 4096)",
    "os.write(fd, b'\\x03')",
    "try:",
    "    while True: seen += os.read(fd, 4096) or sys.exit('end')",
    "except OSError: pass",
    "print(seen.decode()); sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))",
  ].join("\n");
  const args = ["-c", terminal, PORTCULLIS, "run", "--profile", file, ...shell(script)];
  const { code, stdout } = await RunningProcess.in(node.name, "/usr/bin/python3", args).finish(20_000);
  assert.equal(code, 6, stdout);
  assert.equal(stdout.match(/interrupted/g)?.length, 1, stdout);
  assert.match(stdout, /ended with exit status 6\./);
  await leavesNothing();
});

test("a signal at any time of the start leaves nothing behind", async () => {
  for (const delay of [300, 700]) {
    const running = start("-q", ...shell("sleep 0.2"));
    await sleep(delay);
    running.child.kill("SIGTERM");
    const { code } = await running.finish(20_000);
    // Null: before Node had begun. 0: the command was done already.
    assert.ok(code === null || code === 143 || code === 0, `${delay} ms: ${code}`);
    await leavesNothing();
  }
});

test("profiles that cannot be used are reported as validate tells them, and what is missing by its name", async () => {
  const bad = fixture.path("bad.yaml");
  writeFileSync(
    bad,
    `apiVersion: security.datadoghq.com/v1\nkind: SecurityProfile\nmetadata: {name: a, labels: {a: b}}\nspec: {actions: [explode]}\n`,
  );
  const { stderr, code } = await RunningProcess.in(node.name, PORTCULLIS, [
    "run",
    "--profile",
    bad,
    "--",
    "true",
  ]).finish(20_000);
  const validated = await RunningProcess.in(node.name, PORTCULLIS, ["validate", bad]).finish(20_000);
  assert.equal(code, 125);
  assert.ok(stderr.startsWith(validated.stdout), stderr);
  assert.doesNotMatch(stderr, /^\{/m);
  const missing = fixture.path("missing.yaml");
  const absent = await RunningProcess.in(node.name, PORTCULLIS, ["run", "--profile", missing, "--", "true"]).finish(
    20_000,
  );
  assert.equal(absent.code, 125);
  assert.ok(absent.stderr.includes(`cannot read ${missing}`), absent.stderr);
});
