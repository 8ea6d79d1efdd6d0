import assert from "node:assert/strict";
import { readlinkSync } from "node:fs";
import { afterEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { HOST_ADDRESS, OUTSIDE_ADDRESS, TestHost } from "../discovery/testing/host.ts";

/** Answers every question with 203.0.113.7, but only to clients of its own network, as resolvers do by default. */
const NAME_SERVER = (address: string): string => `
  const socket = require("node:dgram").createSocket("udp4");
  socket.on("message", (question, from) => {
    if (from.address.split(".")[0] !== "${address}".split(".")[0]) return;
    const answer = Buffer.from("c00c000100010000003c0004cb007107", "hex");
    const end = question.indexOf(0, 12) + 5;
    const header = Buffer.from(question.subarray(0, end));
    header.writeUInt16BE(0x8180, 2);
    header.writeUInt16BE(1, 6);
    header.writeUInt16BE(0, 10);
    socket.send(Buffer.concat([header, answer]), from.port, from.address);
  });
  socket.bind(53, "${address}", () => console.log("ready"));`;

/** Tells every client the address that it comes from. */
const ECHO_SERVER = `
  const server = require("node:net").createServer((client) => client.end(client.remoteAddress));
  server.listen(8080, "0.0.0.0", () => console.log("ready"));`;

const CLEAN = { files: [], interfaces: [], tables: "", forwarding: "0" };

let host: TestHost | null = null;

function makeHost(nameserver?: string): TestHost {
  host = new TestHost(`pc-wl-${process.pid}`, nameserver);
  return host;
}

afterEach(() => {
  host?.[Symbol.dispose]();
  host = null;
});

async function until(wanted: () => boolean): Promise<void> {
  for (const deadline = performance.now() + 5000; performance.now() < deadline; await sleep(10)) if (wanted()) return;
  assert.fail("not seen in time");
}

/** False for a zombie too: it has no executable any more. */
function isAlive(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/exe`) !== "";
  } catch {
    return false;
  }
}

test("a command reaches the outside under the host's address, and leaves nothing behind", async () => {
  const host = makeHost();
  await host.serve("outside", ECHO_SERVER);
  const running = host.run("nc", "-N", "-w", "3", OUTSIDE_ADDRESS, "8080");
  const started = await running.started;
  const { stdout, stderr, code } = await running.ended;
  assert.deepEqual({ stdout, stderr, code }, { stdout: HOST_ADDRESS, stderr: "", code: 0 });
  assert.equal(started.workload.interfaces[0]?.hostIfname, `pcr${started.id}`);
  assert.ok(started.workload.nsid >= 0);
  assert.deepEqual(started.warnings, []);
  assert.deepEqual(host.traces(), CLEAN);
});

test("names resolve by the host's name server, under an address that is the same everywhere", async () => {
  const host = makeHost();
  await host.serve("outside", NAME_SERVER(OUTSIDE_ADDRESS));
  const running = host.run("getent", "ahostsv4", "www.example.com");
  assert.deepEqual((await running.started).resolvers, ["169.254.53.53"]);
  const { stdout, code } = await running.ended;
  assert.match(stdout, /^203\.0\.113\.7 /);
  assert.equal(code, 0);
});

test("names resolve by a name server on the host's loopback interface", async () => {
  const host = makeHost("127.0.0.1");
  await host.serve("host", NAME_SERVER("127.0.0.1"));
  const { stdout, code } = await host.run("getent", "ahostsv4", "www.example.com").ended;
  assert.match(stdout, /^203\.0\.113\.7 /);
  assert.equal(code, 0);
});

test("the command sees its own resolv.conf, addresses, routes and the link's size", async () => {
  const host = makeHost();
  const script =
    "cat /etc/resolv.conf; ip -o addr; ip route; ip -6 route; cat /sys/class/net/eth0/mtu 2>&1; ip link show eth0";
  const running = host.run("sh", "-c", script);
  const { workload } = await running.started;
  const { stdout } = await running.ended;
  assert.match(stdout, /^nameserver 169\.254\.53\.53\nsearch corp\.example\n/);
  for (const address of workload.addresses) assert.ok(stdout.includes(` ${address}/`), address);
  assert.equal(workload.addresses.length, 2);
  assert.match(stdout, /default via 10\.213\.208\.1 dev eth0/);
  assert.doesNotMatch(stdout, /default via fd/);
  assert.doesNotMatch(stdout, /fe80/);
  assert.match(stdout, /mtu 1400/);
  assert.ok(stdout.includes(workload.interfaces[0]?.mac ?? "none"));
});

test("the exit code is the command's, or 128 and the signal's number", async () => {
  const host = makeHost();
  assert.equal((await host.run("sh", "-c", "exit 7").ended).code, 7);
  assert.equal((await host.run("sh", "-c", "kill -KILL $$").ended).code, 137);
});

test("a command that is not there ends with 127, one that is not executable with 126", async () => {
  const host = makeHost();
  const missing = host.run("no-such-command");
  assert.match((await missing.started).error ?? "", /there is no command no-such-command/);
  assert.equal((await missing.ended).code, 127);
  assert.equal((await host.run(`${host.folder}/resolv.conf`).ended).code, 126);
  assert.deepEqual(host.traces(), CLEAN);
});

test("signals are handed on to the command", async () => {
  const host = makeHost();
  const running = host.run("sh", "-c", "trap 'exit 42' TERM; echo; while :; do sleep 0.05; done");
  await running.started;
  await sleep(300);
  running.child.kill("SIGTERM");
  assert.equal((await running.ended).code, 42);
});

test("what the command leaves running is ended with it", async () => {
  const host = makeHost();
  const { stdout, code } = await host.run("sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!").ended;
  assert.equal(code, 0);
  assert.ok(!isAlive(Number(stdout)));
  assert.deepEqual(host.traces(), CLEAN);
});

test("nobody outside begins a connection into a private namespace", async () => {
  const host = makeHost();
  const running = host.run("nc", "-l", "-w", "5", "8080");
  const { workload } = await running.started;
  await sleep(200);
  const script = `require("node:net").connect({ host: "${workload.addresses[0]}", port: 8080, timeout: 500 })
    .on("connect", () => console.log("connected")).on("timeout", () => process.exit(console.log("none")))
    .on("error", () => console.log("none"));`;
  const outcome = host.outside(process.execPath, "-e", script);
  assert.equal(outcome.trim(), "none");
  running.child.kill("SIGTERM");
  await running.ended;
});

test("two at once have different numbers, and forwarding stays until the second has ended", async () => {
  const host = makeHost();
  const first = host.run("sleep", "60");
  const second = host.run("sleep", "60");
  const [one, two] = await Promise.all([first.started, second.started]);
  assert.deepEqual([one.id, two.id].sort(), [0, 1]);
  assert.notDeepEqual(one.workload.addresses, two.workload.addresses);
  assert.equal(host.traces().forwarding, "1");
  first.child.kill("SIGTERM");
  assert.equal((await first.ended).code, 143);
  assert.equal(host.traces().forwarding, "1");
  second.child.kill("SIGTERM");
  await second.ended;
  assert.deepEqual(host.traces(), CLEAN);
});

test("forwarding stays on if the host has begun to forward in general", async () => {
  const host = makeHost();
  const running = host.run("sleep", "60");
  await running.started;
  host.command("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward");
  running.child.kill("SIGTERM");
  await running.ended;
  assert.deepEqual(host.traces(), { ...CLEAN, forwarding: "1" });
});

test("the command ends with an owner that is killed, and the next run removes what was left", async () => {
  const host = makeHost();
  const running = host.run("sleep", "60");
  const { id, pid } = await running.started;
  running.child.kill("SIGKILL");
  await running.ended;
  await until(() => !isAlive(pid));
  assert.equal(host.traces().forwarding, "1");
  const next = host.run("true");
  assert.deepEqual((await next.started).collected, [id]);
  assert.equal((await next.ended).code, 0);
  assert.deepEqual(host.traces(), CLEAN);
});

test("a firewall that closes forwarding is warned of", async () => {
  const host = makeHost();
  host.command("nft", "add table ip fw; add chain ip fw FORWARD { type filter hook forward priority 0; policy drop; }");
  const running = host.run("true");
  assert.deepEqual((await running.started).warnings, ["PC_RUN_FIREWALL"]);
  await running.ended;
});

test("the link is quiet before its first command", async () => {
  const host = makeHost();
  const running = host.run("sleep", "60");
  const { id } = await running.started;
  const count = (): string =>
    host.command("sh", "-c", `ip -s link show pcr${id} | awk '/RX:|TX:/ {getline; print $2}'`);
  const before = count();
  await sleep(2500);
  assert.equal(count(), before);
  running.child.kill("SIGTERM");
  await running.ended;
});
