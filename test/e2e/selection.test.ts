/** Section 2, and `default` of section 3: which workloads a profile is about, and what several come to. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Network } from "../../src/api/types.ts";
import type { WorkloadEvent } from "../../src/flow/record.ts";
import { Fixture } from "./harness/fixture.ts";
import { egress, entry, profile } from "./harness/profiles.ts";
import { runIn } from "./harness/topology.ts";

const FIRST = "198.51.100.1";
const SECOND = "198.51.100.2";

const fixture = await Fixture.start("selection", { apps: ["shop", "bank", "club"] });
const shop = fixture.workload("shop");
const bank = fixture.workload("bank");
const club = fixture.workload("club");
const app = fixture.program("app");
const stranger = fixture.program("stranger");

const to = (address: string, port: number) => ({
  cidr4: [`${address}/32`],
  l4: { protocolPorts: [{ protocol: "udp" as const, port }] },
});
const send = (address: string, port: number) => `udp4 sendto ${address} ${port} TAG recv`;
const BLOCKED = { reason: "BinaryUnknown" } as const;

test("§9 a workload that no profile selects is let through, once that is known", async () => {
  await fixture.passes(shop, stranger, send(FIRST, 7000));
});

test("§2 without labelSelector the profile's own labels select", async () => {
  await fixture.agent.apply(profile("shop", [egress(app, to(FIRST, 7000))]));
  await fixture.passes(shop, app, send(FIRST, 7000));
  await fixture.stops(shop, stranger, send(FIRST, 7000), BLOCKED);
  await fixture.passes(bank, stranger, send(FIRST, 7000));
});

test("§2 labelSelector, where present, is what selects", async () => {
  const { metadata, ...rest } = profile("nobody", [egress(app, to(FIRST, 7000))]);
  const labelSelector = { matchExpressions: [{ key: "app", operator: "In" as const, values: ["shop", "bank"] }] };
  await fixture.agent.apply({ ...rest, metadata, spec: { ...rest.spec, labelSelector } });
  await fixture.stops(shop, stranger, send(FIRST, 7000), BLOCKED);
  await fixture.stops(bank, stranger, send(FIRST, 7000), BLOCKED);
  await fixture.passes(club, stranger, send(FIRST, 7000));
});

test("§2 bookkeeping labels do not select, and no usable label never means every workload", async () => {
  const base = profile("shop", [egress(app, to(FIRST, 7000))]);
  const labels = { "app.kubernetes.io/managed-by": "helm", "helm.sh/chart": "x", "argocd.argoproj.io/instance": "y" };
  await fixture.agent.apply({ ...base, metadata: { name: "managed", labels: { app: "shop", ...labels } } });
  await fixture.stops(shop, stranger, send(FIRST, 7000), BLOCKED);
  await fixture.agent.apply({ ...base, metadata: { name: "unusable", labels } });
  for (const place of [shop, bank, club]) await fixture.passes(place, stranger, send(FIRST, 7000));
});

test("§2 a profile selects workloads of its own namespace only", async () => {
  const base = profile("shop", [egress(app, to(FIRST, 7000))]);
  await fixture.agent.apply({ ...base, metadata: { ...base.metadata, namespace: "elsewhere" } });
  await fixture.passes(shop, stranger, send(FIRST, 7000));
});

test("§2 several profiles: a process may do what any of them allows it, rule by rule", async () => {
  await fixture.agent.apply(
    profile("shop", [egress(app, to(FIRST, 7001))], { name: "one" }),
    profile("shop", [egress(app, to(SECOND, 7002))], { name: "two" }),
  );
  await fixture.passes(shop, app, send(FIRST, 7001));
  await fixture.passes(shop, app, send(SECOND, 7002));
  await fixture.stops(shop, app, send(FIRST, 7002), { reason: "Port" });
  await fixture.stops(shop, app, send(SECOND, 7001), { reason: "Port" });
});

test("§2 every verdict names the profiles behind it", async () => {
  const mark = fixture.agent.events.mark();
  await fixture.passes(shop, app, send(SECOND, 7002));
  const allowed = await fixture.violation({ verdict: "allowed", reason: "Allowed", path: app }, mark);
  assert.deepEqual(allowed.profiles, ["default/two"]);
  const denied = await fixture.stops(shop, app, send(FIRST, 7003), { reason: "Port" });
  assert.deepEqual(denied.profiles, ["default/one", "default/two"]);
});

test("§2 several profiles: the strictest of their actions holds", async () => {
  await fixture.agent.apply(
    profile("shop", [egress(app, to(FIRST, 7001))], { name: "one", actions: ["alert"] }),
    profile("shop", [egress(app, to(SECOND, 7002))], { name: "two", actions: ["enforce"] }),
  );
  await fixture.stops(shop, stranger, send(FIRST, 7001), BLOCKED);
});

test("§9 what becomes of a workload is reported: by which profiles it is protected", async () => {
  const mark = fixture.agent.events.mark();
  await fixture.agent.apply(profile("bank", [egress(app, to(FIRST, 7000))], { name: "vault" }));
  const wanted = (event: { type: string }): event is WorkloadEvent =>
    event.type === "workload" && (event as WorkloadEvent).workload.name === bank.name;
  const event = await fixture.agent.events.waitFor("workload bank", wanted, { from: mark });
  assert.equal(event.state, "enforced");
  assert.deepEqual(event.profiles, ["default/vault"]);
  assert.deepEqual(event.interfaces, [bank.hostInterface]);
});

const NEIGHBOURS: Network = {
  egress: { ...to(FIRST, 7000), l3: { protocols: ["ipv4", "arp"] } },
  ingress: { l3: { protocols: ["arp"] } },
};

test("§3 default: traffic of processes that no profile lists is judged by it", async () => {
  await fixture.agent.apply(profile("shop", [egress(app, to(SECOND, 7002))], { default: NEIGHBOURS }));
  await fixture.passes(shop, stranger, send(FIRST, 7000));
  await fixture.stops(shop, stranger, send(FIRST, 7001), { reason: "Port" });
  await fixture.stops(shop, stranger, send(SECOND, 7002), { reason: "Peer" });
});

test("§3 default is not for listed processes", async () => {
  await fixture.passes(shop, app, send(SECOND, 7002));
  await fixture.stops(shop, app, send(FIRST, 7000), { reason: "Peer" });
});

test("§3 default, where it is there, is the whole truth: without arp no neighbour is found", async () => {
  await fixture.agent.apply(profile("shop", [egress(app, to(FIRST, 7000))], { default: { egress: to(FIRST, 7000) } }));
  assert.match(fixture.agent.diagnostics, /neighbour|arp/i, "and there is a warning");
  runIn(shop.name, "ip", "neigh", "flush", "all");
  const mark = fixture.agent.events.mark();
  assert.notEqual((await fixture.run(shop, app, `timeout 300 ${send(FIRST, 7000)}`)).code, 0);
  await fixture.violation({ reason: "Ethertype", proto: "arp", path: null }, mark);
});

test("§3 an entry without network: this process may do nothing", async () => {
  await fixture.agent.apply(profile("shop", [{ path: app }, entry(stranger, { egress: to(FIRST, 7000) })]));
  await fixture.passes(shop, stranger, send(FIRST, 7000));
  await fixture.stops(shop, app, send(FIRST, 7000), { reason: "Peer" });
});
