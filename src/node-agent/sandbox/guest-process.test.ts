import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, findCommand, type GuestProcess, spawnGuest } from "./guest-process.ts";

const folder = mkdtempSync(join(tmpdir(), "pc-wl-"));
const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const place = {
  netnsPath: "/proc/self/ns/net",
  resolvConf: file("inside.conf", "nameserver 169.254.53.53\n"),
  resolvConfTarget: file("outside.conf", "nameserver 192.0.2.1\n"),
};

after(() => rmSync(folder, { recursive: true }));

/** Output and exit code of a command in the place. */
async function output(hidden: string[], ...command: [string, ...string[]]): Promise<{ text: string; code: number }> {
  const guest = spawnGuest({ ...place, hidden }, command, { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  guest.child.stdout?.on("data", (chunk) => {
    text += String(chunk);
  });
  await once(guest.child, "close");
  await guest.end();
  return { text, code: await guest.exitCode };
}

function start(...command: [string, ...string[]]): GuestProcess {
  return spawnGuest({ ...place, hidden: [] }, command, { stdio: ["pipe", "pipe", "inherit"] });
}

test("the command sees its resolv.conf, and nobody else does", async () => {
  const { text, code } = await output([], "cat", place.resolvConfTarget);
  assert.deepEqual({ text, code }, { text: "nameserver 169.254.53.53\n", code: 0 });
  assert.equal(readFileSync(place.resolvConfTarget, "utf8"), "nameserver 192.0.2.1\n");
});

test("hidden files are empty for the command; those that are not there do not matter", async () => {
  const hidden = file("socket", "something");
  assert.equal((await output([hidden, `${hidden}-not`], "cat", hidden)).text, "");
});

test("arguments reach the command as they are", async () => {
  assert.equal((await output([], "printf", "%s|", "a b", "$HOME", "--", "")).text, "a b|$HOME|--||");
});

test("the process that is spawned is the command, by its second number in a PID namespace of its own", async () => {
  const guest = start("sh", "-c", "echo $$; read line");
  await once(guest.child.stdout ?? assert.fail(), "data");
  assert.match(readFileSync(`/proc/${guest.pid}/status`, "utf8"), /^NSpid:\t.*\b2$/m);
  assert.match(readFileSync(`/proc/${guest.pid}/cmdline`, "utf8"), /^sh\0-c\0echo/);
  guest.child.stdin?.end();
  assert.equal(await guest.exitCode, 1);
  await guest.end();
});

test("what it leaves is waited for by somebody, and ends with it", async () => {
  const guest = start("sh", "-c", "(sleep 0.1 & sleep 60 &); sleep 0.3; ps -eo stat,comm; read line");
  const [chunk] = (await once(guest.child.stdout ?? assert.fail(), "data")) as [Buffer];
  assert.doesNotMatch(String(chunk), /^Z/m);
  assert.match(String(chunk), /sleep/);
  await guest.end();
  assert.equal(await guest.exitCode, 128 + 9);
});

test("what cannot be set up ends with 125", async () => {
  const guest = spawnGuest({ ...place, resolvConf: "/nowhere", hidden: [] }, ["true"], { stdio: "ignore" });
  assert.equal(await guest.exitCode, 125);
  await guest.end();
});

test("a command is found by path, by the search path, or not", () => {
  const script = file("tool", "#!/bin/sh\n");
  const env = { PATH: `/nowhere:${folder}` };
  assert.throws(() => findCommand("tool", { env }), { code: "PC_RUN_COMMAND", exitCode: EXIT_NOT_EXECUTABLE });
  chmodSync(script, 0o755);
  assert.equal(findCommand("tool", { env }), script);
  assert.equal(findCommand("./tool", { cwd: folder }), script);
  assert.throws(() => findCommand("other", { env }), { exitCode: EXIT_NOT_FOUND });
  assert.throws(() => findCommand(folder, { env }), { exitCode: EXIT_NOT_EXECUTABLE });
});
