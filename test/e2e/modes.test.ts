/** Sections 6 and 7: verdicts, reasons and modes, and how a change of them takes effect on what is open. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Action, SecurityProfile } from "../../src/api/types.ts";
import { isVerdict } from "./harness/event-stream.ts";
import { Fixture } from "./harness/fixture.ts";
import { patiently } from "./harness/patience.ts";
import { egress, profile } from "./harness/profiles.ts";

const SERVER = "198.51.100.1";
const DNS = "198.51.100.53";

/** One program may talk to one port of one server, and ask for one name; all else is a violation. */
function rules(fixture: Fixture, actions: Action[], program = "asker"): SecurityProfile {
  return profile(
    "shop",
    [
      egress(fixture.path("bin", program), {
        cidr4: [`${SERVER}/32`, `${DNS}/32`],
        l4: {
          protocolPorts: [
            { protocol: "udp", port: 7000 },
            { protocol: "tcp", port: 7000 },
            { protocol: "udp", port: 53 },
          ],
        },
        l7: { protocols: ["any"], dns: ["www.example.com"] },
      }),
    ],
    { actions },
  );
}

const fixture = await Fixture.start("modes", {
  apps: ["shop"],
  zone: { "www.example.com": { a: [SERVER] }, "other.example.com": { a: [SERVER] } },
  profiles: (fixture) => {
    fixture.program("asker");
    return [rules(fixture, ["alert", "enforce"])];
  },
});
const shop = fixture.workload("shop");
const asker = fixture.path("bin", "asker");
const stranger = fixture.program("stranger");
const ALLOWED = `udp4 sendto ${SERVER} 7000 TAG recv`;
const VIOLATION = `udp4 sendto ${SERVER} 7001 TAG recv`;

interface Counted {
  path: string;
  counts: { direction: string; reason: string; verdict: string; packets: number }[];
}

/** Packets that the status says were judged so. */
async function packets(path: string, reason: string, verdict: string): Promise<number> {
  const { stdout, stderr } = await fixture.agent.command("status", "-o", "json", ...fixture.agent.pinOptions);
  assert.notEqual(stdout, "", stderr);
  const { workloads } = JSON.parse(stdout) as { workloads: { traffic: (Counted & Record<string, unknown>)[] }[] };
  const rows = workloads.flatMap(({ traffic }) => traffic) as unknown as Record<string, unknown>[];
  return rows
    .filter((row) => row.path === path && row.reason === reason && row.verdict === verdict)
    .reduce((sum, row) => sum + Number(row.packets), 0);
}

/** Applies a mode unless it is in force. */
async function mode(...actions: Action[]): Promise<void> {
  await fixture.agent.apply(rules(fixture, actions));
}

test("§7 alert and enforce: violations are dropped and reported", async () => {
  await fixture.passes(shop, asker, ALLOWED);
  await fixture.stops(shop, asker, VIOLATION, { reason: "Port" });
  await fixture.stops(shop, stranger, ALLOWED, { reason: "BinaryUnknown" });
});

test("§7 enforce alone: dropped with counters, and no event for a violation", async () => {
  await mode("enforce");
  const mark = fixture.agent.events.mark();
  const before = await packets(asker, "Port", "dropped");
  const tag = fixture.tag();
  assert.equal((await fixture.run(shop, asker, `timeout 200 ${VIOLATION.replace("TAG", tag)}`)).code, 3);
  assert.deepEqual(await fixture.servers.received(tag), []);
  await fixture.passes(shop, asker, ALLOWED);
  assert.equal((await packets(asker, "Port", "dropped")) - before, 1);
  const violations = fixture.agent.events.since(mark, (event) => isVerdict(event) && event.verdict !== "allowed");
  assert.deepEqual(violations, []);
});

