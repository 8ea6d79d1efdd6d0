/** Section 3, scripts: a listed script has its rights from its first packet on, and whatever else its interpreter runs has not. */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { test } from "node:test";
import type { EgressRules } from "../../src/api/types.ts";
import { Fixture } from "./harness/fixture.ts";
import { bindMount, bindSystem, makeImage, mountOverlay } from "./harness/images.ts";
import { egress, profile } from "./harness/profiles.ts";

const SERVER = "198.51.100.1";
const RIGHTS: EgressRules = { cidr4: [`${SERVER}/32`], l4: { protocols: ["udp"] } };
const PYTHON = "/usr/bin/python3";

const fixture = await Fixture.start("scripts", { apps: ["shop"], startAgent: false });
const shop = fixture.workload("shop");
const python = fixture.program("python3.11", PYTHON);

/** A program in Python that sends its first argument in so many datagrams. Exit status 3 if no answer comes to any. */
function scriptText(shebang: string, datagrams = 1): string {
  return `#!${shebang}
import os, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(${1 / datagrams})
for attempt in range(${datagrams}):
    s.sendto(sys.argv[1].encode(), ("${SERVER}", 7000))
    try: sys.exit(len(s.recv(100)) == 0)
    except TimeoutError: pass
sys.exit(3)
`;
}

function script(path: string, shebang = `${python} -I`): string {
  writeFileSync(path, scriptText(shebang), { mode: 0o755 });
  return path;
}

mkdirSync(fixture.path("jobs"));
mkdirSync(fixture.path("evil"));
const listed = script(fixture.path("bin", "listed"));
const other = script(fixture.path("bin", "other"));
const job = script(fixture.path("jobs", "job"));
const evil = fixture.path("evil", "job");
writeFileSync(evil, scriptText(`${python} -I`, 10), { mode: 0o755 });
const ledByEnv = fixture.path("bin", "led-by-env");
writeFileSync(
  ledByEnv,
  scriptText("/usr/bin/env python3").replace(
    "s = socket",
    `if sys.argv[1] == "again": os.execv("${PYTHON}", ["${PYTHON}", sys.argv[0], sys.argv[2]])\ns = socket`,
  ),
  { mode: 0o755 },
);
const link = fixture.path("bin", "link");
symlinkSync(listed, link);

makeImage(fixture.path("image"), {
  "opt/job": { text: scriptText(`${PYTHON} -I`) },
  "opt/changed": { text: scriptText(`${PYTHON} -I`) },
});
const root = mountOverlay(fixture.path("overlay"), fixture.path("image"));
writeFileSync(`${root}/opt/changed`, scriptText(`${PYTHON} -I`));
bindSystem(root);

fixture.agent.write(
  profile(
    "shop",
    [listed, job, ledByEnv, "/opt/job", "/opt/changed"].map((path) => egress(path, RIGHTS)),
  ),
);
await fixture.agent.start();

/** Runs it while the agent is stopped: what is known is known in the kernel. */
async function runUnwatched(program: string, args: (tag: string) => string[]) {
  const tag = fixture.tag();
  process.kill(fixture.agent.pid, "SIGSTOP");
  try {
    const { code, stderr } = await fixture.run(shop, program, args(tag));
    return { code, stderr, received: (await fixture.servers.received(tag)).length };
  } finally {
    process.kill(fixture.agent.pid, "SIGCONT");
  }
}

/** A folder in which a name leads to a program. */
function pathTo(name: string, program: string): string {
  const folder = fixture.path(`path${fixture.tag()}`);
  mkdirSync(folder);
  symlinkSync(program, `${folder}/${name}`);
  return folder;
}

/** Nothing that it sends arrives, and the events say that its interpreter did it. */
async function stops(
  program: string,
  args: (tag: string) => string[],
  {
    interpreter = python,
    reason = "BinaryUnknown",
  }: { interpreter?: string; reason?: "BinaryUnknown" | "BinaryModified" } = {},
): Promise<void> {
  const [mark, tag] = [fixture.agent.events.mark(), fixture.tag()];
  const { code, stderr } = await fixture.run(shop, program, args(tag));
  assert.equal(code, 3, stderr);
  await fixture.violation({ reason, path: interpreter }, mark);
  assert.deepEqual(await fixture.servers.received(tag), []);
}

test("§3 a listed script is itself from its first packet on, whether or not an agent is at work", async () => {
  const { code, stderr, received } = await runUnwatched(listed, (tag) => [tag]);
  assert.deepEqual({ code, received }, { code: 0, received: 1 }, stderr);
});

test("§3 events name the script, and its interpreter", async () => {
  const mark = fixture.agent.events.mark();
  assert.equal((await fixture.run(shop, listed, [fixture.tag()])).code, 0);
  const event = await fixture.violation({ verdict: "allowed", reason: "Allowed", path: python }, mark);
  assert.equal(event.process?.script, listed);
});

test("§3 a relative name from a directory that is the process's own", async () => {
  const { code, received } = await runUnwatched("/bin/sh", (tag) => [
    "-c",
    `cd ${fixture.path("bin")}; exec ./../jobs/job ${tag}`,
  ]);
  assert.deepEqual({ code, received }, { code: 0, received: 1 });
});

test("§3 in an overlay, the image's script is itself, and one that was changed is its interpreter", async () => {
  assert.deepEqual((await runUnwatched("/bin/busybox", (tag) => ["chroot", root, "/opt/job", tag])).code, 0);
  await stops("/bin/busybox", (tag) => ["chroot", root, "/opt/changed", tag], { interpreter: realpathSync(PYTHON) });
});

