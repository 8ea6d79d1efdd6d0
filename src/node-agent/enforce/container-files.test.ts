import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { compileTable } from "../../policy/compile.ts";
import { egressProfile } from "../../policy/testing/profiles.ts";
import { fitToContainers } from "./container-files.ts";

const folder = mkdtempSync(join(tmpdir(), "pc-container-files-"));
after(() => rmSync(folder, { recursive: true }));

/** A root in which /bin/wget leads to busybox, by a link that is absolute: inside, not out here. */
function rootWithLink(name: string): string {
  const root = join(folder, name);
  mkdirSync(join(root, "bin"), { recursive: true });
  for (const file of ["busybox", "sh"]) writeFileSync(join(root, "bin", file), "");
  symlinkSync("/bin/busybox", join(root, "bin/wget"));
  return root;
}

const table = compileTable([egressProfile({ cidr4: ["10.0.0.0/8"] }, "/bin/wget")], { searchDomains: [] });
const named = (fitted: ReturnType<typeof fitToContainers>) =>
  fitted.table.binaries.map(({ path, container }) => `${path} ${container}`);

test("a link is followed in the container's own root, once in its life", () => {
  const root = rootWithLink("app");
  const app = { name: "app", cgroupId: 7n, root };
  const first = fitToContainers(table, { containers: [app] }, {});
  assert.deepEqual(named(first), ["/bin/busybox app", "/bin/wget null"]);
  rmSync(join(root, "bin/wget"));
  symlinkSync("/bin/sh", join(root, "bin/wget"));
  assert.deepEqual(named(fitToContainers(table, { containers: [app] }, first.files)), named(first));
  const restarted = fitToContainers(table, { containers: [{ ...app, cgroupId: 8n }] }, first.files);
  assert.deepEqual(named(restarted), ["/bin/sh app", "/bin/wget null"]);
  assert.deepEqual(Object.keys(restarted.files), ["8 /bin/wget"]);
});

test("a container without a process is fitted later", () => {
  const waiting = fitToContainers(table, { containers: [{ name: "app", cgroupId: 7n }] }, {});
  assert.equal(waiting.table, table);
  assert.deepEqual(waiting.files, {});
});
