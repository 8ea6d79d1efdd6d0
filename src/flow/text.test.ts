import assert from "node:assert/strict";
import { test } from "node:test";
import { wantsColours } from "../terminal/colours.ts";
import type { AgentEvent, VerdictEvent } from "./record.ts";
import { EventText } from "./text.ts";

const event: VerdictEvent = {
  time: "2026-01-02T03:04:05.678Z",
  type: "verdict",
  verdict: "dropped",
  reason: "BinaryUnknown",
  direction: "egress",
  workload: { name: "ping", namespace: "default", labels: {} },
  profiles: ["default/ping"],
  process: { pid: 42, path: "/bin/sh", comm: "sh" },
  proto: "tcp",
  src: { ip: "10.0.0.2", port: 1234 },
  dst: { ip: "10.0.0.3", port: 80, name: "pong.example" },
  count: 3,
};

const PIPE = { colours: false, width: Number.POSITIVE_INFINITY, oneWorkload: false };

/** The line of a verdict, without heading and explanation. */
function line(verdict: VerdictEvent, options = PIPE): string {
  return new EventText(options).lines(verdict).split("\n")[1] ?? "";
}

const words = (text: string) => text.split(/\s+/).slice(1);

test("a verdict is one line: what, who, whither, why, and by which profiles", () => {
  assert.deepEqual(words(line(event)), [
    ...["dropped", "ping", "/bin/sh[42]", "→", "pong.example(10.0.0.3):80/tcp", "BinaryUnknown", "×3", "default/ping"],
  ]);
});

test("the heading comes once, and a reason is explained where it first occurs", () => {
  const text = new EventText(PIPE);
  const first = text.lines(event).split("\n");
  assert.match(first[0] ?? "", /^TIME +VERDICT +WORKLOAD +PROCESS +WHAT +REASON +PROFILES$/);
  assert.match(first[2] ?? "", /^ +BinaryUnknown: no profile lists this executable$/);
  assert.equal(text.lines(event).split("\n").length, 1);
  assert.match(text.lines({ ...event, reason: "Peer" }), /\n +Peer: no rule/);
  assert.doesNotMatch(text.lines({ ...event, verdict: "allowed", reason: "Allowed" }), /\n/);
});

test("columns line up from line to line, and nothing of a workload's name is shown where all are of one", () => {
  const other = { ...event, verdict: "allowed" as const, process: null, proto: "icmpv6", count: 1 };
  assert.equal(line(event).indexOf("→"), line(other).indexOf("→"));
  assert.equal(line(event).indexOf("default/ping"), line(other).indexOf("default/ping"));
  assert.deepEqual(words(line(event, { ...PIPE, oneWorkload: true })).slice(0, 2), ["dropped", "/bin/sh[42]"]);
});

test("IPv6 peers have their port outside of brackets; ingress has the port that was connected to", () => {
  const ingress: VerdictEvent = {
    ...event,
    direction: "ingress",
    src: { ip: "fd00::2", port: 999 },
    dst: { ip: "fd00::1", port: 80 },
  };
  assert.match(line(ingress), /← fd00::2 to port 80\/tcp/);
  assert.match(line({ ...event, dst: { ip: "fd00::3", port: 80 } }), /→ \[fd00::3\]:80\/tcp/);
});

test("a refused question shows its name; where the resolver's address is what was refused, that", () => {
  const dns = { name: "www.example.com", type: "A" };
  const dst = { ip: "10.96.0.10", port: 53 };
  assert.match(line({ ...event, dns, dst, reason: "DnsName" }), /asks www\.example\.com A of 10\.96\.0\.10/);
  assert.match(line({ ...event, dns, dst, proto: "udp", reason: "Peer" }), /→ 10\.96\.0\.10:53\/udp asks www\.example/);
});

test("colours only where they are wanted", () => {
  const colour = "\u001b[31m";
  assert.ok(line(event, { ...PIPE, colours: true }).includes(colour));
  assert.ok(!line(event).includes("\u001b"));
  assert.equal(wantsColours({ isTTY: true }, {}), true);
  assert.equal(wantsColours({ isTTY: true }, { NO_COLOR: "1" }), false);
  assert.equal(wantsColours({ isTTY: true }, { TERM: "dumb" }), false);
  assert.equal(wantsColours({ isTTY: false }, {}), false);
  assert.equal(wantsColours({ isTTY: false }, { FORCE_COLOR: "1" }), true);
});

test("a refused revision says what is wrong, a line each", () => {
  const refused: AgentEvent = {
    ...{ time: event.time, type: "revision", revision: "abcdef0123456789", refused: true, profiles: [], changes: [] },
    errors: [{ source: "a.yaml:3", field: "spec.actions[0]", message: "is not an action; write alert" }],
  };
  assert.match(
    new EventText(PIPE).lines(refused),
    /revision abcdef012345 refused, .*\n {4}a\.yaml:3: spec\.actions\[0\]: is not an action/,
  );
});

test("what is in force is called enforced only where it drops", () => {
  const workload = { name: "web", namespace: "default", labels: {} };
  const occurrence = { time: event.time, interfaces: ["eth0"], workload, profiles: [] as string[] };
  const said = (more: object) => new EventText(PIPE).lines({ ...occurrence, ...more } as AgentEvent);
  const revision = { type: "revision", revision: "abcdef0123456789", refused: false, changes: [], errors: [] };
  assert.match(said({ ...revision, profiles: ["default/web"] }), /revision abcdef012345 in force: default\/web$/);
  assert.match(said(revision), /in force: no profile, so nothing is restricted$/);
  assert.match(said({ type: "ready", workloads: ["web"] }), /ready +web$/);
  assert.match(said({ type: "workload", state: "unrestricted" }), /web not restricted on eth0: no profile selects it$/);
  assert.match(
    said({ type: "workload", state: "watching", profiles: ["default/web"] }),
    /web watching on eth0 by default/,
  );
});