test("§3 a listed script that begins with #!/usr/bin/env is itself, whatever PATH leads to", async () => {
  const PATH = pathTo("python3", python);
  const { code, stderr, received } = await runUnwatched("/usr/bin/env", (tag) => [`PATH=${PATH}`, ledByEnv, tag]);
  assert.deepEqual({ code, received }, { code: 0, received: 1 }, stderr);
});

test("§3 what an interpreter that env led to executes is not the script", async () => {
  const tag = fixture.tag();
  const PATH = pathTo("python3", PYTHON);
  await stops("/usr/bin/env", () => [`PATH=${PATH}`, ledByEnv, "again", tag], { interpreter: realpathSync(PYTHON) });
});

test("§3 attack: PATH leads env to another program of the image", async () => {
  const sender = fixture.program("sender");
  const [mark, tag] = [fixture.agent.events.mark(), fixture.tag()];
  const send = `timeout 250 udp4 sendto ${SERVER} 7000 ${tag} recv`;
  const command = `PATH=${pathTo("python3", sender)} ${ledByEnv} ${send}`;
  const { code, stderr } = await fixture.run(shop, "/usr/bin/env", command);
  assert.equal(code, 3, stderr);
  await fixture.violation({ reason: "BinaryUnknown", path: sender }, mark);
  assert.deepEqual(await fixture.servers.received(tag), []);
});

test("§3 attack: PATH leads env to another program of the image, whose name begins with the interpreter's", async () => {
  // As phpdbg is in the image of php: it does whatever its standard input says.
  const debug = fixture.program("python3-dbg");
  const [mark, tag] = [fixture.agent.events.mark(), fixture.tag()];
  const send = `timeout 250 udp4 sendto ${SERVER} 7000 ${tag} recv`;
  const command = `PATH=${pathTo("python3", debug)} ${ledByEnv} ${send}`;
  const { code, stderr } = await fixture.run(shop, "/usr/bin/env", command);
  assert.equal(code, 3, stderr);
  await fixture.violation({ reason: "BinaryUnknown", path: debug }, mark);
  assert.deepEqual(await fixture.servers.received(tag), []);
});

test("§3 attack: PATH leads env to a script", async () => {
  const impostor = fixture.path("impostor");
  writeFileSync(impostor, scriptText(`${python} -I`).replace("sys.argv[1]", "sys.argv[2]"), { mode: 0o755 });
  const PATH = pathTo("python3", impostor);
  await stops("/usr/bin/env", (tag) => [`PATH=${PATH}`, ledByEnv, tag]);
});

test("§3 a script that no profile lists is its interpreter", async () => {
  await stops(other, (tag) => [tag]);
});

test("§3 a listed script given to its interpreter as an argument is the interpreter", async () => {
  await stops(python, (tag) => [listed, tag]);
});

test("§3 a symbolic link to a listed script is the interpreter: it will follow the link anew", async () => {
  await stops(link, (tag) => [tag]);
});

test("§3 a descriptor of a listed script is the interpreter", async () => {
  const program = `import os, sys
file = os.open("${listed}", os.O_RDONLY)
os.set_inheritable(file, True)
os.execve(file, ["job", sys.argv[1]], {})`;
  await stops(PYTHON, (tag) => ["-c", program, tag]);
});

/** Executes `path` in a child that shares directories with its parent, which changes them once the interpreter has begun. */
function swap(path: string, change: string): string {
  return `import ctypes, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
os.chdir("${fixture.path("jobs")}")
child = libc.syscall(56, 0x200 | signal.SIGCHLD, 0, 0, 0, 0) # clone(CLONE_FS)
if child == 0:
    os.execv("${path}", ["${path}", sys.argv[1]])
while os.readlink(f"/proc/{child}/exe") != "${python}": pass
os.kill(child, signal.SIGSTOP)
while " T " not in open(f"/proc/{child}/stat").read(): pass
${change}
os.kill(child, signal.SIGCONT)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))`;
}

test("§3 attack: a relative name, and a working directory that another process changes", async () => {
  await stops(PYTHON, (tag) => ["-c", swap("./job", `os.chdir("${fixture.path("evil")}")`), tag], {
    reason: "BinaryModified",
  });
});

test("§3 attack: a root directory that another process changes", async () => {
  const elsewhere = fixture.path("elsewhere");
  mkdirSync(elsewhere);
  bindMount(elsewhere, elsewhere);
  bindSystem(elsewhere);
  mkdirSync(dirname(elsewhere + listed), { recursive: true });
  copyFileSync(evil, elsewhere + listed);
  await stops(PYTHON, (tag) => ["-c", swap(listed, `os.chroot("${elsewhere}")`), tag], { reason: "BinaryModified" });
});

test("§3 attack: another script, with descriptors of a listed one that are closed on exec", async () => {
  const program = `import os, sys
for count in range(int(sys.argv[1])): os.open("${listed}", os.O_RDONLY)
os.execv("${other}", ["${other}", sys.argv[2]])`;
  for (const count of ["1", "700"]) await stops(PYTHON, (tag) => ["-c", program, count, tag]);
});

test("§3 a listed script is itself with descriptors of other files that are closed on exec", async () => {
  const program = `import os, sys
for count in range(100): os.open("${other}", os.O_RDONLY)
os.execv("${listed}", ["${listed}", sys.argv[1]])`;
  const { code, received } = await runUnwatched(PYTHON, (tag) => ["-c", program, tag]);
  assert.deepEqual({ code, received }, { code: 0, received: 1 });
});
