/** Section 3, `ancestors`, `notAncestors` and `users`: what led to a process, and its user, decide whether its rules are for it. */
import assert from "node:assert/strict";
import { mkdirSync, rmdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { after, test } from "node:test";
import type { EgressRules } from "../../src/api/types.ts";
import { cgroupRoot } from "../../src/node-agent/kernel/mounts.ts";
import { openMap } from "../../src/node-agent/kernel/typed-maps.ts";
import { Fixture } from "./harness/fixture.ts";
import { entry, profile } from "./harness/profiles.ts";

const SERVER = "198.51.100.1";
const SERVER6 = "2001:db8:1::1";
const RIGHTS: EgressRules = {
  cidr4: [`${SERVER}/32`],
  cidr6: [`${SERVER6}/128`],
  l4: { protocols: ["udp", "tcp"] },
};
const SEND = `udp4 sendto ${SERVER} 7000 TAG recv`;
const ASK = `tcp4 connect ${SERVER} 7000 send TAG recv`;
/** More than what is kept of the executables that led to a process: ANCESTORS_MAX of bpf/include/abi/processes.h. */
const MANY = 17;

const fixture = await Fixture.start("ancestry", { apps: ["shop"], startAgent: false });
const shop = fixture.workload("shop");
const backup = fixture.program("backup");
const shell = fixture.program("shell");
const curl = fixture.program("curl");
const below = fixture.program("below");
const notBelow = fixture.program("not-below");
const byUser = fixture.program("by-user");
const anyByUser = fixture.program("any-by-user");
const gone = fixture.program("gone");
const others = Array.from({ length: MANY }, (_, index) => fixture.program(`other${index}`));
const script = fixture.path("bin", "script");
writeFileSync(script, `#!/bin/sh\n"$@"\n`, { mode: 0o755 });
const link = fixture.path("bin", "link");
symlinkSync(shell, link);

fixture.agent.write(
  profile("shop", [
    entry(curl, { egress: RIGHTS }),
    entry(below, { egress: RIGHTS }, { ancestors: [backup, gone, script] }),
    entry(notBelow, { egress: RIGHTS }, { notAncestors: [link] }),
    entry(byUser, { egress: RIGHTS }, { users: [33] }),
    entry(anyByUser, { egress: RIGHTS }, { users: [33], binary: "Any" }),
  ]),
);
const older = fixture.start(shop, shell, `exec ${backup} fork exec ${below} wait ${SEND.replace("TAG", "older")}`);
await older.line("waiting");
await fixture.agent.start();

/** A cgroup that is there until the end. */
function cgroup(name: string): string {
  const group = join(cgroupRoot(), `${fixture.name}-${name}`);
  mkdirSync(group);
  after(() => rmdirSync(group));
  return group;
}

/** A script that moves itself to the cgroup, and executes `not-below` with its arguments, as a container's runtime executes a command. */
function enterScript(group: string): string {
  const path = fixture.path("bin", `enter-${basename(group)}`);
  writeFileSync(path, `#!/bin/sh\necho 0 >${group}/cgroup.procs && exec ${notBelow} "$@"\n`, { mode: 0o755 });
  return path;
}

test("a process has its rules below the executable that has to lead to it, by exec and by fork", async () => {
  await fixture.passes(shop, curl, SEND);
  for (const led of [`exec ${below}`, `fork exec ${below}`, `fork fork exec ${below} fork`]) {
    await fixture.passes(shop, backup, `${led} ${SEND}`);
    await fixture.passes(shop, backup, `${led} ${ASK}`);
    await fixture.passes(shop, backup, `${led} udp6 sendto ${SERVER6} 7000 TAG recv`);
  }
  await fixture.passes(shop, backup, `fork exec ${shell} exec ${others[0]} fork exec ${below} ${SEND}`);
});

test("nobody else has them: neither the executable alone, nor below others, nor by what its parent executes later", async () => {
  const reason = "Ancestry";
  for (const traffic of [SEND, ASK, `udp6 sendto ${SERVER6} 7000 TAG recv`]) {
    await fixture.stops(shop, below, traffic, { reason });
    await fixture.stops(shop, shell, `exec ${below} ${traffic}`, { reason, path: below });
  }
});

test("a daemon whose parents have ended is still what it was: with the executable above it, and with the one that must not be", async () => {
  const tag = fixture.tag();
  await fixture.run(shop, backup, `orphan orphan exec ${below} ${SEND.replace("TAG", tag)}`);
  assert.equal((await fixture.servers.received(tag)).length, 1);
  const mark = fixture.agent.events.mark();
  const stopped = fixture.tag();
  await fixture.run(shop, shell, `orphan orphan exec ${notBelow} timeout 250 ${SEND.replace("TAG", stopped)}`);
  await fixture.violation({ reason: "Ancestry", path: notBelow }, mark, shop);
  assert.deepEqual(await fixture.servers.received(stopped), []);
});

test("what must not be above a process is found wherever it is above it, by the file that its name leads to", async () => {
  await fixture.passes(shop, notBelow, SEND);
  await fixture.passes(shop, backup, `fork exec ${notBelow} ${SEND}`);
  const reason = "Ancestry";
  const path = notBelow;
  await fixture.stops(shop, shell, `exec ${notBelow} ${SEND}`, { reason, path });
  await fixture.stops(shop, shell, `fork exec ${backup} exec ${curl} fork exec ${notBelow} ${ASK}`, { reason, path });
});

test("whoever executes more than is kept hides nothing by it, and loses nothing that was there before", async () => {
  const chain = others.map((other) => `exec ${other}`).join(" ");
  const expected = { reason: "Ancestry", path: notBelow } as const;
  await fixture.stops(shop, shell, `${chain} exec ${notBelow} ${SEND}`, expected);
  await fixture.stops(shop, backup, `${chain} exec ${shell} exec ${notBelow} ${SEND}`, expected);
  await fixture.passes(shop, backup, `${chain} exec ${below} ${SEND}`);
});

test("a script that is executed leads to what it executes, and another one run by the same interpreter does not", async () => {
  const [passing, stopped] = [fixture.tag(), fixture.tag()];
  const send = (tag: string) => ["timeout", "250", ...SEND.replace("TAG", tag).split(" ")];
  const finished = await fixture.run(shop, script, [below, ...send(passing)]);
  assert.equal(finished.code, 0, finished.stderr);
  const mark = fixture.agent.events.mark();
  await fixture.run(shop, "/bin/sh", [script, below, ...send(stopped)]);
  await fixture.violation({ reason: "Ancestry", path: below }, mark, shop);
  assert.deepEqual(await fixture.servers.received(stopped), []);
});

test("a file that is not the image's own any more is not the executable that has to lead to a process", async () => {
  await fixture.passes(shop, shell, `exec ${gone} exec ${below} ${SEND}`);
  await fixture.stops(shop, shell, `deletedexec ${gone} exec ${below} ${SEND}`, { reason: "Ancestry", path: below });
});

test("what led to a process that is older than the agent is known by its parents", async () => {
  older.tell();
  assert.equal((await older.finish()).code, 0);
});

test("what came into a container's cgroup from outside is not the container's", async () => {
  const group = cgroup("container");
  using containers = openMap(fixture.agent.pinRoot, "containers");
  const netnsInum = statSync(`/run/netns/${shop.name}`).ino;
  containers.set(statSync(group, { bigint: true }).ino, { started: 0n, id: 1, flags: 0, netnsInum });
  await fixture.passes(shop, shell, `exec ${enterScript(group)} ${SEND}`);
  await fixture.stops(shop, shell, `exec ${enterScript(group)} exec ${shell} exec ${notBelow} ${SEND}`, {
    reason: "Ancestry",
    path: notBelow,
  });
});

test("attack: nobody gets rid of what led to them by a cgroup of their own", async () => {
  const enter = enterScript(cgroup("own"));
  await fixture.stops(shop, shell, `exec ${enter} ${SEND}`, { reason: "Ancestry", path: notBelow });
});

test("a process has its rules while its effective user is listed, when it makes, connects and uses a socket", async () => {
  await fixture.passes(shop, byUser, `user 33 ${SEND}`);
  await fixture.passes(shop, byUser, `user 33 ${ASK}`);
  const reason = "User";
  await fixture.stops(shop, byUser, SEND, { reason });
  await fixture.stops(shop, byUser, `user 34 ${ASK}`, { reason });
  await fixture.stops(shop, byUser, `udp4 user 33 sendto ${SERVER} 7000 TAG recv`, { reason });
  await fixture.stops(shop, byUser, `user 33 udp4 connect ${SERVER} 7000 user 0 send TAG recv`, { reason });
  await fixture.stops(shop, byUser, `user 33 tcp4 connect ${SERVER} 7000 user 0 send TAG recv`, { reason });
});

test("nobody gets another number by a user namespace of their own", async () => {
  await fixture.passes(shop, anyByUser, `user 33 ${SEND}`);
  await fixture.stops(shop, anyByUser, `ownusers 33 ${SEND}`, { reason: "User" });
  await fixture.stops(shop, byUser, `ownusers 33 ${SEND}`, { reason: "BinaryModified" });
});
