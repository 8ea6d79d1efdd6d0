/**
 * `portcullis run --learn`: what a command did with real programs is learned, and enforced on the next run without one drop; what comes
 * beside it then is stopped.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { PORTCULLIS } from "./harness/agent-under-test.ts";
import { Fixture } from "./harness/fixture.ts";
import { type Finished, RunningProcess } from "./harness/processes.ts";
import { nginxArguments } from "./software/nginx.ts";

const [SERVER, OTHER, ADDRESS, DNS] = ["198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.53"] as const;
const NODE = process.execPath;
const PYTHON = "/usr/bin/python3";

const fixture = await Fixture.start("learn", {
  apps: [],
  zone: {
    "alias.example.com": { a: [SERVER] },
    "www.example.com": { a: [SERVER] },
    "api.example.com": { a: [OTHER] },
    "text.example.com": { txt: "hello" },
  },
  startAgent: false,
});
const { node, outside } = fixture.topology;
writeFileSync(fixture.path("resolv.conf"), `nameserver ${DNS}\nsearch corp.example\noptions timeout:2 attempts:2\n`);
/** The servers of the tests answer HTTP at ports 80 and 8080. */
const WORK = [
  "curl -sS http://www.example.com/ http://api.example.com:8080/",
  `curl -sS http://${ADDRESS}:8080/`,
  "dig +short text.example.com TXT",
  `${NODE} -e 'fetch("http://api.example.com/").then((answer) => answer.text()).then((text) => process.stdout.write(text))'`,
  `${PYTHON} -c 'import urllib.request; print(urllib.request.urlopen("http://www.example.com:8080/").read().decode(), end="")'`,
].join(" && ");

/** `run` on the node, whose resolver is the fixture's. */
function start(...args: string[]): RunningProcess {
  const script = `mount --bind ${fixture.path("resolv.conf")} "$(readlink -f /etc/resolv.conf)" && exec "$@"`;
  const command = [
    "unshare",
    "--mount",
    "--propagation",
    "slave",
    "sh",
    "-c",
    script,
    "sh",
    PORTCULLIS,
    "run",
    ...args,
  ];
  return RunningProcess.in(node.name, "env", command);
}

const run = (...args: string[]): Promise<Finished> => start(...args).finish(40_000);

interface Summary {
  exitCode: number;
  traffic: { path: string | null; verdict: string; reason: string; packets: number }[];
}

/** Enforces a learned profile. @returns what the kernel counted, and the exit status */
async function enforced(profile: string, command: readonly string[]): Promise<Summary & Finished> {
  const events = fixture.path("enforced.json");
  const finished = await run("--profile", profile, "-o", "json", "--events", events, "--", ...command);
  const lines = readFileSync(events, "utf8").trim().split("\n");
  return { ...finished, ...(JSON.parse(lines.at(-1) ?? "{}") as Summary) };
}

const stopped = ({ traffic }: Summary) => traffic.filter(({ verdict }) => verdict !== "allowed");
/** Neighbour discovery and the like, which are of no process. */
const ofProcesses = (summary: Summary) => stopped(summary).filter(({ path }) => path !== null);

const learned = fixture.path("learned.yaml");

