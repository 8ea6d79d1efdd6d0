/** The lines that the agent prints: fields by their names, and nothing else on standard output. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { VerdictEvent } from "../../src/flow/record.ts";
import { Fixture } from "./harness/fixture.ts";
import { patiently } from "./harness/patience.ts";
import { egress, profile } from "./harness/profiles.ts";

const SERVER = "198.51.100.1";
const DNS = "198.51.100.53";
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

const fixture = await Fixture.start("events", {
  apps: ["shop"],
  zone: { "www.example.com": { a: [SERVER] } },
  agentArgs: ["--event-interval", "500ms"],
  profiles: (fixture) => [
    profile(
      "shop",
      [
        egress(fixture.program("asker"), {
          cidr4: [`${DNS}/32`],
          cidr6: ["2001:db8:1::/64"],
          fqdns: ["www.example.com"],
          l4: { protocols: ["udp", "tcp", "icmpv6"] },
        }),
      ],
      { actions: ["alert", "enforce", "trace-dns"] },
    ),
  ],
});
const shop = fixture.workload("shop");
const asker = fixture.path("bin", "asker");
const stranger = fixture.program("stranger");

const isVerdictOf =
  (path: string, verdict: string) =>
  (event: { type: string }): event is VerdictEvent =>
    event.type === "verdict" &&
    (event as VerdictEvent).process?.path === path &&
    (event as VerdictEvent).verdict === verdict;

test("issue 4.5: the fields of an allowed packet, with the name that its address was learned under", async () => {
  const mark = fixture.agent.events.mark();
  const started = Date.now();
  await fixture.passes(shop, asker, `udp4 connect ${DNS} 53 ask www.example.com A tcp4 connect ${SERVER} 80 send x`);
  const wanted = (event: { type: string }): event is VerdictEvent =>
    isVerdictOf(asker, "allowed")(event) && event.proto === "tcp";
  const event = await fixture.agent.events.waitFor("allowed TCP", wanted, { from: mark });
  const { time, process, src, ...rest } = event;
  assert.match(time, RFC_3339);
  assert.ok(Math.abs(Date.parse(time) - started) < 3_000, `${time} is now`);
  assert.deepEqual(rest, {
    type: "verdict",
    verdict: "allowed",
    reason: "Allowed",
    direction: "egress",
    workload: { name: shop.name, namespace: "default", labels: { app: "shop" } },
    profiles: ["default/shop-profile"],
    proto: "tcp",
    dst: { ip: SERVER, port: 80, name: "www.example.com" },
    count: 1,
  });
  assert.equal(src.ip, shop.ipv4);
  assert.ok((src.port ?? 0) > 1024);
  assert.ok(process !== null);
  assert.equal(process.comm, "asker");
  assert.match(process.startTime ?? "", RFC_3339);
  assert.ok(Math.abs(Date.parse(process.startTime ?? "") - started) < 3_000);
  assert.equal(process.parent?.pid, globalThis.process.pid);
  assert.equal(process.parent?.path, globalThis.process.execPath);
  const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  const [boot, pid, start] = process.key?.split("/") ?? [];
  assert.deepEqual([boot, pid], [bootId, String(process.pid)]);
  const sinceBoot = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
  assert.ok(Math.abs(Number(start) / 1e9 - sinceBoot) < 5, `${start} is just before ${sinceBoot}`);
  assert.deepEqual(Object.keys(process).sort(), ["comm", "key", "parent", "path", "pid", "startTime"]);
});

test("issue 4.5: the question of a violation", async () => {
  const mark = fixture.agent.events.mark();
  await fixture.run(shop, asker, `timeout 100 udp4 connect ${DNS} 53 ask forbidden.example.com TXT`);
  const event = await fixture.agent.events.waitFor("DnsName", isVerdictOf(asker, "dropped"), { from: mark });
  assert.equal(event.reason, "DnsName");
  assert.deepEqual(event.dns, { name: "forbidden.example.com", type: "TXT" });
  assert.deepEqual(event.dst, { ip: DNS, port: 53 });
});

test("issue 4.5: an answer has its code", async () => {
  const mark = fixture.agent.events.mark();
  await fixture.passes(shop, asker, `udp4 connect ${DNS} 53 ask www.example.com A`);
  const isAnswer = (event: { type: string }): event is VerdictEvent =>
    event.type === "dns" && (event as VerdictEvent).direction === "ingress";
  const event = await fixture.agent.events.waitFor("an answer", isAnswer, { from: mark });
  assert.deepEqual(event.dns, { name: "www.example.com", type: "A", rcode: "NOERROR" });
  assert.equal(event.src.ip, DNS);
  assert.equal(event.dst.ip, shop.ipv4);
});

test("issue 4.5: IPv6, and protocols without ports", async () => {
  const mark = fixture.agent.events.mark();
  await fixture.passes(shop, asker, "icmp6 ping 2001:db8:1::1");
  const wanted = (event: { type: string }): event is VerdictEvent =>
    isVerdictOf(asker, "allowed")(event) && event.proto === "icmpv6";
  const event = await fixture.agent.events.waitFor("ICMPv6", wanted, { from: mark });
  assert.deepEqual([event.src, event.dst], [{ ip: shop.ipv6 }, { ip: "2001:db8:1::1" }]);
});

test("issue 4.5: what belongs to no process has process null", async () => {
  const mark = fixture.agent.events.mark();
  await fixture.run(fixture.topology.outside, stranger, `timeout 50 tcp4 connect ${shop.ipv4} 9999`);
  const event = await fixture.violation({ reason: "Unattributed", path: null }, mark);
  assert.equal(event.process, null);
  assert.equal(event.direction, "ingress");
});

test("issue 4.5: events of one kind are held back, counted, and add up", async () => {
  const mark = fixture.agent.events.mark();
  const { stdout } = await fixture.run(shop, stranger, `udp4 rounds 1200 2000 x 1 ${SERVER} 7000`);
  const packets = Number(stdout.trim().split("\n").at(-1));
  const counted = () =>
    fixture.agent.events
      .since(mark, isVerdictOf(stranger, "dropped"))
      .reduce((sum, event) => sum + (event as VerdictEvent).count, 0);
  await fixture.agent.events.waitFor("all packets", () => counted() >= packets, { from: mark, timeout: 6_000 });
  assert.equal(counted(), packets);
  assert.ok(fixture.agent.events.since(mark, isVerdictOf(stranger, "dropped")).length <= 6);
});

test("issue 4.5: standard output is JSON lines and nothing else; diagnostics are on standard error", () => {
  assert.deepEqual(fixture.agent.events.strays, []);
  for (const line of fixture.agent.diagnostics.split("\n").filter((text) => text !== "")) {
    assert.doesNotThrow(() => JSON.parse(line), line);
  }
});

test("issue 4.5: the lines of ready and revision", async () => {
  const ready = fixture.agent.events.events.find(({ type }) => type === "ready");
  assert.deepEqual(ready, { time: ready?.time, type: "ready", workloads: [shop.name] });
  const event = await fixture.agent.apply(profile("shop", []));
  assert.match(event.time, RFC_3339);
  assert.deepEqual(
    { ...event, time: "", revision: "", changes: [] },
    {
      time: "",
      type: "revision",
      revision: "",
      refused: false,
      profiles: ["default/shop-profile"],
      errors: [],
      changes: [],
    },
  );
  const refused = await fixture.agent.offer({ ...profile("shop", []), spec: { actions: ["explode"] } });
  assert.equal(refused.refused, true);
  assert.equal(refused.errors[0]?.field, "spec.actions[0]");
});

test("issue 4.5: a readable line by default", async () => {
  await fixture.agent.stop();
  await fixture.agent.start({ ready: false, args: ["--output", "text"] });
  const line = new RegExp(
    `dropped +${shop.name} +${stranger}\\[\\d+\\] +→ +${SERVER}:7000/udp +BinaryUnknown +(?:×\\d+ +)?default/shop-profile`,
  );
  const seen = () => fixture.agent.events.strays.some((text) => line.test(text));
  for (const end = performance.now() + patiently(30_000); !seen() && performance.now() < end; ) {
    await fixture.run(shop, stranger, `timeout 50 udp4 sendto ${SERVER} 7000 x recv`);
  }
  assert.ok(seen(), fixture.agent.events.strays.join("\n"));
});
