/**
 * Section 3: root of a container makes cgroups of its own below the container's, which takes a user namespace and a cgroup
 * namespace, and moves processes there. They stay their container's.
 */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readdirSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import type { EgressRules } from "../../src/api/types.ts";
import { CLOCK, readClock } from "../../src/node-agent/ffi/libc.ts";
import { cgroupRoot } from "../../src/node-agent/kernel/mounts.ts";
import { openMap } from "../../src/node-agent/kernel/typed-maps.ts";
import { Fixture } from "./harness/fixture.ts";
import { bindMount, makeImage } from "./harness/images.ts";
import { egress, profile } from "./harness/profiles.ts";

const SERVER = "198.51.100.1";
const RIGHTS: EgressRules = { cidr4: [`${SERVER}/32`], l4: { protocols: ["udp"] } };
const SEND = `udp4 sendto ${SERVER} 7000 TAG recv`;
/** Change times are as of the last tick of the clock, 100 to 1,000 of them a second. */
const COARSE_CLOCK_MS = 20;

const fixture = await Fixture.start("nested", { apps: ["shop"], startAgent: false });
const shop = fixture.workload("shop");
const app = fixture.program("app");
const stranger = fixture.program("stranger");
fixture.agent.write(
  profile(
    "shop",
    [app, "/opt/app/run"].map((path) => egress(path, RIGHTS)),
  ),
);
await fixture.agent.start();

const group = join(cgroupRoot(), fixture.name);
mkdirSync(group);
after(() => removeGroup(group));

/** Whatever was in it has ended. */
function removeGroup(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeGroup(join(folder, entry.name));
  }
  rmdirSync(folder);
}

/** `nest NAME PID` moves a process to a cgroup of that name below the caller's own, as root of a container may. */
const nest = fixture.path("bin", "nest");
const MOVE = 'mount -t cgroup2 none "$0" && mkdir "$0/$1" && echo "$2" >"$0/$1/cgroup.procs"';
writeFileSync(nest, `#!/bin/sh\nexec unshare -UrmC sh -c '${MOVE}' ${fixture.path("cgroups")} "$@"\n`, { mode: 0o755 });
mkdirSync(fixture.path("cgroups"));

/** Runs commands as a container's first process, 1, and then one as its child: in a PID namespace and a cgroup of their own. */
function inContainer(first: string, child: string) {
  return fixture.run(shop, "/usr/bin/unshare", [
    "-pf",
    "sh",
    "-c",
    `echo 0 >${group}/cgroup.procs && ${first} && sh -c '${child}'; exit $?`,
  ]);
}

for (const [who, first, child] of [
  ["nobody", "true", "true"],
  ["who starts it", "true", `${nest} child $$`],
  ["the container's first process", "true", `${nest} first 1`],
] as const) {
  test(`§3 attack: a listed program is started with LD_PRELOAD, and ${who} is moved to a cgroup below the container's`, async () => {
    const [mark, tag] = [fixture.agent.events.mark(), fixture.tag()];
    const preloaded = `LD_PRELOAD=/lib/x86_64-linux-gnu/libm.so.6 exec ${app} timeout 250 ${SEND.replace("TAG", tag)}`;
    const { code, stderr } = await inContainer(first, `${child} && ${preloaded}`);
    assert.equal(code, 3, stderr);
    await fixture.violation({ reason: "BinaryModified", path: app }, mark);
    assert.deepEqual(await fixture.servers.received(tag), []);
  });
}

test("§3 attack: without an overlay, a listed file is written over, and executed in a cgroup below the container's", async () => {
  using containers = openMap(fixture.agent.pinRoot, "containers");
  const written = fixture.path("written");
  makeImage(written, { "opt/app/run": { copyOf: app } });
  bindMount(written, written);
  containers.set(statSync(group, { bigint: true }).ino, {
    started: readClock(CLOCK.REALTIME),
    id: 1,
    flags: 0,
    netnsInum: 0,
  });
  await new Promise((settle) => setTimeout(settle, COARSE_CLOCK_MS));
  copyFileSync(stranger, `${written}/opt/app/run`);
  const [mark, tag] = [fixture.agent.events.mark(), fixture.tag()];
  const attack = `exec ${stranger} pivot ${written} exec /opt/app/run timeout 250 ${SEND.replace("TAG", tag)}`;
  const { code, stderr } = await inContainer("true", `${nest} written $$ && ${attack}`);
  assert.equal(code, 3, stderr);
  await fixture.violation({ reason: "BinaryModified", path: "/opt/app/run" }, mark);
  assert.deepEqual(await fixture.servers.received(tag), []);
});

test("§9 what a container's processes make the kernel remember counts as their workload's, in cgroups and network namespaces of their own", async () => {
  using containers = openMap(fixture.agent.pinRoot, "containers");
  using claims = openMap(fixture.agent.pinRoot, "claims");
  const inner = join(group, "inner");
  mkdirSync(inner);
  const netnsInum = statSync(`/run/netns/${shop.name}`).ino;
  for (const folder of [group, inner]) {
    containers.set(statSync(folder, { bigint: true }).ino, { started: 0n, id: 1, flags: 0, netnsInum });
  }
  const unheardOf = fixture.program("unheard-of");
  const { code, stderr } = await inContainer(
    "true",
    `echo $$ >${inner}/cgroup.procs && unshare -n ${unheardOf} sleep 1`,
  );
  assert.equal(code, 0, stderr);
  const cgroups = new Set([group, inner].map((folder) => statSync(folder, { bigint: true }).ino));
  assert.deepEqual(
    [...claims.entries()].filter(([{ owner }]) => cgroups.has(owner)),
    [],
  );
});