test("what programs did is learned, with names, and enforced on the next run without a drop", async () => {
  const first = await run("--learn", learned, "--", "sh", "-c", WORK);
  assert.equal(first.code, 0, first.stderr);
  assert.equal(first.stdout.match(/hello/g)?.length, 6, first.stdout);
  const text = readFileSync(learned, "utf8");
  for (const name of ["www.example.com", "api.example.com", "text.example.com"])
    assert.match(text, new RegExp(`- ${name} #`));
  assert.match(text, /- resolver #/);
  assert.doesNotMatch(text, /corp\.example|198\.51\.100\.[12]\/|169\.254/, "no expansions, no addresses of names");
  const valid = await RunningProcess.in(node.name, PORTCULLIS, ["validate", "--strict", learned]).finish(20_000);
  assert.equal(valid.code, 0, valid.stdout);

  const second = await enforced(learned, ["sh", "-c", WORK]);
  assert.equal(second.code, 0, second.stderr);
  assert.equal(second.stdout, first.stdout);
  assert.deepEqual(stopped(second), []);
  assert.ok(second.traffic.length > 4);
});

const BASH = realpathSync("/bin/bash");
const SHELL_CONNECTS = `exec 3<>/dev/tcp/${SERVER}/80; printf "GET / HTTP/1.0\\r\\n\\r\\n" >&3; read -r line <&3; echo "$line"`;

test("under what was learned, a shell, a second binary and another name of a known program are stopped", async () => {
  const copy = fixture.program("curl", "/usr/bin/curl");
  const attacks = [
    `timeout 2 ${BASH} -c '${SHELL_CONNECTS}'`,
    `${copy} -sS --max-time 1 http://www.example.com/`,
    "curl -sS --max-time 1 http://text.example.com/",
    "curl -sS --max-time 1 http://evil.example/",
  ];
  const { stdout, ...summary } = await enforced(learned, [
    "sh",
    "-c",
    `${attacks.join("; ")}; curl -sS http://www.example.com/`,
  ]);
  assert.equal(stdout, "hello\n", "what was learned goes on");
  const seen = new Set(ofProcesses(summary).map(({ path, reason, verdict }) => `${path} ${reason} ${verdict}`));
  for (const path of [BASH, copy]) assert.ok(seen.has(`${path} BinaryUnknown dropped`), [...seen].join(", "));
  assert.ok(seen.has(`${realpathSync("/usr/bin/curl")} DnsName dropped`), [...seen].join(", "));
});

test("an attack that runs while learning is not learned, but listed; who asks for it has it learned", async () => {
  const command = ["sh", "-c", `${BASH} -c '${SHELL_CONNECTS}' && curl -sS http://www.example.com/`];
  const attacked = fixture.path("attacked.yaml");
  const first = await run("--learn", attacked, "--", ...command);
  assert.match(first.stdout, /HTTP\/1\.1 200 OK/, first.stderr);
  const text = readFileSync(attacked, "utf8");
  assert.match(
    text,
    new RegExp(`# Left out:\n#   ${BASH}, a shell, started by \\S+ .*\n#     connects to ${SERVER}, tcp 80: once`),
  );
  assert.doesNotMatch(text, new RegExp(`path: ${BASH}`));
  const second = await enforced(attacked, ["timeout", "3", ...command]);
  assert.doesNotMatch(second.stdout, /200 OK/);
  assert.deepEqual(
    [...new Set(ofProcesses(second).map(({ path, reason }) => `${path} ${reason}`))],
    [`${BASH} BinaryUnknown`],
  );

  const included = fixture.path("included.yaml");
  await run("--learn", included, "--include", BASH, "--", ...command);
  const third = await enforced(included, command);
  assert.match(third.stdout, /200 OK/);
  assert.deepEqual(stopped(third), []);
});

test("two names of one address are both learned: the one that comes second may come alone", async () => {
  const aliases = fixture.path("aliases.yaml");
  const both = ["curl", "-sS", "http://www.example.com/", "http://alias.example.com:8080/"];
  const first = await run("--learn", aliases, "--", ...both);
  assert.equal(first.stdout, "hello\nhello\n", first.stderr);
  const second = await enforced(aliases, ["curl", "-sS", "http://alias.example.com:8080/"]);
  assert.equal(second.stdout, "hello\n", readFileSync(aliases, "utf8"));
  assert.deepEqual(stopped(second), []);
});

const NGINX = "/usr/sbin/nginx";
const skip = !existsSync(NGINX) && "nginx is not installed here";

test("a web server with workers: its port is learned for whom it is published to", { skip }, async () => {
  mkdirSync(fixture.path("www"));
  writeFileSync(fixture.path("www", "index.html"), "served\n");
  const served = `root ${fixture.path("www")}; location /api { proxy_pass http://${OTHER}:80; }`;
  const options = nginxArguments(fixture, `listen 8080; ${served}`);
  const server = ["sh", "-c", `echo ready; exec ${NGINX} ${options.join(" ")}`];
  const serve = async (...args: string[]) => {
    const running = start(...args, "--publish", "18080:8080", "--", ...server);
    await running.line("ready", 30_000);
    const pages = await Promise.all(["/", "/api", "/"].map(page));
    running.child.kill("SIGTERM");
    return { pages, ...(await running.finish(40_000)) };
  };
  const profile = fixture.path("nginx.yaml");
  const first = await serve("--learn", profile);
  assert.deepEqual(first.pages, ["served\n", "hello\n", "served\n"], first.stderr);
  assert.match(readFileSync(profile, "utf8"), /- 0\.0\.0\.0\/0 # 3 times, .*; for 203\.0\.113\.2\n/);
  const events = fixture.path("nginx.json");
  const second = await serve("--profile", profile, "-o", "json", "--events", events);
  assert.deepEqual(second.pages, first.pages, second.stderr);
  const summary = JSON.parse(readFileSync(events, "utf8").trim().split("\n").at(-1) ?? "") as Summary;
  assert.deepEqual(stopped(summary), []);
});

test("a script is learned as itself, with all its questions, and its interpreter not at all", async () => {
  const interpreter = realpathSync(PYTHON);
  const script = fixture.path("script");
  const lines = [`#!${interpreter}`, "import urllib.request", 'urllib.request.urlopen("http://www.example.com/")', ""];
  writeFileSync(script, lines.join("\n"), { mode: 0o755 });
  const ofScript = fixture.path("script.yaml");
  const first = await run("--learn", ofScript, "--", script);
  assert.equal(first.code, 0, first.stderr);
  const paths = [...readFileSync(ofScript, "utf8").matchAll(/- path: (\S+)/g)].map(([, path]) => path);
  assert.deepEqual(paths, [script]);
  const second = await enforced(ofScript, [script]);
  assert.equal(second.code, 0, second.stderr);
  assert.deepEqual(stopped(second), []);
});

/** What a client outside gets, once the server listens. */
async function page(path: string): Promise<string> {
  const patience = ["--retry", "9", "--retry-connrefused", "--retry-delay", "1", "--max-time", "5"];
  const url = `http://${node.ipv4}:18080${path}`;
  return (await RunningProcess.in(outside.name, "/usr/bin/curl", ["-sS", ...patience, url]).finish(60_000)).stdout;
}

test("more than can be reported is not learned in silence: the profile says how much is missing", async () => {
  const flood = `
import socket
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in range(1, 20001):
    sender.sendto(b"x", ("${ADDRESS}", port))
`;
  const { stderr } = await run("--learn", "--", PYTHON, "-c", flood);
  const [, lost = "0"] = /^# Incomplete: (\d+) records were lost/m.exec(stderr) ?? [];
  assert.ok(Number(lost) > 1000, stderr.slice(0, 1000));
});

test("the learned profile as data, its records for later, and what is not allowed on the command line", async () => {
  const events = fixture.path("records.json");
  const { stderr, code } = await run(
    "--learn",
    "-o",
    "json",
    "--events",
    events,
    "--",
    "dig",
    "+short",
    "text.example.com",
    "TXT",
  );
  assert.equal(code, 0, stderr);
  const { profile, coverage } = JSON.parse(stderr) as {
    profile: { spec: { processes: object[] } };
    coverage: { lost: number };
  };
  assert.equal(profile.spec.processes.length, 1);
  assert.equal(coverage.lost, 0);
  const kinds = readFileSync(events, "utf8")
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as { type: string }).type);
  assert.ok(kinds.includes("dns") && kinds.includes("verdict"), kinds.join());
  for (const [args, message] of [
    [["--learn", learned, "--", "true"], /is there already/],
    [["--learn", "--profile", learned, "--", "true"], /cannot be used with option/],
    [["--", "true"], /--profile, or --learn one/],
    [["--learn", "--generalize", "everything", "--", "true"], /write names, addresses, or both/],
  ] as const) {
    const refused = await run(...args);
    assert.equal(refused.code, 2, refused.stderr);
    assert.match(refused.stderr, message);
  }
});