test("§7 alert alone never drops a packet, and reports it", async () => {
  await mode("alert");
  const mark = fixture.agent.events.mark();
  await fixture.passes(shop, asker, VIOLATION);
  await fixture.violation({ verdict: "alerted", reason: "Port", path: asker }, mark);
  await fixture.passes(shop, stranger, `tcp4 connect ${SERVER} 7001 send TAG recv`);
  await fixture.violation({ verdict: "alerted", reason: "BinaryUnknown", path: stranger }, mark);
  await fixture.passes(shop, asker, `udp4 connect ${DNS} 53 ask forbidden.example.net A`);
  await fixture.violation({ verdict: "alerted", reason: "DnsName", path: asker }, mark);
  await fixture.passes(shop, asker, `udp4 sendto ${SERVER} 53 TAG recv`);
});

test("§7 no action: violations are counted, pass, and are not reported", async () => {
  await mode();
  const mark = fixture.agent.events.mark();
  const before = await packets(asker, "Port", "counted");
  await fixture.passes(shop, asker, VIOLATION);
  assert.ok((await packets(asker, "Port", "counted")) > before);
  assert.deepEqual(
    fixture.agent.events.since(mark, (event) => isVerdict(event) && event.verdict !== "allowed"),
    [],
  );
});

test("§7 trace-dns reports each DNS exchange: question, answer and code", async () => {
  await mode("alert", "enforce", "trace-dns");
  const mark = fixture.agent.events.mark();
  await fixture.passes(shop, asker, `udp4 connect ${DNS} 53 ask www.example.com A ask www.example.com AAAA`);
  const traced = () => fixture.agent.events.since(mark, ({ type }) => type === "dns").filter(isVerdict);
  await fixture.agent.events.waitFor("four DNS events", () => traced().length >= 4, { from: mark });
  assert.deepEqual(
    traced().map(({ direction, dns, verdict }) => ({ direction, ...dns, verdict })),
    [
      { direction: "egress", name: "www.example.com", type: "A", verdict: "allowed" },
      { direction: "ingress", name: "www.example.com", type: "A", rcode: "NOERROR", verdict: "allowed" },
      { direction: "egress", name: "www.example.com", type: "AAAA", verdict: "allowed" },
      { direction: "ingress", name: "www.example.com", type: "AAAA", rcode: "NOERROR", verdict: "allowed" },
    ],
  );
  assert.equal(traced()[0]?.process?.path, asker);
});

test("§7 learn records what the workload does, and judges nothing", async () => {
  await mode("learn");
  const mark = fixture.agent.events.mark();
  await fixture.passes(shop, stranger, VIOLATION);
  const event = await fixture.violation({ verdict: "allowed", reason: "Allowed", path: stranger }, mark);
  assert.equal(event.dst.port, 7001);
});

for (const action of ["learn", "alert"] as const) {
  test(`§7 ${action} and trace-dns: each exchange is reported once, with its answer, and ${action === "learn" ? "nothing" : "only what is refused"} is judged`, async () => {
    await mode(action, "trace-dns");
    const mark = fixture.agent.events.mark();
    const asked = `udp4 connect ${DNS} 53 ask www.example.com A ask other.example.com A ask other.example.com AAAA`;
    await fixture.passes(shop, asker, asked);
    const dnsEvents = () =>
      fixture.agent.events
        .since(mark, isVerdict)
        .filter(isVerdict)
        .filter(({ type }) => type === "dns");
    await fixture.agent.events.waitFor("six DNS events", () => dnsEvents().length >= 6, { from: mark });
    await sleep(100);
    const refused = action === "learn" ? "allowed" : "alerted";
    assert.deepEqual(
      dnsEvents().map(({ direction, verdict, dns }) => [direction, verdict, dns?.name, dns?.type, dns?.rcode]),
      [
        ["egress", "allowed", "www.example.com", "A", undefined],
        ["ingress", "allowed", "www.example.com", "A", "NOERROR"],
        ["egress", refused, "other.example.com", "A", undefined],
        ["ingress", "allowed", "other.example.com", "A", "NOERROR"],
        ["egress", refused, "other.example.com", "AAAA", undefined],
        ["ingress", "allowed", "other.example.com", "AAAA", "NOERROR"],
      ],
    );
  });
}

