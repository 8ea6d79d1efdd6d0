/** Section 3: whoever wants to be taken for a listed executable without being it. Each attack works without what stops it. */
import assert from "node:assert/strict";
import { renameSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import type { EgressRules } from "../../src/api/types.ts";
import { makeImage, mountOverlay } from "./harness/images.ts";
import { Lab } from "./harness/lab.ts";
import { egress, profile } from "./harness/profiles.ts";

const SERVER = "198.51.100.1";
const RIGHTS: EgressRules = { cidr4: [`${SERVER}/32`], l4: { protocols: ["udp"] } };
const SEND = `udp4 sendto ${SERVER} 7000 TAG recv`;

const lab = await Lab.start("attacked", { apps: ["shop"], startAgent: false });
const shop = lab.workload("shop");
const app = lab.program("app");
const stranger = lab.program("stranger");
const python = lab.program("python", "/usr/bin/python3");
const listedScript = lab.path("bin", "script");
writeFileSync(listedScript, `#!${python}\n`, { mode: 0o755 });

makeImage(lab.path("image"), {
  "opt/app/run": { copyOf: app },
  "srv/other/run": { copyOf: stranger },
});
const root = mountOverlay(lab.path("overlay"), lab.path("image"), "redirect_dir=on");

lab.agent.write(
  profile(
    "shop",
    [app, listedScript, "/opt/app/run"].map((path) => egress(path, RIGHTS)),
  ),
);
const [forgedTag, forged] = startForged();
await forged.line("waiting");
await lab.agent.start();

/** Older than the agent, which has to believe the kernel of it. */
function startForged() {
  const tag = lab.tag();
  return [tag, lab.start(shop, stranger, `forge ${app} wait timeout 250 ${SEND.replace("TAG", tag)}`)] as const;
}

test("§3 attack: before the agent starts, a process makes the kernel believe that it runs a listed executable", async () => {
  const mark = lab.agent.events.mark();
  forged.tell();
  assert.equal((await forged.finish()).code, 3);
  await lab.violation({ reason: "BinaryModified", path: app }, mark);
  assert.deepEqual(await lab.servers.received(forgedTag), []);
});

test("§3 attack: a folder of the image is renamed to a listed one's name, with its files as they were", async () => {
  await lab.passes(shop, stranger, `pivot ${root} exec /opt/app/run ${SEND}`);
  renameSync(`${root}/opt/app`, `${root}/opt/before`);
  renameSync(`${root}/srv/other`, `${root}/opt/app`);
  await lab.stops(shop, stranger, `pivot ${root} exec /opt/app/run ${SEND}`, {
    reason: "BinaryModified",
    path: "/opt/app/run",
  });
});

test("§3 attack: a handler of binfmt_misc, in a user namespace, runs in a listed script's place", async () => {
  const [mark, tag] = [lab.agent.events.mark(), lab.tag()];
  const rule = `:shebang:M::#!::${stranger}:F`;
  const register = [
    "mount -t binfmt_misc none /proc/sys/fs/binfmt_misc",
    `echo '${rule}' > /proc/sys/fs/binfmt_misc/register`,
    "echo registered",
    "exec sleep 1",
  ].join(" && ");
  const attack = `unshare -m sh -c "${register}" | (read line; exec ${listedScript} sleep 300 timeout 250 ${SEND.replace("TAG", tag)})`;
  const { code, stderr } = await lab.run(shop, "/usr/bin/unshare", ["-Ur", "sh", "-c", attack]);
  assert.equal(code, 3, stderr);
  await lab.violation({ reason: "BinaryModified", path: "any" }, mark);
  assert.deepEqual(await lab.servers.received(tag), []);
});
