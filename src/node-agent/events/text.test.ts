import assert from "node:assert/strict";
import { test } from "node:test";
import type { VerdictEvent } from "./event.ts";
import { eventText, wantsColours } from "./text.ts";

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

const words = (text: string) => text.split(/\s+/).slice(1);

test("a verdict is one line: what, who, whither, why, and on whose word", () => {
  assert.deepEqual(words(eventText(event, false)), [
    ...["dropped", "ping", "/bin/sh[42]", "->", "tcp", "pong.example(10.0.0.3):80", "BinaryUnknown", "default/ping"],
    ...["(3", "packets)"],
  ]);
});

test("columns line up from line to line", () => {
  const other = { ...event, verdict: "allowed" as const, process: null, proto: "icmpv6", count: 1 };
  const column = (text: string, word: string) => text.indexOf(word);
  const [first, second] = [eventText(event, false), eventText(other, false)];
  assert.equal(column(first, "default/ping"), column(second, "default/ping"));
  assert.equal(column(first, "->"), column(second, "->"));
});

test("IPv6 peers have their port outside of brackets; ingress tells the port that was asked for", () => {
  const ingress: VerdictEvent = {
    ...event,
    direction: "ingress",
    src: { ip: "fd00::2", port: 999 },
    dst: { ip: "fd00::1", port: 80 },
  };
  assert.match(eventText(ingress, false), /<- {2}tcp {5}fd00::2 .*BinaryUnknown at port 80/);
  assert.match(eventText({ ...event, dst: { ip: "fd00::3", port: 80 } }, false), /\[fd00::3\]:80/);
});

test("colours only where they are wanted", () => {
  const colour = "\u001b[31m";
  assert.ok(eventText(event, true).includes(colour));
  assert.ok(!eventText(event, false).includes("\u001b"));
  assert.equal(wantsColours({ isTTY: true }, {}), true);
  assert.equal(wantsColours({ isTTY: true }, { NO_COLOR: "1" }), false);
  assert.equal(wantsColours({ isTTY: true }, { TERM: "dumb" }), false);
  assert.equal(wantsColours({ isTTY: false }, {}), false);
  assert.equal(wantsColours({ isTTY: false }, { FORCE_COLOR: "1" }), true);
});

test("a refused revision says what is wrong, a line each", () => {
  const text = eventText(
    {
      ...{ time: event.time, type: "revision", revision: "abcdef0123456789", refused: true, profiles: [], changes: [] },
      errors: [{ source: "a.yaml:3", field: "spec.actions[0]", message: "is not an action; write alert" }],
    },
    false,
  );
  assert.match(text, /revision {2}abcdef012345 refused, .*\n {4}a\.yaml:3: spec\.actions\[0\]: is not an action/);
});
