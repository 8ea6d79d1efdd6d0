/** Files of others, made so that a look at them lasts for ever: who looks is another process, and nobody else waits. */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { SILENT } from "../enforce/testing/workloads.ts";
import { ForeignFiles } from "./foreign-files.ts";
import { HAS_FUSE, hangAt, OWN_FILES } from "./testing/hung-files.ts";

const LIMIT_MS = 1000;
/** As in foreign-files.ts. */
const RESTART_MS = 1000;
const folder = mkdtempSync(join(tmpdir(), "pc-foreign-"));
const files = new ForeignFiles({ log: SILENT, limit: LIMIT_MS });
const children: ChildProcess[] = [];
after(() => {
  files.close();
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

/** A root folder with an /etc. */
function makeRoot(name: string): string {
  const root = join(folder, name);
  mkdirSync(join(root, "etc"), { recursive: true });
  return root;
}

/** Runs shell in a mount namespace of its own until its first line. @returns the pid of what it has become */
async function inOwnMounts(script: string): Promise<{ pid: number; end: () => Promise<void> }> {
  const child = spawn("unshare", [...OWN_FILES, "sh", "-c", script], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  await new Promise((settle) => child.stdout.once("data", settle));
  const pid = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim());
  const end = async () => {
    child.kill("SIGKILL");
    // What has ended and is not waited for yet has no namespaces.
    while (existsSync(`/proc/${pid}/ns/net`)) await sleep(10);
  };
  return { pid, end };
}

const links = (workload: string, root: string, path: string) =>
  files
    .ask(workload, "links", { roots: [root], rootMount: null, paths: [path], planted: [path] })
    .then((found) => found[path]);

test("who has hung files waits for himself alone, is told so, and is looked at again when they answer", {
  skip: !HAS_FUSE && "no FUSE here",
}, async () => {
  const root = makeRoot("hung");
  symlinkSync("passwd", join(makeRoot("other"), "etc/link"));
  writeFileSync(join(folder, "other/etc/passwd"), "");
  const hung = await inOwnMounts(hangAt(join(root, "etc")));
  const there = `/proc/${hung.pid}/root${root}`;
  let isLate = false;
  const late = assert.rejects(links("hostile", there, "/etc/x"), { code: "PC_FILES_HUNG" }).then(() => {
    isLate = true;
  });
  const behind = assert.rejects(links("hostile", there, "/etc/y"), { code: "PC_FILES_HUNG" });
  for (let turn = 0; turn < 20; turn += 1) {
    assert.equal(await links("honest", join(folder, "other"), "/etc/link"), "/etc/passwd");
  }
  assert.equal(isLate, false, "the honest one has waited");
  await Promise.all([late, behind]);
  assert.equal(files.problemOf("hostile")?.code, "PC_FILES_HUNG");
  assert.equal(files.problemOf("honest"), null);
  await assert.rejects(links("hostile", there, "/etc/x"), { code: "PC_FILES_HUNG" });
  await hung.end();
  for (let turn = 0; files.problemOf("hostile") !== null && turn < 300; turn += 1) await sleep(10);
  assert.equal(files.problemOf("hostile"), null);
  assert.equal(await links("hostile", makeRoot("healed"), "/etc/x"), "/etc/x");
});

test("a process ends although a look of its helper hangs", { skip: !HAS_FUSE && "no FUSE here" }, async () => {
  const root = makeRoot("left");
  const hung = await inOwnMounts(hangAt(join(root, "etc")));
  const program = `
    import { ForeignFiles } from "${join(import.meta.dirname, "foreign-files.ts")}";
    const log = { warn() {}, error() {} };
    const files = new ForeignFiles({ log, limit: 100 });
    await files.ask("b", "links", { roots: ["/"], rootMount: null, paths: ["/"], planted: [] });
    await files.ask("a", "links", { roots: ["/proc/${hung.pid}/root${root}"], rootMount: null, paths: ["/etc/x"], planted: [] }).catch(({ code }) => console.log(code));
    files.close();`;
  const args = ["--disable-warning=ExperimentalWarning", "--input-type=module", "--eval", program];
  assert.equal(execFileSync(process.execPath, args, { timeout: 5000 }).toString().trim(), "PC_FILES_HUNG");
  await hung.end();
});

test("questions of one workload that nobody gets to are refused beyond a bound", async () => {
  const root = makeRoot("many");
  const asked = Array.from({ length: 100 }, () =>
    links("many", root, "/etc/x").then(
      () => "answered",
      ({ code }) => code,
    ),
  );
  const outcomes = Map.groupBy(await Promise.all(asked), (outcome) => outcome);
  assert.deepEqual(new Set(outcomes.keys()), new Set(["answered", "PC_FILES_BUSY"]));
  assert.ok((outcomes.get("answered")?.length ?? 0) >= 64);
});

test("loops, deep folders, FIFOs, devices, endless and huge files are an answer within the limit", async () => {
  const root = makeRoot("odd");
  symlinkSync("loop", join(root, "etc/loop"));
  assert.equal(await links("odd", root, "/etc/loop/x"), "/etc/loop/x");
  const deep = `/${"d/".repeat(200)}file`;
  execFileSync("mkdir", ["-p", join(root, deep)], { stdio: "pipe" });
  assert.equal(await links("odd", root, deep), deep);
  const resolvers = {
    fifo: `rm -f R; mkfifo R`,
    device: `: > R; mount --bind /dev/zero R`,
    sparse: `printf 'search a.example\\n' > R; truncate -s 1T R`,
    kernel: `: > R; mount --bind /proc/kmsg R`,
    link: `rm -f R; ln -s loop R`,
  };
  for (const [name, script] of Object.entries(resolvers)) {
    const own = makeRoot(name);
    execFileSync("cp", ["/bin/busybox", join(own, "busybox")]);
    const make = script.replaceAll("R", join(own, "etc/resolv.conf"));
    const { pid, end } = await inOwnMounts(
      `${make}; exec chroot ${own} /busybox sh -c 'echo ready; exec /busybox sleep 60'`,
    );
    const found = await files.ask(name, "searchDomains", { pid });
    assert.deepEqual(found, name === "sparse" ? ["a.example"] : name === "kernel" ? [] : null, name);
    await end();
  }
});

test("of a process with 10,000 mounts nothing is concluded, and it takes no longer than others", async () => {
  const target = makeRoot("mounts");
  const mountMany = `import ctypes; libc = ctypes.CDLL(None)
import os
for folder in range(100):
    path = f"${target}/etc/{folder}".encode()
    os.mkdir(path)
    for _ in range(100): libc.mount(path, path, None, 4096, None)
print("ready", flush=True)
import time; time.sleep(60)`;
  const { pid, end } = await inOwnMounts(`exec /usr/bin/python3 -c '${mountMany}'`);
  const began = performance.now();
  assert.equal(await files.ask("mounts", "mounts", { pid, podUid: "u" }), null);
  assert.ok(performance.now() - began < LIMIT_MS);
  await end();
});

test("a helper that is killed is replaced; who has waited for it gets an error", async () => {
  const helpers = () =>
    readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, "utf8")
      .split(" ")
      .filter((pid) => pid !== "" && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("helper.ts"));
  const [helper] = helpers();
  assert.ok(helper);
  process.kill(Number(helper), "SIGKILL");
  const root = makeRoot("again");
  await assert.rejects(links("again", root, "/etc/x"), { code: "PC_FILES_HELPER" });
  await sleep(1100);
  assert.equal(await links("again", root, "/etc/x"), "/etc/x");
  assert.notDeepEqual(helpers(), [helper]);
});

test("a helper that cannot be started, as in a fork bomb, is tried again; who has asked gets an error at once", async () => {
  using others = new ForeignFiles({ log: SILENT, limit: LIMIT_MS });
  const ask = () => others.ask("shop", "links", { roots: [makeRoot("shop")], rootMount: null, paths: [], planted: [] });
  const node = process.execPath;
  process.execPath = join(folder, "not-there");
  try {
    await assert.rejects(ask(), { code: "PC_FILES_HELPER" });
  } finally {
    process.execPath = node;
  }
  await sleep(RESTART_MS);
  assert.deepEqual(await ask(), {});
});
