/**
 * `portcullis observe`: what really happened is found again, live and later, by every filter and in every format; wrong questions are refused;
 * what is missing is said.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { AgentEvent, VerdictEvent } from "../../src/flow/record.ts";
import { checkEvent } from "../../src/flow/schema.ts";
import { PORTCULLIS } from "./harness/agent-under-test.ts";
import { Fixture } from "./harness/fixture.ts";
import { patiently } from "./harness/patience.ts";
import { type Finished, RunningProcess } from "./harness/processes.ts";
import { egress, ingress, profile } from "./harness/profiles.ts";

const SERVER = "198.51.100.1";
const DNS = "198.51.100.53";

const fixture = await Fixture.start("observe", {
  apps: ["shop", "bank"],
  startAgent: false,
  zone: { "www.example.com": { a: [SERVER] } },
  profiles: (fixture) =>
    ["shop", "bank"].map((app) =>
      profile(
        app,
        [
          egress(fixture.program("asker"), {
            cidr4: [`${DNS}/32`, `${fixture.workload("bank").ipv4}/32`],
            fqdns: ["www.example.com"],
            l4: { protocols: ["udp", "tcp"] },
          }),
          ingress(fixture.program("vault"), {
            cidr4: [`${fixture.workload("shop").ipv4}/32`],
            l4: { protocolPorts: [{ protocol: "tcp", port: 8080 }] },
          }),
        ],
        { actions: ["alert", "enforce", "trace-dns"] },
      ),
    ),
});
const shop = fixture.workload("shop");
const bank = fixture.workload("bank");
const asker = fixture.path("bin", "asker");
const stranger = fixture.program("stranger");
const socket = join(fixture.agent.stateFolder, "observe.sock");
const folder = join(fixture.agent.stateFolder, "records");

async function observe(...args: string[]): Promise<Finished> {
  return await fixture.agent.command("observe", "--server", socket, ...args);
}

async function observed(...args: string[]): Promise<VerdictEvent[]> {
  const { code, stdout, stderr } = await observe(...args, "-o", "json");
  assert.deepEqual([code, stderr], [0, ""]);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => checkEvent(JSON.parse(line)) as VerdictEvent);
}

function portsOf(records: readonly VerdictEvent[]): (number | undefined)[] {
  return records.map(({ dst }) => dst.port);
}

/** Asks until there is what a test waits for: the agent reads the kernel's events at its own pace. */
async function observedOnce(count: number, ...args: string[]): Promise<VerdictEvent[]> {
  for (const end = performance.now() + patiently(20_000); ; await sleep(100)) {
    const records = await observed(...args);
    if (records.length >= count || performance.now() > end) return records;
  }
}

const exported = fixture.path("exported", "refused.json");
const exportsFile = fixture.path("exports.yaml");
const refusedOnly = {
  name: "refused",
  allow: [{ type: ["verdict"], verdict: ["dropped"] }],
  fields: ["workload.name", "dst.port", "node"],
};
writeFileSync(exportsFile, JSON.stringify({ exports: [{ ...refusedOnly, file: { path: exported } }] }));
await fixture.agent.start({ args: ["--exports", exportsFile] });
await fixture.passes(shop, asker, `udp4 connect ${DNS} 53 ask www.example.com A tcp4 connect ${SERVER} 80 send x`);
const vault = fixture.start(bank, fixture.path("bin", "vault"), "tcp4 bind 0.0.0.0 8080 listen echo");
await vault.line("listening");
await fixture.passes(shop, asker, `tcp4 connect ${bank.ipv4} 8080 send x recv`);
await vault.kill();
await fixture.run(shop, stranger, `timeout 100 udp4 sendto ${SERVER} 7000 x recv`);
await fixture.run(bank, stranger, `timeout 100 tcp4 connect ${SERVER} 4433`);

