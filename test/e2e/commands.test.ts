/** The commands as a user runs them: run, status, doctor, validate, explain. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { PORTCULLIS } from "./harness/agent-under-test.ts";
import { Fixture } from "./harness/fixture.ts";
import { deadRuns } from "./harness/leftovers.ts";
import { patiently } from "./harness/patience.ts";
import { type Finished, RunningProcess } from "./harness/processes.ts";
import { egress, profile } from "./harness/profiles.ts";
import { networkState } from "./harness/traces.ts";

const SERVER = "198.51.100.1";
const DNS = "198.51.100.53";

/** Where the resolver is for a command that `run` runs. */
const RUN_RESOLVER = "169.254.53.53";

const fixture = await Fixture.start("commands", {
  apps: ["shop"],
  zone: { "www.example.com": { a: [SERVER] } },
  startAgent: false,
});
const { node } = fixture.topology;
const shop = fixture.workload("shop");
const curl = fixture.program("curl", "/usr/bin/curl");
const client = fixture.program("client");
const shopProfile = profile("shop", [
  egress(curl, {
    fqdns: ["www.example.com"],
    cidr4: [`${DNS}/32`, `${RUN_RESOLVER}/32`],
    l4: {
      protocolPorts: [
        { protocol: "udp", port: 53 },
        { protocol: "tcp", port: 80 },
      ],
    },
  }),
  egress(client, { cidr4: [`${SERVER}/32`], l4: { protocolPorts: [{ protocol: "udp", port: 7000 }] } }),
]);
const file = fixture.path("profile.yaml");
writeFileSync(file, JSON.stringify(shopProfile));
writeFileSync(fixture.path("resolv.conf"), `nameserver ${DNS}\noptions timeout:1 attempts:1\n`);

/** A command of Portcullis on the node, whose resolver is the fixture's. */
async function portcullis(...args: string[]): Promise<Finished> {
  const script = `mount --bind ${fixture.path("resolv.conf")} "$(readlink -f /etc/resolv.conf)" && exec "$@"`;
  const command = ["unshare", "--mount", "--propagation", "slave", "sh", "-c", script, "sh", PORTCULLIS, ...args];
  const running = RunningProcess.in(node.name, "env", command);
  return await running.finish(20_000);
}

const pristine = networkState(node.name);

test("run: the command's output and exit status, with names, a way to the outside, and a summary by process", async () => {
  const { code, stdout, stderr } = await portcullis(
    "run",
    "--profile",
    file,
    "--",
    curl,
    "-sS",
    "http://www.example.com/",
  );
  assert.equal(code, 0, stderr + stdout);
  assert.equal(stdout, "hello\n", "standard output is the command's own");
  assert.match(stderr, /ended with exit status 0\./);
  assert.ok(stderr.split("Packets by process")[1]?.includes(curl));
});

test("run: what leaves is the node's own address outside", async () => {
  const tag = fixture.tag();
  const { code, stderr } = await portcullis(
    "run",
    "--profile",
    file,
    "-q",
    "--",
    client,
    ...`udp4 sendto ${SERVER} 7000 ${tag} recv`.split(" "),
  );
  assert.equal(code, 0, stderr);
  assert.deepEqual(
    (await fixture.servers.received(tag)).map(({ from }) => from),
    [node.ipv4],
  );
});

test("run: what the profile does not list is stopped, also for the commands that it starts", async () => {
  const tag = fixture.tag();
  const stranger = fixture.program("stranger");
  const verbs = `timeout 300 udp4 sendto ${SERVER} 7000 ${tag} recv`;
  const command = ["sh", "-c", `${stranger} ${verbs}; exit 7`];
  const events = fixture.path("events.json");
  const { code } = await portcullis("run", "--profile", file, "-o", "json", "--events", events, "--", ...command);
  assert.equal(code, 7);
  assert.deepEqual(await fixture.servers.received(tag), []);
  const text = readFileSync(events, "utf8");
  const lines = text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const dropped = lines.find(({ verdict }) => verdict === "dropped");
  assert.equal(dropped?.reason, "BinaryUnknown");
  const summary = lines.at(-1) as { type: string; exitCode: number; traffic: Record<string, unknown>[] };
  assert.equal(summary.type, "summary");
  assert.equal(summary.exitCode, 7);
  assert.ok(
    summary.traffic.some(({ path, reason }) => path === stranger && reason === "BinaryUnknown"),
    text,
  );
});

