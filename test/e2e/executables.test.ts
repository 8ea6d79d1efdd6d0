/** Section 3: which executable a process is, whatever was typed, linked, mounted or changed. */
import assert from "node:assert/strict";
import { appendFileSync, copyFileSync, linkSync, mkdirSync, symlinkSync } from "node:fs";
import { test } from "node:test";
import type { EgressRules } from "../../src/api/types.ts";
import { Fixture } from "./harness/fixture.ts";
import { bindMount, makeImage, mountOverlay } from "./harness/images.ts";
import { egress, entry, profile } from "./harness/profiles.ts";

const SERVER = "198.51.100.1";
const RIGHTS: EgressRules = { cidr4: [`${SERVER}/32`], l4: { protocols: ["udp"] } };
const SEND = `udp4 sendto ${SERVER} 7000 TAG recv`;

const fixture = await Fixture.start("executables", { apps: ["shop"], startAgent: false });
const shop = fixture.workload("shop");
const app = fixture.program("app");
const stranger = fixture.program("stranger");

const linkedFile = fixture.program("linked-file");
symlinkSync("linked-file", fixture.path("bin", "listed-link"));
linkSync(app, fixture.path("bin", "hard-link"));
mkdirSync(fixture.path("volume"));
const onVolume = fixture.path("mounted", "app");
copyFileSync(app, fixture.path("volume", "app"));
mkdirSync(fixture.path("mounted"));
bindMount(fixture.path("volume"), fixture.path("mounted"));
const busybox = fixture.program("busybox", "/bin/busybox");
const applet = fixture.path("bin", "wget");
linkSync(busybox, applet);
mkdirSync(fixture.path("applets"));
symlinkSync(busybox, fixture.path("applets", "wget"));
const anyBinary = fixture.program("any-binary");

makeImage(fixture.path("image"), {
  "opt/app": { copyOf: app },
  "opt/changed": { copyOf: app },
  "opt/any": { copyOf: app },
  "opt/launcher": { copyOf: app },
});
const root = mountOverlay(fixture.path("overlay"), fixture.path("image"));
// What happens in a container after its start: a listed file is changed, another one is put in its place.
appendFileSync(`${root}/opt/changed`, "\0");
appendFileSync(`${root}/opt/any`, "\0");
copyFileSync(app, `${root}/opt/created`);
mkdirSync(fixture.path("fakeroot", "opt"), { recursive: true });
copyFileSync(stranger, fixture.path("fakeroot", "opt", "app"));

fixture.agent.write(
  profile("shop", [
    egress(app, RIGHTS),
    egress(fixture.path("bin", "listed-link"), RIGHTS),
    egress(onVolume, RIGHTS),
    egress(applet, { cidr4: [`${SERVER}/32`], l4: { protocols: ["tcp"] } }),
    entry(anyBinary, { egress: RIGHTS }, { binary: "Any" }),
    ...["/opt/app", "/opt/changed", "/opt/created"].map((path) => egress(path, RIGHTS)),
    entry("/opt/any", { egress: RIGHTS }, { binary: "Any" }),
  ]),
);
await fixture.agent.start();

test("§3 a path is the file, not what was typed: ./app", async () => {
  await fixture.passes(shop, "/bin/sh", `-c cd\t${fixture.path("bin")}&&exec\t./app\t${SEND.replaceAll(" ", "\t")}`);
});

test("§3 a path is the file, not what was typed: another argv[0]", async () => {
  const command = (name: string, program: string) =>
    ["-c", `exec -a ${name} ${program} timeout 250 ${SEND.replace("TAG", fixture.tag())}`] as const;
  assert.equal((await fixture.run(shop, "/bin/bash", command("x", app))).code, 0);
  const mark = fixture.agent.events.mark();
  assert.equal((await fixture.run(shop, "/bin/bash", command(app, stranger))).code, 3);
  await fixture.violation({ reason: "BinaryUnknown", path: stranger }, mark);
});

test("§3 a symlink is the file that it leads to", async () => {
  symlinkSync(app, fixture.path("bin", "alias"));
  symlinkSync(stranger, fixture.path("bin", "impostor"));
  await fixture.passes(shop, fixture.path("bin", "alias"), SEND);
  await fixture.stops(shop, fixture.path("bin", "impostor"), SEND, { reason: "BinaryUnknown", path: stranger });
});

test("§3 a profile path that is a symlink is resolved when the workload is bound", async () => {
  await fixture.passes(shop, fixture.path("bin", "listed-link"), SEND);
  await fixture.passes(shop, linkedFile, SEND);
});

