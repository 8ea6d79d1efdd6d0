/** Section 9: a new revision replaces the old one at one stroke: no packet is judged by half of each. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Fixture } from "./harness/fixture.ts";
import { patiently } from "./harness/patience.ts";
import { egress, profile } from "./harness/profiles.ts";

const [FIRST, SECOND] = ["198.51.100.1", "198.51.100.2"] as const;
/** Each revision allows one address on one port. The two others of the four combinations are half of each. */
const REVISIONS = [
  { address: FIRST, port: 7001 },
  { address: SECOND, port: 7002 },
];
const TARGETS = [`${FIRST} 7001`, `${SECOND} 7002`, `${FIRST} 7002`, `${SECOND} 7001`];
const CHANGES = 8;
/** Milliseconds of sending. */
const DURATION = patiently((CHANGES + 2) * 250);
/** Microseconds between two rounds of one packet to each target. */
const PAUSE = patiently(300);
const ATTEMPTS = 3;

const fixture = await Fixture.start("revisions", {
  apps: ["shop"],
  agentArgs: ["--no-allowed"],
  profiles: (fixture) => {
    fixture.program("app");
    return [revision(fixture, 0)];
  },
});
const shop = fixture.workload("shop");

function revision(fixture: Fixture, number: number) {
  const { address, port } = REVISIONS[number % 2] ?? assert.fail();
  const rules = { cidr4: [`${address}/32`], l4: { protocolPorts: [{ protocol: "udp" as const, port }] } };
  // The other path is there to make the tables differ in more than one map.
  return profile("shop", [egress(fixture.path("bin", "app"), rules), egress(`/opt/other${number}`, rules)], {
    actions: ["enforce"],
  });
}

/** Of each packet in the order of sending, whether it arrived: a row for each target. */
async function sendUnderChanges(): Promise<boolean[][]> {
  const tag = fixture.tag();
  const verbs = `udp4 rounds ${DURATION} ${PAUSE} ${tag} ${TARGETS.length} ${TARGETS.join(" ")}`;
  const sender = fixture.start(shop, fixture.path("bin", "app"), verbs);
  await sender.line("sending");
  for (let number = 1; number <= CHANGES; number++) await fixture.agent.apply(revision(fixture, number));
  await sleep(100);
  const { stdout } = await sender.finish();
  await sleep(100);
  const rounds = Number(stdout.trim().split("\n").at(-1));
  const arrived = TARGETS.map(() => new Array<boolean>(rounds).fill(false));
  for (const { text } of await fixture.servers.received(tag)) {
    const [round, target] = text
      .slice(tag.length + 1)
      .split(":")
      .map(Number);
    const row = arrived[target ?? -1];
    if (row !== undefined && round !== undefined) row[round] = true;
  }
  return arrived;
}

/** The same, but where the receiver was too slow for its own buffer: then nothing can be said of what did not arrive. */
async function sendWithoutLoss(): Promise<boolean[][]> {
  for (let attempt = 1; ; attempt += 1) {
    const before = overflows();
    const arrived = await sendUnderChanges();
    const lost = overflows() - before;
    if (lost === 0) return arrived;
    assert.ok(attempt < ATTEMPTS, `the receiver's buffer lost ${lost} packets`);
  }
}

/** Packets that the kernel has dropped because their receiver did not fetch the ones before. */
function overflows(): number {
  const inside = [`--net=/run/netns/${fixture.topology.outside.name}`, "--", "cat", "/proc/net/snmp"];
  const lines = execFileSync("nsenter", inside, { encoding: "utf8" }).split("\n");
  const [names = [], values = []] = lines.filter((line) => line.startsWith("Udp: ")).map((line) => line.split(" "));
  return Number(values[names.indexOf("RcvbufErrors")]);
}

test("§9 profile changed under load: no packet is judged by half of each, none by neither", async () => {
  const [first = [], second = [], ...halves] = await sendWithoutLoss();
  assert.ok(first.length > 1000, `${first.length} rounds are too few to mean something`);
  assert.ok(first.includes(true) && second.includes(true), "both revisions were in force under load");
  for (const half of halves) assert.ok(!half.includes(true), "allowed by half of each revision");
  // The packets to both targets leave in turn. What each of them tells of the revision in force must fit one history,
  // with one change for each revision: a packet of a mixed table would show as two changes more.
  const history = first.flatMap((arrived, round) => [arrived ? 0 : 1, second[round] === true ? 1 : 0]);
  const changes = history.filter((revision, index) => index > 0 && revision !== history[index - 1]).length;
  assert.equal(changes, CHANGES);
});

const SERVER = `${FIRST} 7100`;
const PORT = 41500;

test("§9 what another socket of the same port receives gives none of its rights to one that has lost its own", async () => {
  const [keeps, loses] = [fixture.program("keeps"), fixture.program("loses")];
  const rights = { cidr4: [`${FIRST}/32`], l4: { protocolPorts: [{ protocol: "udp" as const, port: 7100 }] } };
  const listing = (...paths: string[]) =>
    profile(
      "shop",
      paths.map((path) => egress(path, rights)),
    );
  await fixture.agent.apply(listing(keeps, loses));
  const [first, answer, last] = [fixture.tag(), fixture.tag(), fixture.tag()];
  const server = fixture.start(
    fixture.topology.outside,
    fixture.program("server"),
    `timeout ${patiently(1500)} udp4 bind ${SERVER} answer connectpeer wait send ${answer} hear ${last}`,
  );
  const receiver = fixture.start(
    shop,
    keeps,
    `timeout ${patiently(5000)} udp4 reuseport bind 0.0.0.0 ${PORT} connect ${SERVER} hear ${answer}`,
  );
  await receiver.line("listening");
  const sender = fixture.start(
    shop,
    loses,
    `udp4 reuseport bind 0.0.0.0 ${PORT} sendto ${SERVER} ${first} wait sendto ${SERVER} ${last}`,
  );
  await server.line("waiting");
  await fixture.agent.apply(listing(keeps));
  server.tell();
  assert.equal((await receiver.finish()).code, 0, "what comes in for a listed process does not arrive");
  sender.tell();
  assert.equal((await sender.finish()).code, 0);
  assert.notEqual((await server.finish()).code, 0, "what the other one sends still arrives");
});
