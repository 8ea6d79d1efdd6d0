/** learn, replay, diff and score as commands: from events in a file or a pipe to a profile, an answer, and an exit status. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { AgentEvent } from "../../flow/record.ts";
import { flow, question, visit } from "../../learn/testing/records.ts";

const PORTCULLIS = fileURLToPath(new URL("../../../bin/portcullis", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "portcullis-learn-"));
after(() => rmSync(folder, { recursive: true }));

const HASH = { app: "web", "pod-template-hash": "6d4cf56db6" };
const pod = (suffix: string) => ({ replica: `web-6d4cf56db6-${suffix}`, labels: HASH });
const RECORDS = [
  ...visit("db.example.com", { ...pod("aaaaa"), port: 5432 }),
  ...visit("db.example.com", { ...pod("bbbbb"), port: 5432, time: "2026-01-02T04:00:00.000Z" }),
  flow({ ...pod("aaaaa"), direction: "ingress", port: 8080, peer: "10.1.0.7" }),
  flow({ ...pod("aaaaa"), process: { path: "/bin/sh", parent: { pid: 1, path: "/bin/app" } } }),
];
const events = file("events.json", lines(RECORDS));

function lines(records: readonly AgentEvent[]): string {
  return records.map((record) => `${JSON.stringify(record)}\n`).join("");
}

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function portcullis(args: readonly string[], input = "") {
  const { status, stdout, stderr } = spawnSync(PORTCULLIS, args, { encoding: "utf8", input });
  return { status, stdout, stderr };
}

/** One learned profile for the tests that follow. */
const learned = file("learned.yaml", portcullis(["learn", "--input-file", events, "--resolver", "10.96.0.10"]).stdout);

