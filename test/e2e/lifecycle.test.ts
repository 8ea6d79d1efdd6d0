/** Section 9: the agent comes and goes, enforcement stays. */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { EgressRules } from "../../src/api/types.ts";
import type { WorkloadEvent } from "../../src/flow/record.ts";
import type { NodeStatus } from "../../src/node-agent/enforce/inspect.ts";
import { isVerdict } from "./harness/event-stream.ts";
import { Fixture } from "./harness/fixture.ts";
import { patiently } from "./harness/patience.ts";
import { RunningProcess } from "./harness/processes.ts";
import { egress, profile } from "./harness/profiles.ts";
import { connectWorkload, runIn } from "./harness/topology.ts";
import { living, networkState, pinnedIds } from "./harness/traces.ts";

const SERVER = "198.51.100.1";
const NAMED = "198.51.100.2";
const DNS = "198.51.100.53";
const RIGHTS: EgressRules = {
  cidr4: [`${SERVER}/32`, `${DNS}/32`],
  fqdns: ["www.example.com"],
  l4: {
    protocolPorts: [
      { protocol: "udp", port: 7000 },
      { protocol: "tcp", port: 7000 },
      { protocol: "udp", port: 53 },
    ],
  },
};

const fixture = await Fixture.start("lifecycle", {
  apps: ["shop", "bank"],
  zone: { "www.example.com": { a: [NAMED] } },
  startAgent: false,
});
const shop = fixture.workload("shop");
const bank = fixture.workload("bank");
const { node, outside } = fixture.topology;
const app = fixture.program("app");
const twin = fixture.program("twin");
const stranger = fixture.program("stranger");
const profiles = () => [
  profile("shop", [egress(app, RIGHTS), egress(twin, RIGHTS)]),
  profile("bank", [egress(app, RIGHTS)]),
];
const pristine = [node, shop, bank].map(({ name }) => networkState(name));

const ALLOWED = `udp4 sendto ${SERVER} 7000 TAG recv`;
const ASK = `udp4 connect ${DNS} 53 ask www.example.com A`;

function workloadIs(app: string, state: WorkloadEvent["state"]) {
  const { name } = fixture.workload(app);
  return (event: { type: string }): event is WorkloadEvent =>
    event.type === "workload" &&
    (event as WorkloadEvent).workload.name === name &&
    (event as WorkloadEvent).state === state;
}

test("§9 a new workload is blocked until its profile is known: Pending", async () => {
  fixture.agent.writeText("this: is no profile\n");
  await fixture.agent.start({ ready: false, args: ["--startup-timeout", `${patiently(1500)}ms`] });
  await fixture.agent.events.waitFor("pending", workloadIs("shop", "pending"), { timeout: 20_000 });
  const event = await fixture.stops(shop, app, ALLOWED, { reason: "Pending", path: "any" });
  assert.equal(event.verdict, "dropped");
});

test("§9 after startupTimeout a workload never seen before is let through, with an alert", async () => {
  await fixture.agent.events.waitFor("unrestricted", workloadIs("shop", "unrestricted"));
  await fixture.passes(shop, stranger, ALLOWED);
  assert.match(fixture.agent.diagnostics, /unjudged|let through/);
  await fixture.agent.remove();
  assert.equal((await fixture.agent.command("detach", "--all", ...fixture.agent.pinOptions)).code, 0);
});

test("§9 startupFailurePolicy Block: it stays blocked", async () => {
  await fixture.agent.start({
    ready: false,
    args: ["--startup-timeout", "100ms", "--startup-failure-policy", "Block"],
  });
  await fixture.agent.events.waitFor("pending", workloadIs("shop", "pending"), { timeout: 20_000 });
  await sleep(300);
  await fixture.stops(shop, app, ALLOWED, { reason: "Pending", path: "any" });
});

test("§9 profiles that can be read again are taken", async () => {
  await fixture.agent.apply(...profiles());
  await fixture.passes(shop, app, ALLOWED);
  await fixture.stops(shop, stranger, ALLOWED, { reason: "BinaryUnknown" });
});

const BAD: Record<string, string> = {
  "no YAML": "{]",
  "an unknown field": JSON.stringify({ ...profile("shop", []), spec: { proceses: [] } }),
  "a prefix that is none": JSON.stringify(profile("shop", [egress("/bin/x", { ...RIGHTS, cidr4: ["10.0.0.0/33"] })])),
  "a relative path": JSON.stringify(profile("shop", [egress("bin/x", RIGHTS)])),
};

for (const [what, text] of Object.entries(BAD)) {
  test(`§9 a revision that is invalid leaves the old one in force, and says so: ${what}`, async () => {
    const mark = fixture.agent.events.mark();
    fixture.agent.writeText(text);
    const event = await fixture.agent.events.waitFor("a revision", ({ type }) => type === "revision", { from: mark });
    assert.ok(event.type === "revision" && event.refused);
    assert.ok(event.errors.length > 0 && event.errors[0]?.message !== "");
    await fixture.passes(shop, app, ALLOWED);
    await fixture.stops(shop, stranger, ALLOWED, { reason: "BinaryUnknown" });
  });
}