test("run: exit statuses of what could not be run: 127 not found, 125 not guarded", async () => {
  const missing = await portcullis("run", "--profile", file, "--", "no-such-command");
  assert.equal(missing.code, 127, missing.stderr);
  writeFileSync(fixture.path("bad.yaml"), JSON.stringify({ ...shopProfile, spec: { actions: ["explode"] } }));
  const bad = await portcullis("run", "--profile", fixture.path("bad.yaml"), "--", client, "print", "ran");
  assert.equal(bad.code, 125);
  assert.match(bad.stderr, /spec\.actions\[0\]/);
  assert.ok(!bad.stdout.includes("ran"));
});

test("run: 128 and the signal's number, for a command that a signal ended", async () => {
  const { code } = await portcullis("run", "--profile", file, "-q", "--", "sh", "-c", "kill -KILL $$");
  assert.equal(code, 137);
});

test("run: leaves nothing behind", async () => {
  assert.deepEqual(await deadRuns(), []);
  assert.equal(networkState(node.name), pristine);
});

test("status: says so where nothing is enforced", async () => {
  const { code, stdout } = await portcullis("status", ...fixture.agent.pinOptions);
  assert.equal(code, 0);
  assert.match(stdout, /nothing is enforced/);
});

test("status: workloads, what they do, and how full the maps are; with and without an agent", async () => {
  await fixture.agent.start({ ready: true });
  await fixture.agent.apply(shopProfile);
  await fixture.passes(shop, client, `udp4 sendto ${SERVER} 7000 TAG recv`);
  const text = await portcullis("status", ...fixture.agent.pinOptions);
  assert.match(text.stdout, new RegExp(`running, pid ${fixture.agent.pid}`));
  assert.match(text.stdout, new RegExp(`default/${shop.name}`));
  assert.match(text.stdout, /default\/shop-profile/);
  assert.ok(text.stdout.includes(client));
  assert.match(text.stdout, /MAP +ENTRIES +SIZE +FULL/);
  assert.equal(text.code, 0);
  const elsewhere = RunningProcess.in(fixture.topology.outside.name, PORTCULLIS, [
    "status",
    ...fixture.agent.pinOptions,
  ]);
  const incomplete = await elsewhere.finish(20_000);
  assert.equal(incomplete.code, 3, "its interfaces cannot be seen from there");
  assert.match(incomplete.stdout, /Problem: +the interfaces are in network namespace \d+, not in this one/);
  await fixture.agent.crash();
  const { stdout } = await portcullis("status", "-o", "json", ...fixture.agent.pinOptions);
  const status = JSON.parse(stdout) as {
    agentPid: number | null;
    workloads: { name: string; interfaces: { name: string; attached: boolean }[]; profiles: string[] }[];
    maps: { name: string; entries: number; maxEntries: number }[];
  };
  assert.equal(status.agentPid, null);
  assert.deepEqual(
    status.workloads.map(({ name, profiles }) => ({ name, profiles })),
    [{ name: shop.name, profiles: ["default/shop-profile"] }],
  );
  assert.equal(status.workloads[0]?.interfaces[0]?.attached, true);
  const flows = status.maps.find(({ name }) => name === "flows");
  assert.ok(flows !== undefined && flows.entries >= 1 && flows.maxEntries >= 65_536);
});

test("status: a listed path that nothing was seen of, and the one that was probably meant", async () => {
  await fixture.agent.start({ ready: true });
  const mistyped = { ...egress(client, {}), path: `${client}t` };
  await fixture.agent.apply(profile("shop", [mistyped, egress(curl, {})]));
  await fixture.stops(shop, client, `udp4 sendto ${SERVER} 7000 TAG recv`, { reason: "BinaryUnknown" });
  const { stdout } = await portcullis("status", ...fixture.agent.pinOptions);
  assert.ok(stdout.includes(`Unseen:      ${client}t: no process of this file runs here`), stdout);
  assert.ok(stdout.includes(`did you mean ${client}, which has?`), stdout);
  await fixture.agent.apply(shopProfile);
  await fixture.passes(shop, client, `udp4 sendto ${SERVER} 7000 TAG recv`);
  const listed = JSON.parse((await portcullis("status", "-o", "json", ...fixture.agent.pinOptions)).stdout);
  assert.deepEqual(
    listed.workloads[0].unseen.filter((entry: { listed: string }) => entry.listed === client),
    [],
  );
});