test("§7 a change of mode takes effect on open flows too: alert to enforce, and back", async () => {
  await mode("alert");
  const tags = [fixture.tag(), fixture.tag(), fixture.tag()];
  const verbs = [
    `timeout ${patiently(300)} tcp4 connect ${SERVER} 7001 send ${tags[0]} recv`,
    `wait send ${tags[1]} wait recv send ${tags[2]} recv`,
  ];
  const open = fixture.start(shop, stranger, verbs.join(" "));
  await open.line("waiting");
  await mode("alert", "enforce");
  const mark = fixture.agent.events.mark();
  open.tell();
  await fixture.violation({ verdict: "dropped", reason: "BinaryUnknown", path: stranger, proto: "tcp" }, mark);
  assert.deepEqual(await fixture.servers.received(tags[1] ?? ""), []);
  await mode("alert");
  await new Promise((resolve) => setTimeout(resolve, 400));
  // What TCP sends again gets through now.
  open.tell();
  assert.equal((await open.finish()).code, 0);
  assert.equal((await fixture.servers.received(tags[1] ?? "")).length > 0, true);
});

test("§4 a rule taken away takes effect on open flows too", async () => {
  await mode("alert", "enforce");
  const tag = fixture.tag();
  const open = fixture.start(
    shop,
    asker,
    `timeout ${patiently(300)} tcp4 connect ${SERVER} 7000 send x recv wait send ${tag} recv`,
  );
  await open.line("waiting");
  await fixture.agent.apply(profile("shop", [egress(asker, { cidr4: [`${DNS}/32`], l4: { protocols: ["udp"] } })]));
  const mark = fixture.agent.events.mark();
  open.tell();
  assert.equal((await open.finish()).code, 3);
  await fixture.violation({ reason: "Peer", path: asker, proto: "tcp" }, mark);
  assert.deepEqual(await fixture.servers.received(tag), []);
});

test("§6 each verdict is counted by process, direction and reason", async () => {
  // Of its own: the kernel still sends again what other connections of the tests above had open.
  const counted = fixture.program("counted");
  await fixture.agent.apply(rules(fixture, ["alert", "enforce"], "counted"));
  await fixture.passes(shop, counted, ALLOWED);
  await fixture.stops(shop, counted, VIOLATION, { reason: "Port" });
  assert.equal(await packets(counted, "Allowed", "allowed"), 2, "a question and its echo");
  assert.equal(await packets(counted, "Port", "dropped"), 1);
});

test("§7 status and events name what profiles do: enforced, watching, learning, or nothing at all", async () => {
  const state = async () => {
    const { stdout } = await fixture.agent.command("status", ...fixture.agent.pinOptions);
    return /State: +(.*?)(?: since .*)?$/m.exec(stdout)?.[1];
  };
  const states: [Action[], string][] = [
    [["alert", "enforce"], "enforced"],
    [["alert"], "watching"],
    [[], "watching"],
    [["learn"], "learning"],
  ];
  await mode("enforce");
  const mark = fixture.agent.events.mark();
  for (const [actions, words] of states) {
    await mode(...actions);
    assert.equal(await state(), words, actions.join());
  }
  await fixture.agent.apply({ ...rules(fixture, ["enforce"]), metadata: { name: "other", labels: { app: "other" } } });
  assert.equal(await state(), "not restricted: no profile selects it");
  const others = fixture.agent.events.since(mark).map((event) => (event.type === "workload" ? [event.state] : []));
  assert.deepEqual(others.flat(), ["watching", "learning", "unrestricted"]);
  await fixture.agent.apply();
  assert.match(fixture.agent.diagnostics, /there is no SecurityProfile in \S+: no workload is restricted/);
});