test("§9 one bad profile among good ones: the revision is refused as a whole", async () => {
  const good = profile("shop", [egress(stranger, RIGHTS)]);
  const event = await fixture.agent.offer(good, profile("bank", [egress("bin/x", RIGHTS)]));
  assert.equal(event.refused, true);
  assert.equal(event.errors[0]?.field, "spec.processes[0].path");
  await fixture.stops(shop, stranger, ALLOWED, { reason: "BinaryUnknown" });
});

test("§9 a revision that does not fit is refused, and leaves the old one in force", async () => {
  const many = Array.from({ length: 65 }, (_, number) =>
    profile("shop", [egress(app, RIGHTS)], { name: `p${number}` }),
  );
  const event = await fixture.agent.offer(...many);
  assert.equal(event.refused, true);
  assert.match(event.errors[0]?.message ?? "", /64/);
  await fixture.passes(shop, app, ALLOWED);
});

test("§9 a second agent on the same pins is refused, and disturbs nothing", async () => {
  const args = ["--profiles", fixture.agent.profilesFolder, "--netns", `${shop.name}:app=shop`];
  const { code, stderr } = await fixture.agent.command("agent", ...args, ...fixture.agent.pinOptions);
  assert.equal(code, 1);
  assert.match(stderr, new RegExp(String(fixture.agent.pid)));
  await fixture.passes(shop, app, ALLOWED);
});

/** Datagrams that came to the outside's servers and found no room: a slow machine's servers cannot read all while an agent starts. */
function overflowed(): number {
  const lines = runIn(fixture.topology.outside.name, "cat", "/proc/net/snmp").split("\n");
  const [names = [], values = []] = lines.filter((line) => line.startsWith("Udp:")).map((line) => line.split(" "));
  return Number(values[names.indexOf("RcvbufErrors")]);
}

test("§9 kill -9 of the agent amid traffic: no verdict changes, nor when it starts again", async () => {
  await fixture.agent.apply(...profiles());
  await fixture.passes(shop, app, ASK);
  const tag = fixture.tag();
  const before = overflowed();
  const targets = `${SERVER} 7000 ${NAMED} 7000 ${SERVER} 7001`;
  // For as long as a new start takes.
  const sender = fixture.start(shop, app, `udp4 rounds ${patiently(4000)} ${patiently(1000)} ${tag} 3 ${targets}`);
  await sender.line("sending");
  await sleep(300);
  await fixture.agent.crash();
  await sleep(700);
  await fixture.agent.start();
  const { stdout } = await sender.finish();
  const rounds = Number(stdout.trim().split("\n").at(-1));
  await sleep(100);
  const received = await fixture.servers.received(tag);
  const numbers = (target: number) => received.filter(({ text }) => text.endsWith(`:${target}`)).length;
  assert.ok(rounds > 500, `${rounds} rounds`);
  const missed = 2 * rounds - numbers(0) - numbers(1);
  assert.deepEqual([missed, numbers(2)], [overflowed() - before, 0], `of ${rounds} rounds`);
});

test("§9 names go on being learned while the agent is dead, and are kept when it starts again", async () => {
  await fixture.agent.crash();
  assert.equal((await fixture.run(shop, twin, `timeout 250 udp4 sendto ${NAMED} 7000 x recv`)).code, 3);
  assert.equal((await fixture.run(shop, twin, `${ASK} udp4 sendto ${NAMED} 7000 x recv`)).code, 0);
  assert.equal((await fixture.run(shop, stranger, `timeout 250 ${ALLOWED}`)).code, 3);
  await fixture.agent.start();
  await fixture.passes(shop, twin, `udp4 sendto ${NAMED} 7000 TAG recv`);
});

test("§9 an agent that starts again adopts what it finds: no map is made anew", async () => {
  const before = pinnedIds(fixture.agent.pinRoot);
  await fixture.agent.crash();
  await fixture.agent.start();
  const after = pinnedIds(fixture.agent.pinRoot);
  assert.ok(before.map.length > 10);
  assert.deepEqual(after.map.sort(), before.map.sort());
});

test("§9 processes and sockets of the time without an agent are known to the next one", async () => {
  await fixture.agent.crash();
  const open = fixture.start(shop, app, `tcp4 connect ${SERVER} 7000 send x recv wait send x recv`);
  const other = fixture.start(shop, stranger, `timeout 250 udp4 wait sendto ${SERVER} 7000 x recv`);
  await Promise.all([open.line("waiting"), other.line("waiting")]);
  await fixture.agent.start();
  open.tell();
  other.tell();
  assert.equal((await open.finish()).code, 0);
  assert.equal((await other.finish()).code, 3);
});