test("status: a workload whose programs were taken off is not shown as guarded", async () => {
  const attached = JSON.parse((await portcullis("status", "-o", "json", ...fixture.agent.pinOptions)).stdout);
  assert.equal(attached.workloads[0].interfaces[0].attached, true);
  await fixture.agent.remove();
  const gone = await portcullis("status", ...fixture.agent.pinOptions);
  assert.doesNotMatch(gone.stdout, /State: +enforced/);
});

test("doctor: what this kernel offers, what is missing, and what follows from that", async () => {
  const { code, stdout, stderr } = await portcullis("doctor");
  assert.equal(code, 0, stderr);
  for (const feature of ["classifiers", "cgroup-hooks", "raw-tracepoints", "ring-buffer", "kprobes"]) {
    assert.match(stdout, new RegExp(`(ok|without|missing) +${feature} `));
  }
  for (const line of stdout.split("\n").filter((text) => text.startsWith("without"))) assert.ok(line.length > 30, line);
  assert.match(stdout, /can enforce profiles/);
  const json = JSON.parse((await portcullis("doctor", "-o", "json")).stdout) as { canEnforce: boolean };
  assert.equal(json.canEnforce, true);
});

test("validate: exit status 0 for what can be applied, 1 for an error, which it places", async () => {
  assert.equal((await portcullis("validate", file)).code, 0);
  const bad = await portcullis("validate", fixture.path("bad.yaml"));
  assert.equal(bad.code, 1);
  assert.match(bad.stdout + bad.stderr, /spec\.actions\[0\]/);
});

test("explain: says what the kernel does", async () => {
  await fixture.agent.start({ ready: false });
  await fixture.agent.events.waitFor("ready", ({ type }) => type === "ready", { timeout: 60_000 });
  const cases = [
    { path: client, verbs: `udp4 sendto ${SERVER} 7000 x recv`, to: `${SERVER}:7000/udp` },
    { path: client, verbs: `udp4 sendto ${SERVER} 7001 x recv`, to: `${SERVER}:7001/udp` },
    { path: client, verbs: `tcp4 connect ${SERVER} 7000`, to: `${SERVER}:7000/tcp` },
    { path: fixture.program("stranger"), verbs: `udp4 sendto ${SERVER} 7000 x recv`, to: `${SERVER}:7000/udp` },
  ];
  for (const { path, verbs, to } of cases) {
    const question = ["--profiles", file, "--label", "app=shop", "--process", path, "--to", to];
    const { code, stdout, stderr } = await portcullis("explain", ...question);
    const kernel = (await fixture.run(shop, path, `timeout ${patiently(250)} ${verbs}`)).code;
    assert.equal(code === 0, kernel === 0, `${path} ${to}: ${stdout}${stderr}`);
  }
});

test("agent: wrong usage is exit status 2, and one that cannot start ends with 1", async () => {
  assert.equal((await portcullis("agent", "--netns", "x")).code, 2);
  await fixture.agent.crash();
  const running = RunningProcess.in(
    node.name,
    PORTCULLIS,
    ["agent", "--profiles", fixture.folder, "--netns", `${shop.name}:app=shop`, ...fixture.agent.pinOptions],
    { environment: { ...process.env, PORTCULLIS_OBJECTS: fixture.path("nowhere") } },
  );
  const { code, stderr } = await running.finish(10_000);
  assert.equal(code, 1);
  assert.match(stderr, /PC_OBJECTS_MISSING/);
});

test("agent: a folder of profiles that is not there is a usage error", async () => {
  const absent = fixture.path("absent");
  const pins = ["--pin-root", `/sys/fs/bpf/${fixture.tag()}`, "--state-dir", fixture.path("no-agent")];
  const { code, stderr } = await portcullis("agent", "--profiles", absent, "--netns", "shop:app=shop", ...pins);
  assert.equal(code, 2, stderr);
  assert.ok(stderr.includes(`cannot read ${absent}`), stderr);
});
