/** `observe` with a kubectl that answers as the API server and the operator would. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

const folder = mkdtempSync(join(tmpdir(), "pc-ko-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const observing = (notes: string[] = []) => ({
  type: "observing",
  time: "2026-01-01T00:00:00.000Z",
  namespace: "web",
  pod: "web-0",
  node: "node-1",
  profiles: ["web/shop"],
  actions: ["alert", "enforce"],
  notes,
});
const verdict = (port: number, path = "/bin/shop") => ({
  time: "2026-01-01T00:00:00.000Z",
  type: "verdict",
  verdict: "dropped",
  reason: "Peer",
  direction: "egress",
  workload: { namespace: "web", name: "web-0", labels: {} },
  profiles: ["web/shop"],
  process: { path },
  proto: "tcp",
  src: { ip: "10.0.0.1", port: 1 },
  dst: { ip: "192.0.2.1", port },
  count: 1,
});
const ended = (again: boolean) => ({ type: "end", time: "", message: "the operator ends", again });

interface Answers {
  /** Lines of each stream in turn; the last stays open. */
  streams: object[][];
  /** In place of a token. */
  noToken?: string;
  /** In place of a stream. */
  refusal?: string;
}

/** A folder with a `kubectl` of these answers, which keeps what it was asked. */
function kubectl({ streams, noToken = "", refusal = "" }: Answers): string {
  const bin = mkdtempSync(join(folder, "bin-"));
  streams.forEach((lines, index) => {
    writeFileSync(join(bin, `stream${index}`), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  });
  writeFileSync(join(bin, "no-token"), noToken);
  writeFileSync(join(bin, "refusal"), refusal);
  const script = `#!/bin/sh
cd "${bin}"
echo "$*" >> asked
case "$*" in
  *"config view"*) printf web;;
  *"create token"*) [ -s no-token ] && { cat no-token >&2; exit 1; }; echo the-token;;
  *"create --raw"*)
    cat >> posted
    [ -s refusal ] && { cat refusal >&2; exit 1; }
    turn=$(cat turn 2>/dev/null || echo 0)
    echo $((turn + 1)) > turn
    cat stream$turn
    echo $$ > pid
    [ -e stream$((turn + 1)) ] || exec sleep 60;;
esac
`;
  writeFileSync(join(bin, "kubectl"), script, { mode: 0o755 });
  return bin;
}

interface Ran {
  status: number | null;
  stdout: string;
  stderr: string;
}

async function observe(bin: string, args: string[], interruptAfter: string | null = null): Promise<Ran> {
  const main = join(import.meta.dirname, "main.ts");
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH}`, FORCE_COLOR: "0" };
  const child = spawn(process.execPath, [main, "observe", "web-0", ...args], { env });
  const ran: Ran = { status: null, stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text) => {
    ran.stdout += text;
    if (interruptAfter !== null && ran.stdout.includes(interruptAfter)) child.kill("SIGINT");
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    ran.stderr += text;
  });
  ran.status = await new Promise((settle) => child.once("close", settle));
  return ran;
}

const asked = (bin: string) => readFileSync(join(bin, "asked"), "utf8");

test("events go to standard output, what is to be known of them to standard error", async () => {
  const lines = [
    observing(["a note"]),
    verdict(443),
    { type: "lost", time: "", where: "agent", count: 3 },
    verdict(444),
  ];
  const bin = kubectl({ streams: [lines] });
  const { status, stdout, stderr } = await observe(bin, ["--limit", "2"]);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /dropped \/bin\/shop +→ 192\.0\.2\.1:443\/tcp +Peer +web\/shop\n +Peer: .*\n.*:444\/tcp /);
  assert.match(
    stderr,
    /^observing web\/web-0 on node-1, judged by web\/shop \(alert, enforce\)\nnote: a note\nlost: 3 events/,
  );
});

test("it is asked for through the operator's Service, with a token for that alone", async () => {
  const bin = kubectl({ streams: [[observing(), verdict(1)]] });
  const filters = ["--verdict", "all", "--direction", "ingress", "--process", "/bin/a", "-c", "app", "--rate", "5"];
  const { status, stderr } = await observe(bin, [...filters, "--limit", "1", "--context", "c"]);
  assert.equal(status, 0, stderr);
  const token = "create token portcullis-observer --namespace=portcullis-system --audience=portcullis-observer";
  assert.match(asked(bin), new RegExp(`^--context=c ${token} --duration=10m$`, "m"));
  const path = "/api/v1/namespaces/portcullis-system/services/https:portcullis-operator:observe/proxy/v1/observe";
  assert.match(asked(bin), new RegExp(`^--context=c create --raw ${path} -f -$`, "m"));
  assert.deepEqual(JSON.parse(readFileSync(join(bin, "posted"), "utf8")), {
    token: "the-token",
    namespace: "web",
    pod: "web-0",
    verdicts: ["allowed", "alerted", "dropped", "counted"],
    direction: "ingress",
    process: "/bin/a",
    container: "app",
    rate: 5,
  });
});

test("an account of one's own is of the pod's namespace", async () => {
  const bin = kubectl({ streams: [[observing(), verdict(1)]] });
  const named = ["--service-account", "me", "-n", "shop", "--system-namespace", "sys", "--operator-service", "op"];
  assert.equal((await observe(bin, [...named, "--limit", "1"])).status, 0);
  assert.match(asked(bin), /create token me --namespace=shop/);
  assert.match(asked(bin), /namespaces\/sys\/services\/https:op:observe\/proxy/);
});

test("JSON has every line but signs of life", async () => {
  const lines = [observing(), { type: "alive", time: "" }, verdict(443), ended(false)];
  const { status, stdout, stderr } = await observe(kubectl({ streams: [lines, []] }), ["-o", "json"]);
  assert.deepEqual(
    stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).type),
    ["observing", "verdict", "end"],
  );
  assert.equal(status, 1, "an end that nobody asked for");
  assert.match(stderr, /the operator ends/);
});

test("an operator that ends, or a connection that breaks, is asked again", async () => {
  const streams = [
    [observing(), verdict(1), ended(true)],
    [observing(), verdict(2)],
    [observing(), verdict(3)],
  ];
  const { status, stdout, stderr } = await observe(kubectl({ streams }), ["--limit", "3"]);
  assert.equal(status, 0, stderr);
  assert.deepEqual(stdout.match(/192\.0\.2\.1:\d/g), ["192.0.2.1:1", "192.0.2.1:2", "192.0.2.1:3"]);
  assert.match(stderr, /the operator ends; asking again[\s\S]*broke off; asking again/);
});

test("it ends in time, and when it is interrupted, and leaves no kubectl behind", async () => {
  const bin = kubectl({ streams: [[observing(), verdict(1)]] });
  const began = Date.now();
  assert.equal((await observe(bin, ["--timeout", "500ms"])).status, 0);
  assert.ok(Date.now() - began < 20_000);
  const other = kubectl({ streams: [[observing(), verdict(1)]] });
  assert.equal((await observe(other, [], "192.0.2.1")).status, 0);
  await sleep(100);
  for (const name of [bin, other]) {
    assert.equal(existsSync(`/proc/${readFileSync(join(name, "pid"), "utf8").trim()}`), false);
  }
});

test("a refusal is shown in the API server's words, with what to do about it", async () => {
  const cases: [Partial<Answers>, RegExp][] = [
    [
      {
        noToken:
          'error: failed to create token: serviceaccounts "portcullis-observer" is forbidden: User "u" cannot create resource "serviceaccounts/token"',
      },
      /cannot create resource[\s\S]*You need the right to make tokens for ServiceAccount portcullis-observer/,
    ],
    [
      { noToken: 'error: failed to create token: serviceaccounts "portcullis-observer" not found' },
      /observe\.enabled[\s\S]*--system-namespace/,
    ],
    [
      {
        refusal:
          'Error from server (Forbidden): services "https:portcullis-operator:observe" is forbidden: User "u" cannot create resource "services/proxy"',
      },
      /the Role portcullis-observer-way there gives it/,
    ],
    [
      {
        refusal:
          "Error from server (Forbidden): u may not observe pods of namespace web: that takes get of pods/verdicts",
      },
      /create rolebinding observer --clusterrole=portcullis-observer --serviceaccount=portcullis-system:portcullis-observer/,
    ],
    [{ refusal: "Error from server (ServiceUnavailable): no agent of node n1 is connected" }, /no agent of node n1/],
  ];
  for (const [answers, words] of cases) {
    const bin = kubectl({ streams: [[]], ...answers });
    const { status, stdout, stderr } = await observe(bin, []);
    assert.equal(status, 1);
    assert.equal(stdout, "");
    assert.match(stderr, words);
    assert.equal(existsSync(join(bin, "turn")), false);
  }
});

test("a workload's names do not steer the terminal", async () => {
  const bin = kubectl({ streams: [[observing(), verdict(1, "/bin/\u001b[2J\u009b31m\nx")]] });
  const { stdout } = await observe(bin, ["--limit", "1"]);
  assert.match(stdout, /\/bin\/\\x1b\[2J\\x9b31m\\x0ax/);
  assert.equal(stdout.trimEnd().split("\n").length, 3, "heading, verdict, and what its reason means");
});

test("what means nothing is refused before anything is asked", async () => {
  for (const args of [
    ["--verdict", "maybe"],
    ["--limit", "0"],
    ["--rate", "9999"],
    ["--timeout", "soon"],
    ["--direction", "up"],
  ]) {
    const bin = kubectl({ streams: [[]] });
    const { status, stderr } = await observe(bin, args);
    assert.equal(status, 2, `${args.join(" ")}: ${stderr}`);
    assert.equal(existsSync(join(bin, "asked")), false);
  }
});