test("learn and replay ask the same agent: the profile of what was recorded refuses none of it", async () => {
  await observedOnce(1, "--all", "--to-fqdn", "*.example.com", "--protocol", "tcp");
  const learned = await fixture.agent.command("learn", shop.name, "--server", socket, "--resolver", DNS);
  assert.equal(learned.code, 0, learned.stderr);
  assert.match(learned.stdout, new RegExp(`- path: ${asker}\\n(.*\\n)*.*- www\\.example\\.com # once`));
  assert.doesNotMatch(learned.stdout, new RegExp(`path: ${stranger}`));
  const file = fixture.path("learned.yaml");
  writeFileSync(file, learned.stdout);
  const replayed = await fixture.agent.command("replay", shop.name, "-f", file, "--server", socket, "--resolver", DNS);
  assert.equal(replayed.code, 0, replayed.stdout + replayed.stderr);
  const nobody = await fixture.agent.command("learn", "--server", fixture.path("nobody.sock"));
  assert.equal(nobody.code, 2, nobody.stderr);
});

test("who talked to whom: the connection, its question, and what was refused, each by filters of its own", async () => {
  const [connection] = await observedOnce(1, "--all", "--to-fqdn", "*.example.com", "--protocol", "tcp");
  assert.equal(connection?.verdict, "allowed");
  assert.deepEqual(connection?.dst, { ip: SERVER, port: 80, name: "www.example.com" });
  assert.equal(connection?.process?.path, asker);
  assert.equal(connection?.workload.name, shop.name);
  assert.match(connection?.node ?? "", /./);
  const questions = await observedOnce(2, "--all", "--type", "dns", "--fqdn", "www.example.com");
  assert.deepEqual(
    questions.map(({ direction, dns }) => [direction, dns?.name, dns?.rcode]),
    [
      ["egress", "www.example.com", undefined],
      ["ingress", "www.example.com", "NOERROR"],
    ],
  );
  const refused = await observedOnce(2, "--all", "--type", "verdict", "--verdict", "dropped", "--process", "stranger");
  assert.deepEqual(
    refused.map(({ workload, proto, dst, reason }) => [workload.name, proto, dst.port, reason]),
    [
      [shop.name, "udp", 7000, "BinaryUnknown"],
      [bank.name, "tcp", 4433, "BinaryUnknown"],
    ],
  );
  const of = async (...args: string[]) =>
    portsOf(await observed("--all", "--type", "verdict", "--verdict", "dropped", ...args));
  assert.deepEqual(await of("--from-pod", bank.name), [4433]);
  assert.deepEqual(await of("--label", "app=shop"), [7000]);
  assert.deepEqual(await of("--to-port", "7000-7001"), [7000]);
  assert.deepEqual(await of("--to-ip", "198.51.100.0/24", "--not", "--protocol", "udp"), [4433]);
  assert.deepEqual(await of("--not", "--pod", "default/"), []);
  assert.deepEqual(await of("--profile", "default/bank-profile"), [4433]);
  assert.deepEqual(await of("--namespace", "other"), []);
  assert.deepEqual(await of("--until", "1h"), []);
  assert.deepEqual(
    portsOf(await observed("--type", "verdict", "--verdict", "dropped", "--since", "1h", "--first", "1")),
    [7000],
  );
  assert.deepEqual(await of("--ip", SERVER, "--ip", "2001:db8::/32", "--reason", "BinaryUnknown"), [7000, 4433]);
  assert.equal((await observed("--last", "1", "--type", "verdict", "--verdict", "dropped"))[0]?.dst.port, 4433);
});

