/**
 * Programs that live for some milliseconds: each connects, says its word and is gone before anybody could look it up.
 * evilsocket/opensnitch#1447, "[Bug Report] proc method misattributes short-lived processes to random'ish applications". Two programs
 * take turns here, of which one may, at the same address and port.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isVerdict } from "../e2e/harness/event-stream.ts";
import { Fixture } from "../e2e/harness/fixture.ts";
import { patiently } from "../e2e/harness/patience.ts";
import { egress, profile } from "../e2e/harness/profiles.ts";

const SERVER = "198.51.100.1";
const EACH = 30;
const ports = [7000, 80].flatMap((port) => [{ protocol: "udp", port } as const, { protocol: "tcp", port } as const]);

const fixture = await Fixture.start("shortlived", {
  apps: ["app"],
  profiles: (fixture) => [
    profile("app", [
      egress(fixture.program("listed", "/bin/bash"), { cidr4: [`${SERVER}/32`], l4: { protocolPorts: ports } }),
      egress(fixture.program("curl", "/usr/bin/curl"), { cidr4: [`${SERVER}/32`], l4: { protocolPorts: ports } }),
    ]),
  ],
});
const app = fixture.workload("app");
const listed = fixture.path("bin", "listed");
const curl = fixture.path("bin", "curl");
const unlisted = fixture.program("unlisted", "/bin/bash");
const sending = (text: string) => ["-c", `echo ${text} > /dev/udp/${SERVER}/7000`];

/** Packets to the server that were reported, by verdict and program. */
function packetsByProgram(mark: number, proto: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const event of fixture.agent.events.since(mark, isVerdict).filter(isVerdict)) {
    if (event.dst.ip !== SERVER || event.proto !== proto) continue;
    const key = `${event.verdict} ${event.reason} ${event.process?.path ?? "nobody"}`;
    counts.set(key, (counts.get(key) ?? 0) + event.count);
  }
  return counts;
}

test(`${EACH} datagrams of processes that end at once are each their own program's`, async () => {
  const [may, mayNot] = [fixture.tag(), fixture.tag()];
  const mark = fixture.agent.events.mark();
  const runs = Array.from({ length: EACH }, (_, turn) => [
    fixture.run(app, listed, sending(`${may}${turn}`)),
    fixture.run(app, unlisted, sending(`${mayNot}${turn}`)),
  ]);
  await Promise.all(runs.flat());
  await fixture.agent.events.waitFor(
    "all reported",
    () => (packetsByProgram(mark, "udp").get(`dropped BinaryUnknown ${unlisted}`) ?? 0) >= EACH,
    {
      from: mark,
    },
  );
  assert.deepEqual([...packetsByProgram(mark, "udp").keys()].sort(), [
    `allowed Allowed ${listed}`,
    `dropped BinaryUnknown ${unlisted}`,
  ]);
  assert.equal((await fixture.servers.received(may)).length, EACH);
  assert.equal((await fixture.servers.received(mayNot)).length, 0);
});

test("a web client that runs for a moment is itself, also where its connection ends after it", async () => {
  const mark = fixture.agent.events.mark();
  const fetches = Array.from({ length: EACH }, () =>
    fixture.run(app, curl, ["-s", "-m", String(patiently(5000) / 1000), `http://${SERVER}/`]),
  );
  const others = Array.from({ length: 5 }, () =>
    fixture.run(app, unlisted, ["-c", `timeout 0.3 ${unlisted} -c 'echo > /dev/tcp/${SERVER}/80'`]),
  );
  const pages = await Promise.all(fetches);
  assert.ok(pages.every(({ stdout }) => stdout === "hello\n"));
  await Promise.all(others);
  assert.deepEqual([...packetsByProgram(mark, "tcp").keys()].sort(), [
    `allowed Allowed ${curl}`,
    `dropped BinaryUnknown ${unlisted}`,
  ]);
});