test("learn: the pods of a Deployment are one workload, selected by what they have in common; it reads pipes, too", () => {
  const { status, stdout, stderr } = portcullis(
    ["learn", "default/web", "--input-file", "-", "--resolver", "10.96.0.10"],
    `${lines(RECORDS)}${JSON.stringify({ type: "summary", exitCode: 0 })}\n`,
  );
  assert.equal(status, 0, stderr);
  assert.equal(stdout, readFileSync(learned, "utf8"), "the same records, the same text");
  assert.match(
    stdout,
    /^ {2}name: web\n {2}namespace: default\n.*\n {2}labelSelector:\n {4}matchLabels:\n {6}app: web\n/ms,
  );
  assert.doesNotMatch(stdout, /pod-template-hash|path: \/bin\/sh/);
  assert.match(stdout, /- db\.example\.com # 2 times, 2 of 2 replicas, 2026-01-02T03:04:05Z to 2026-01-02T04:00:00Z\n/);
  assert.match(stdout, /# {3}\/bin\/sh, a shell, started by \/bin\/app \(--include \/bin\/sh learns it\)\n/);
  assert.equal(portcullis(["validate", "--strict", learned]).status, 0);
});

test("learn: lost records make the answer incomplete, and several workloads have to be told apart", () => {
  const lost: AgentEvent = { time: "2026-01-02T03:04:05.000Z", type: "lost", where: "kernel", count: 5 };
  const missing = portcullis(["learn", "--input-file", file("lost.json", lines([...RECORDS, lost]))]);
  assert.equal(missing.status, 3);
  assert.match(missing.stdout, /# Incomplete: 5 records were lost/);
  const two = file("two.json", lines([...RECORDS, flow({ replica: "other", labels: { app: "other" } })]));
  const { status, stderr } = portcullis(["learn", "--input-file", two]);
  assert.deepEqual([status, stderr.includes("there are records of default/other, default/web")], [2, true], stderr);
  assert.equal(portcullis(["learn", "other", "--input-file", two]).status, 0);
  assert.equal(portcullis(["learn", "web-6d4cf56db6-aaaaa", "--input-file", two]).status, 0, "by a pod's name");
  assert.equal(portcullis(["learn", "web", "--input-file", two, "--since", "1h"]).status, 2, "all of it is older");
  assert.equal(portcullis(["learn", "--input-file", file("none.json", "no event\n")]).status, 2);
});

test("replay: what was learned refuses what was left out, and nothing else", () => {
  const { status, stdout } = portcullis(["replay", "-f", learned, "--input-file", events]);
  assert.equal(status, 1);
  assert.match(stdout, /^default\/web: 3 allowed as before, 1 would be refused\n/);
  assert.match(stdout, /10\.96\.0\.10 is taken for the resolver/);
  assert.match(stdout, /\n {2}\/bin\/sh +connects to 203\.0\.113\.5, tcp 443 +1 {2}BinaryUnknown\n/);
  const whole = portcullis(["learn", "--input-file", events, "--include", "/bin/sh"]).stdout;
  assert.equal(portcullis(["replay", "-f", "-", "--input-file", events], whole).status, 0);
});

test("replay: undecided is 3, as data it has each observation, and a profile of others is wrong usage", () => {
  const undecided = readFileSync(learned, "utf8").replace(
    / {10}l4:/,
    "          l7: { protocols: [tls, dns] }\n          l4:",
  );
  const onlyApp = file("app.json", lines(RECORDS.filter(({ process }) => process?.path === "/bin/app")));
  const { status, stdout } = portcullis(["replay", "-f", "-", "--input-file", onlyApp, "-o", "json"], undecided);
  assert.equal(status, 3);
  const [{ replayed }] = JSON.parse(stdout) as [{ replayed: { outcome: string; name: string | null }[] }];
  assert.deepEqual(
    replayed.filter(({ outcome }) => outcome === "undecided").map(({ name }) => name),
    ["db.example.com"],
  );
  const other = readFileSync(learned, "utf8").replace("app: web", "app: other");
  const refused = portcullis(["replay", "-f", "-", "--input-file", events], other);
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /no profile selects default\/web/);
});

test("diff and score: rights that nothing used, and the profile without them", () => {
  const wide = readFileSync(learned, "utf8").replace("- 10.1.0.7/32", "- 10.1.0.7/32\n            - 10.2.0.0/16");
  const profile = file("wide.yaml", wide);
  const { status, stdout } = portcullis(["diff", profile, "--input-file", events]);
  assert.equal(status, 1);
  assert.match(stdout, /Not allowed:\n\n +PROCESS.*\n +\/bin\/sh /);
  assert.match(stdout, /default\/web: 1 right was never used:\n(.*\n)+- {12}- 10\.2\.0\.0\/16\n/);
  const narrow = portcullis(["diff", profile, "--input-file", events, "-o", "yaml"]).stdout;
  assert.equal(portcullis(["diff", "-", learned], narrow).status, 0, "what was added is gone again");
  assert.equal(portcullis(["diff", profile, learned]).status, 1);
  assert.equal(portcullis(["diff", profile]).status, 2);

  const score = portcullis(["score", "-f", profile, "--input-file", events, "--resolver", "10.96.0.10"]);
  assert.equal(score.status, 0);
  assert.match(score.stdout, /\n {2}\/bin\/app +7 +6 +86 % {2}default\/web\n/);
});

test("question and conversation count for a script, where one is listed", () => {
  const script = { process: { path: "/usr/bin/python3", script: "/app/run.py" } };
  const records = file("script.json", lines([question("example.com", script), flow(script)]));
  const { stdout } = portcullis(["learn", "--input-file", records]);
  assert.match(stdout, /- path: \/app\/run\.py\n/);
  assert.equal(portcullis(["replay", "-f", "-", "--input-file", records], stdout).status, 0);
});

test("drift and accept: a violation is listed once, and its id adds it to the profile", () => {
  const stopped = (record: (typeof RECORDS)[number]) => ({
    ...record,
    verdict: "dropped" as const,
    reason: "Peer" as const,
  });
  const violation = stopped(flow({ ...pod("bbbbb"), peer: "203.0.113.9", port: 443 }));
  const drifted = file("drifted.json", lines([...RECORDS, violation, violation]));
  const { status, stdout } = portcullis(["drift", "web", "--input-file", drifted]);
  assert.equal(status, 1);
  const line = /^ {2}([0-9a-f]{8}) +\/bin\/app +connects to 203\.0\.113\.9, tcp 443 +Peer +2 +2 dropped +1 /m.exec(
    stdout,
  );
  assert.ok(line !== null, stdout);
  const of = ["web", "--input-file", drifted, "--resolver", "10.96.0.10"];
  const chosen = portcullis(["accept", ...of, "-p", learned, "--id", line[1] ?? "", "-o", "patch"]);
  assert.equal(chosen.status, 0, chosen.stderr);
  assert.match(chosen.stdout, /^\+ +- 203\.0\.113\.9\/32$/m);
  assert.doesNotMatch(chosen.stdout, /^-[^-]/m, "nothing is taken away");
  const accepted = portcullis(["accept", ...of, "-p", learned, "--all"]).stdout;
  assert.match(accepted, /- 203\.0\.113\.9\/32/);
  const wrong = portcullis(["accept", ...of, "-p", learned, "--id", "00000000"]);
  assert.deepEqual([wrong.status, wrong.stdout], [2, ""]);
  assert.match(wrong.stderr, /--id 00000000: default\/web has no such deviation/);
  assert.equal(portcullis(["accept", ...of, "-p", learned]).status, 2);
  const none = portcullis(["drift", "--input-file", events]);
  assert.deepEqual([none.status, none.stdout], [0, "No violation is recorded.\n"]);
});

test("a profile that is printed again keeps what it asks of its processes", () => {
  const conditions = "      ancestors:\n        - /usr/sbin/backup\n      users:\n        - 100\n";
  const written = readFileSync(learned, "utf8").replace(/( +- path: \/bin\/app\n)/, `$1${conditions}`);
  const narrow = portcullis(["diff", "-", "--input-file", events, "-o", "yaml"], written).stdout;
  assert.ok(narrow.includes(conditions), narrow);
});