test("questions with a name are answered from what really happened", async () => {
  await observedOnce(1, "--all", "--from-pod", shop.name, "--to-port", "8080");
  await observedOnce(1, "--all", "--to-pod", bank.name, "--to-port", "8080");
  // When the connection has ended, both ends have records of its volume.
  await observedOnce(2, "--all", "--type", "flow", "--to-port", "8080");
  const ask = async (...args: string[]) => {
    const { code, stdout, stderr } = await fixture.agent.command(...args, "--server", socket, "-o", "json");
    return {
      code,
      stderr,
      rows: stdout
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line)),
    };
  };
  const end = ({ name, process }: { name: string; process: string }) => ({
    workload: { namespace: "default", name },
    process,
  });
  const users = await ask("who", bank.name);
  assert.deepEqual([users.code, users.rows.length], [0, 1], users.stderr);
  const { client, server, port, verdict, flows, bytes } = users.rows[0];
  assert.ok(bytes.sent > 100 && bytes.received > 100, JSON.stringify(bytes));
  assert.deepEqual(client, end({ name: shop.name, process: asker }));
  assert.deepEqual(server, {
    ...end({ name: bank.name, process: fixture.path("bin", "vault") }),
    addresses: [bank.ipv4],
  });
  assert.deepEqual([port, verdict, flows], [8080, "allowed", 1]);
  const others = await ask("who", "www.example.com", "--without");
  assert.deepEqual(others.rows, [{ namespace: "default", name: bank.name }]);
  assert.equal((await ask("who", "www.example.org")).code, 1);
  const names = await ask("top", "names", "--by", "process");
  const www = names.rows.find(({ name }) => name === "www.example.com");
  assert.deepEqual(www, {
    process: asker,
    name: "www.example.com",
    flows: 1,
    questions: 1,
    bytes: www?.bytes,
    violations: 0,
  });
  const errors = await ask("top", "errors", "--by", "pod", "--pod", bank.name);
  assert.deepEqual(
    errors.rows.map(({ pod, error, peer, service }) => [pod, error, peer, service]),
    [[`default/${bank.name}`, "dropped BinaryUnknown", SERVER, "4433/tcp"]],
  );
  const down = await ask("deps", `default/${shop.name}`, "--down");
  const reached = down.rows.map(({ server: to }) => to.workload?.name ?? to.name ?? to.addresses[0]);
  assert.deepEqual(new Set(reached), new Set([bank.name, "www.example.com", DNS, SERVER]));
  const up = await ask("deps", bank.name, "--up");
  assert.deepEqual(
    up.rows.map(({ client: from }) => from.workload.name),
    [shop.name],
  );
  const groups = await ask("observe", "--group-by", "pod,reason", "--type", "verdict", "--verdict", "dropped");
  assert.deepEqual(
    groups.rows.map(({ pod, reason }) => [pod, reason]).sort(),
    [bank, shop].map(({ name }) => [`default/${name}`, "BinaryUnknown"]).sort(),
  );
  const slow = await ask("slow", shop.name, "--to-port", "8080");
  const { waited, served } = slow.rows[0];
  assert.equal(waited.count, 1);
  assert.ok(served.sumNs > 0 && waited.sumNs >= served.sumNs, JSON.stringify(slow.rows));
});

test("an export to a file has the records that it is to have, with the fields that it is to have", async () => {
  const lines = () => (existsSync(exported) ? readFileSync(exported, "utf8").split("\n").slice(0, -1) : []);
  for (const end = performance.now() + patiently(10_000); lines().length < 2 && performance.now() < end; ) {
    await sleep(100);
  }
  const [{ node } = {}] = await observed("--last", "1");
  assert.deepEqual(
    lines().map((line) => JSON.parse(line) as unknown),
    [
      { workload: { name: shop.name }, dst: { port: 7000 }, node },
      { workload: { name: bank.name }, dst: { port: 4433 }, node },
    ],
  );
  writeFileSync(exportsFile, "exports: [{ name: refused }]");
  const wrong = await fixture.agent.command("agent", "--profiles", "/x", "--netns", "x:a=b", "--exports", exportsFile);
  assert.deepEqual([wrong.code, /exports\.0 must have .*PC_EXPORTS_INVALID/s.test(wrong.stderr)], [2, true]);
});