test("§3 the status says which names share the rights of a file", async () => {
  const { stdout } = await fixture.agent.command("status", ...fixture.agent.pinOptions);
  assert.ok(stdout.includes(`${fixture.path("bin", "listed-link")} is ${linkedFile}`), stdout);
});

test("§3 a hard link is the file of its own name", async () => {
  const link = fixture.path("bin", "hard-link");
  await fixture.stops(shop, link, SEND, { reason: "BinaryUnknown", path: link });
});

test("§3 the applets of a busybox: distinguished if they are hard links, one file if they are symlinks", async () => {
  const page = ["-q", "-O", "-", `http://${SERVER}/`];
  const { stdout, stderr } = await fixture.run(shop, applet, page);
  assert.equal(stdout, "hello\n", stderr);
  const mark = fixture.agent.events.mark();
  const other = fixture.start(shop, fixture.path("applets", "wget"), page);
  await fixture.violation({ reason: "BinaryUnknown", path: busybox }, mark);
  await other.kill();
});

test("§3 a bind mount: the file goes by where it is mounted, inside the container's root", async () => {
  await fixture.passes(shop, onVolume, SEND);
  symlinkSync(onVolume, fixture.path("bin", "to-volume"));
  await fixture.passes(shop, fixture.path("bin", "to-volume"), SEND);
  const source = fixture.path("volume", "app");
  await fixture.stops(shop, source, SEND, { reason: "BinaryUnknown", path: source });
});

test("§3 binary: Image is the default: a memfd does not match", async () => {
  const event = await fixture.stops(shop, stranger, `memfdexec ${app} ${SEND}`, {
    reason: "BinaryModified",
    path: "any",
  });
  assert.equal(event.process?.modified, true);
});

test("§3 binary: Image is the default: a deleted file does not match", async () => {
  const copy = fixture.program("deleted");
  await fixture.stops(shop, stranger, `deletedexec ${copy} ${SEND}`, { reason: "BinaryModified", path: "any" });
});

test("§3 binary: Any turns that off for a deleted file", async () => {
  await fixture.passes(shop, stranger, `deletedexec ${anyBinary} ${SEND}`);
});

/** Two ways into a container's root. */
for (const enter of ["pivot", "chroot"]) {
  const inside = (path: string) => `${enter} ${root} exec ${path} ${SEND}`;

  test(`§3 overlay, ${enter}: the image's own file matches, by its path inside`, async () => {
    await fixture.passes(shop, stranger, inside("/opt/app"));
  });

  test(`§3 overlay, ${enter}: a file changed after the start does not`, async () => {
    const event = await fixture.stops(shop, stranger, inside("/opt/changed"), {
      reason: "BinaryModified",
      path: "/opt/changed",
    });
    assert.equal(event.process?.modified, true);
  });

  test(`§3 overlay, ${enter}: a file created after the start does not`, async () => {
    await fixture.stops(shop, stranger, inside("/opt/created"), { reason: "BinaryModified", path: "/opt/created" });
  });

  test(`§3 overlay, ${enter}: binary: Any turns that off`, async () => {
    await fixture.passes(shop, stranger, inside("/opt/any"));
  });

  test(`§3 overlay, ${enter}: a file of the image that no profile lists`, async () => {
    await fixture.stops(shop, stranger, inside("/opt/launcher"), { reason: "BinaryUnknown", path: "/opt/launcher" });
  });
}

test("§3 chroot inside a container does not make a listed path of another file", async () => {
  const verbs = `chroot ${fixture.path("fakeroot")} exec /opt/app ${SEND}`;
  await fixture.stops(shop, stranger, verbs, {
    reason: "BinaryModified",
    path: fixture.path("fakeroot", "opt", "app"),
  });
});

test("§3 mounts of a user namespace made inside do not make a listed path of another file", async () => {
  const mark = fixture.agent.events.mark();
  const tag = fixture.tag();
  const command = `mount --bind ${stranger} ${app} && exec ${app} timeout 250 ${SEND.replace("TAG", tag)}`;
  const { code, stderr } = await fixture.run(shop, "/usr/bin/unshare", ["-Urm", "sh", "-c", command]);
  assert.equal(code, 3, stderr);
  await fixture.violation({ reason: "BinaryModified", path: "any" }, mark);
  assert.deepEqual(await fixture.servers.received(tag), []);
});