test("§9 a change of the profiles while there was no agent is in force when the next one is ready", async () => {
  await fixture.agent.crash();
  fixture.agent.write(profile("shop", [egress(stranger, RIGHTS)]));
  await fixture.agent.start();
  await fixture.passes(shop, stranger, ALLOWED);
  await fixture.stops(shop, app, ALLOWED, { reason: "BinaryUnknown" });
  await fixture.agent.apply(...profiles());
});

test("§9 profiles that cannot be read at a restart: the last policy known stays in force", async () => {
  await fixture.agent.crash();
  fixture.agent.writeText("{]");
  await fixture.agent.start({ ready: false });
  await fixture.agent.events.waitFor("refused", ({ type }) => type === "revision", { timeout: 20_000 });
  await fixture.passes(shop, app, ALLOWED);
  await fixture.stops(shop, stranger, ALLOWED, { reason: "BinaryUnknown" });
  await fixture.agent.apply(...profiles());
});

test("§9 an agent that is told to stop exits with 0, and says that enforcement stays", async () => {
  const finished = await fixture.agent.stop();
  assert.equal(finished?.code, 0);
  assert.match(finished?.stderr ?? "", /stay in force|detach/);
  assert.equal((await fixture.run(shop, app, ALLOWED)).code, 0);
  assert.equal((await fixture.run(shop, stranger, `timeout 250 ${ALLOWED}`)).code, 3);
  await fixture.agent.start();
});

test("§9 a veth that is replaced is guarded again", async () => {
  const mark = fixture.agent.events.mark();
  runIn(node.name, "ip", "link", "delete", bank.hostInterface);
  connectWorkload(fixture.topology, bank);
  await fixture.agent.events.waitFor("bank again", workloadIs("bank", "enforced"), { from: mark });
  // Its new addresses are known a moment later than the veth is; until then ARP for them is asked again.
  await fixture.passes(bank, app, `timeout 4000 ${ALLOWED}`);
  await fixture.stops(bank, stranger, ALLOWED, { reason: "BinaryUnknown" });
});

test("§9 events that could not be carried are counted, never silently lost", async () => {
  process.kill(fixture.agent.pid, "SIGSTOP");
  await fixture.run(shop, app, `udp4 rounds 500 0 x 1 ${SERVER} 7001`);
  process.kill(fixture.agent.pid, "SIGCONT");
  // A workload has so many events a second and no more: beyond them its share is full, which its status says.
  const { stdout } = await fixture.agent.command("status", "-o", "json", ...fixture.agent.pinOptions);
  const { workloads } = JSON.parse(stdout) as NodeStatus;
  const full = workloads.find(({ name }) => name === shop.name)?.full ?? [];
  assert.ok(
    full.some(({ name, lost }) => name.endsWith("in a second") && lost > 0),
    JSON.stringify(full),
  );
});

test("§9 detach --netns takes one workload off, and leaves the others in force", async () => {
  await fixture.agent.stop();
  const { code, stderr } = await fixture.agent.command("detach", "--netns", bank.name, ...fixture.agent.pinOptions);
  assert.equal(code, 0, stderr);
  assert.equal((await fixture.run(bank, stranger, ALLOWED)).code, 0);
  assert.equal((await fixture.run(shop, stranger, `timeout 250 ${ALLOWED}`)).code, 3);
});

test("§9 detach --all leaves no trace", async () => {
  await fixture.agent.start();
  const ids = pinnedIds(fixture.agent.pinRoot);
  await fixture.agent.crash();
  const { code, stdout, stderr } = await fixture.agent.command("detach", "--all", ...fixture.agent.pinOptions);
  assert.equal(code, 0, stderr);
  assert.notEqual(stdout, "", "it says what it removed");
  assert.equal(existsSync(fixture.agent.pinRoot), false);
  assert.deepEqual(existsSync(fixture.agent.stateFolder) ? readdirSync(fixture.agent.stateFolder) : [], []);
  // The kernel frees programs a moment after their last reference, and maps a moment after their last program.
  const rest = () => Object.values(living(ids)).flat();
  for (let looks = 0; looks < 50 && rest().length > 0; looks++) await sleep(50);
  assert.deepEqual(rest(), []);
  assert.deepEqual(
    [node, shop, bank].map(({ name }) => networkState(name)),
    pristine,
  );
  for (const place of [shop, bank]) assert.equal((await fixture.run(place, stranger, ALLOWED)).code, 0);
  const again = await fixture.agent.command("detach", "--all", ...fixture.agent.pinOptions);
  assert.equal(again.code, 0, "nothing left is no error");
});

test("§9 outside of the workloads nothing is judged", async () => {
  await fixture.agent.start();
  const mark = fixture.agent.events.mark();
  const running = RunningProcess.in(outside.name, stranger, ["udp4", "sendto", SERVER, "7000", "x", "recv"]);
  assert.equal((await running.finish()).code, 0);
  assert.equal((await fixture.run(node, stranger, `udp4 sendto ${SERVER} 7000 x recv`)).code, 0);
  assert.deepEqual(fixture.agent.events.since(mark, isVerdict), []);
});