test("records outlive the agent: killed, and started again, it answers about what was before", async () => {
  const before = await observed("--all", "--type", "verdict", "--verdict", "dropped", "--process", "stranger");
  await sleep(1000);
  await fixture.agent.crash();
  const { code, stderr } = await observe("--all");
  assert.equal(code, 2);
  assert.match(
    stderr,
    /no answer about records from .*observe\.sock: the agent that made it does not run any more .*PC_OBSERVE_SERVER/,
  );
  await fixture.agent.start();
  const after = await observedOnce(
    before.length,
    "--all",
    "--type",
    "verdict",
    "--verdict",
    "dropped",
    "--process",
    "stranger",
  );
  assert.deepEqual(after, before);
});

test("--follow shows what happens, as it happens, and nothing from before", async () => {
  const follower = RunningProcess.in(fixture.topology.node.name, PORTCULLIS, [
    ...["observe", "--server", socket, "--follow", "--to-port", "7100-7199", "-o", "json"],
  ]);
  let text = "";
  follower.child.stdout?.on("data", (data) => {
    text += String(data);
  });
  const seen = () =>
    text
      .trimEnd()
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as VerdictEvent);
  for (const end = performance.now() + patiently(20_000); seen().length < 3 && performance.now() < end; ) {
    await fixture.run(
      shop,
      stranger,
      `timeout 50 udp4 sendto ${SERVER} ${7100 + (Math.floor(performance.now()) % 100)} x recv`,
    );
  }
  assert.ok(seen().length >= 3, text);
  assert.ok(seen().every(({ dst }) => (dst.port ?? 0) >= 7100));
  follower.child.kill("SIGINT");
  assert.equal((await follower.finish()).code, 0);
});

test("every format has the record", async () => {
  const args = ["--all", "--type", "verdict", "--verdict", "dropped", "--pod", bank.name];
  const [record] = await observed(...args);
  assert.ok(record !== undefined);
  const output = async (format: string) => (await observe(...args, "-o", format)).stdout;
  const line = `${bank.name} ${stranger}[${record.process?.pid}] → ${SERVER}:4433/tcp: dropped BinaryUnknown default/bank-profile`;
  assert.ok(
    (await output("compact")).startsWith(record.time) && (await output("compact")).includes(line),
    await output("compact"),
  );
  assert.match(
    await output("dict"),
    new RegExp(`^TIME: +${record.time}\n[\\s\\S]*\nDESTINATION: +${SERVER}:4433\n[\\s\\S]*VERDICT: +dropped\n`),
  );
  assert.match(await output("table"), new RegExp(`TIME +VERDICT +WORKLOAD .*\n.* dropped +${bank.name} +${stranger}`));
  const { time, judgement } = JSON.parse(await output("jsonpb")) as {
    time: string;
    judgement: { destination: { port: number } };
  };
  assert.equal(BigInt(time) / 1_000_000n, BigInt(Date.parse(record.time)));
  assert.equal(judgement.destination.port, 4433);
});

test("a file of records is asked as the agent is; one that is cut off, or another's, is refused by its line", async () => {
  const { stdout } = await observe("--all", "-o", "json");
  const file = fixture.path("records.json");
  writeFileSync(file, stdout);
  const fromFile = async (...args: string[]) => await fixture.agent.command("observe", "--input-file", file, ...args);
  assert.equal((await fromFile("-o", "json")).stdout, stdout);
  const filtered = await fromFile(
    "--type",
    "verdict",
    "--verdict",
    "dropped",
    "--pod",
    bank.name,
    "-o",
    "json",
    "--last",
    "1",
  );
  assert.equal((JSON.parse(filtered.stdout) as VerdictEvent).dst.port, 4433);
  writeFileSync(file, stdout.slice(0, -10));
  const count = stdout.split("\n").length - 1;
  const cut = await fromFile();
  assert.deepEqual([cut.code, cut.stderr.includes(`${file}, line ${count}: it is cut off`)], [2, true], cut.stderr);
  writeFileSync(file, `${stdout}{"type":"flower"}\n`);
  const foreign = await fromFile();
  assert.deepEqual(
    [foreign.code, foreign.stderr.includes(`${file}, line ${count + 1}: type: is none`)],
    [2, true],
    foreign.stderr,
  );
  const absent = await fixture.agent.command("observe", "--input-file", "/no/such/file");
  assert.deepEqual(
    [absent.code, /cannot read \/no\/such\/file: no such file/.test(absent.stderr)],
    [2, true],
    absent.stderr,
  );
});

