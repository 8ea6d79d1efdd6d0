import assert from "node:assert/strict";
import { mkdtempSync, rmdirSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { mapCreate, pinObject } from "../ffi/bpf.ts";
import { closeFd, unmountFileSystem } from "../ffi/libc.ts";
import { ensureBpffs, ensurePinFolder, isBpffs, listPins, removePin, removePinFolder } from "./bpffs.ts";
import { cgroupHierarchies, cgroupRoot, findCgroupRoot, MountError, parseMounts } from "./mounts.ts";

test("mounts are parsed", () => {
  const text = "tmpfs /sys/fs/cgroup tmpfs rw,mode=755 0 0\ncgroup2 /a\\040b cgroup2 ro,relatime 0 0\n";
  assert.deepEqual(parseMounts(text), [
    { path: "/sys/fs/cgroup", type: "tmpfs", writable: true, options: ["rw", "mode=755"] },
    { path: "/a b", type: "cgroup2", writable: false, options: ["ro", "relatime"] },
  ]);
});

test("cgroup v2 is found beside v1, alone, or not at all", () => {
  const v1 = { path: "/sys/fs/cgroup/cpu", type: "cgroup", writable: true, options: ["rw", "pids"] };
  const unified = { path: "/sys/fs/cgroup/unified", type: "cgroup2", writable: true, options: ["rw"] };
  assert.equal(findCgroupRoot([v1, unified]), "/sys/fs/cgroup/unified");
  assert.equal(findCgroupRoot([v1]), null);
  assert.ok(statSync(cgroupRoot()).isDirectory());
  const [both, alone] = [cgroupHierarchies([v1, unified]), cgroupHierarchies([unified])];
  assert.deepEqual(alone, [{ path: unified.path, unified: true }]);
  assert.deepEqual(both, [...alone, { path: v1.path, unified: false }]);
});

const folder = mkdtempSync(join(tmpdir(), "pc-bpffs-"));
after(() => rmdirSync(folder));

test("a BPF file system is mounted once; pins and folders come and go", () => {
  assert.equal(isBpffs(folder), false);
  assert.throws(() => ensurePinFolder(join(folder, "a")), MountError);
  assert.equal(ensureBpffs(folder), true);
  try {
    assert.equal(ensureBpffs(folder), false);
    assert.equal(isBpffs(folder), true);
    const pins = join(folder, "a", "b");
    ensurePinFolder(pins);
    ensurePinFolder(pins);
    assert.equal(statSync(pins).mode & 0o777, 0o700);
    const fd = mapCreate({ name: "pc_test", type: 1, keySize: 4, valueSize: 4, maxEntries: 1 });
    pinObject(fd, join(pins, "one"));
    pinObject(fd, join(pins, "two"));
    closeFd(fd);
    assert.deepEqual(listPins(pins).sort(), ["one", "two"]);
    assert.equal(removePin(join(pins, "one")), true);
    assert.equal(removePin(join(pins, "one")), false);
    removePinFolder(join(folder, "a"));
    removePinFolder(join(folder, "a"));
    assert.deepEqual(
      listPins(folder).filter((name) => !name.endsWith(".debug")),
      [],
    );
    assert.deepEqual(listPins(join(folder, "nowhere")), []);
  } finally {
    unmountFileSystem(folder);
  }
});

test("where there is nothing to mount on", () => {
  assert.throws(() => ensureBpffs("/nowhere/at/all"), MountError);
});