test("a wrong filter, time or count is refused by its name", async () => {
  const wrong: [string[], RegExp][] = [
    [["--port", "http"], /the filter port cannot be "http"/],
    [["--verdict", "denied"], /the filter verdict cannot be "denied": there are allowed,/],
    [["--since", "yesterday"], /"yesterday" is not a moment/],
    [["--since", "1m", "--until", "2m"], /--since .* is later than --until/],
    [["--last", "0"], /whole\s+number/],
    [["--last", "5", "--first", "5"], /cannot be used with/],
    [["--not", "--not", "--port", "80"], /--not: a filter has to follow/],
    [["--port", "80", "--not"], /--not: a filter has to follow/],
    [["--group-by", "colour"], /--group-by colour: there are type, node,/],
    [["--group-by", "pod", "-o", "dict"], /-o dict: groups are printed as compact, table, json/],
    [["--top", "5"], /--top: of which groups/],
    [["--pod", "x", "--fqdn", "y"], /beside pod, say which end each is of/],
    [["-o", "xml"], /compact, dict, json, jsonpb, table/],
  ];
  for (const [args, message] of wrong) {
    const { code, stderr } = await observe(...args);
    assert.deepEqual([code, message.test(stderr)], [2, true], `${args.join(" ")}: ${stderr}`);
  }
});

test("damaged and lost records: the rest is answered, exit status 3, and status has it", async () => {
  await fixture.agent.stop();
  const [file = ""] = readdirSync(folder)
    .filter((name) => name.endsWith(".zst"))
    .sort();
  const bytes = readFileSync(join(folder, file));
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 20) ^ 0xff, bytes.length - 20);
  writeFileSync(join(folder, file), bytes);
  await fixture.agent.start();
  const { code, stderr } = await observe("--all");
  assert.equal(code, 3);
  assert.match(stderr, /incomplete: 1 segments of this time are damaged/);
  const isSaid = () => fixture.agent.diagnostics.includes("is damaged, and set aside as");
  for (const end = performance.now() + patiently(5000); !isSaid() && performance.now() < end; ) await sleep(50);
  assert.ok(isSaid());
  const status = await fixture.agent.command("status", ...fixture.agent.pinOptions);
  assert.match(status.stdout, /Records: +[\d.]+.* in \d+ segments, 1 of them damaged/);
  // What is lost at the kernel's ring buffer is a record too.
  const lost = { time: new Date().toISOString(), type: "lost", where: "kernel", count: 7 } satisfies AgentEvent;
  const fromFile = fixture.path("lost.json");
  writeFileSync(fromFile, `${JSON.stringify(lost)}\n`);
  const answer = await fixture.agent.command(
    "observe",
    "--input-file",
    fromFile,
    "--type",
    "verdict",
    "--verdict",
    "dropped",
  );
  assert.deepEqual([answer.code, answer.stdout], [3, ""]);
  assert.match(answer.stderr, /incomplete: 7 events of this time were lost/);
});

test("detach takes the records away, unless they are to be kept", async () => {
  await fixture.agent.stop();
  assert.equal((await fixture.agent.command("detach", "--all", "--keep-records", ...fixture.agent.pinOptions)).code, 0);
  assert.ok(statSync(folder).isDirectory());
  assert.equal((await fixture.agent.command("detach", "--all", ...fixture.agent.pinOptions)).code, 0);
  assert.equal(existsSync(fixture.agent.stateFolder), false);
});
