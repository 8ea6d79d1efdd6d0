import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { imageState, mountOf, parseMountInfo } from "./overlay.ts";

const line = (mountPoint: string, type: string, options: string) =>
  `36 35 98:0 / ${mountPoint} rw,noatime master:1 - ${type} none ${options}`;

test("the mount of a path is the one with the longest mount point, and of several there the last", () => {
  const mounts = parseMountInfo(
    [line("/", "overlay", "rw"), line("/data", "ext4", "rw"), line("/data", "tmpfs", "rw")].join("\n"),
  );
  assert.equal(mountOf(mounts, "/data/x")?.type, "tmpfs");
  assert.equal(mountOf(mounts, "/database")?.type, "overlay");
});

test("spaces and commas in mount information are read back", () => {
  const [mount] = parseMountInfo(line("/with\\040space", "overlay", "rw,upperdir=/a\\134,b,workdir=/w"));
  assert.equal(mount?.mountPoint, "/with space");
  assert.deepEqual(mount?.options, ["rw", "upperdir=/a,b", "workdir=/w"]);
});

test("a file is changed if the upper layer has it, unchanged if not, unknown if the layer cannot be seen", () => {
  const upper = mkdtempSync(join(tmpdir(), "pc-upper-"));
  try {
    mkdirSync(join(upper, "app"));
    writeFileSync(join(upper, "app/changed.py"), "");
    const mounts = parseMountInfo(line("/", "overlay", `rw,lowerdir=/l,upperdir=${upper},workdir=/w`));
    assert.equal(imageState(mounts, "/app/changed.py"), "changed");
    assert.equal(imageState(mounts, "/app/run.py"), "unchanged");
    const elsewhere = parseMountInfo(line("/", "overlay", "rw,upperdir=/does/not/exist"));
    assert.equal(imageState(elsewhere, "/app/run.py"), "unknown");
  } finally {
    rmSync(upper, { recursive: true, force: true });
  }
});

test("without an upper layer, and on other file systems, nothing counts as changed", () => {
  assert.equal(imageState(parseMountInfo(line("/", "overlay", "ro,lowerdir=/l")), "/app/run.py"), "unchanged");
  assert.equal(imageState(parseMountInfo(line("/", "ext4", "rw")), "/app/run.py"), "unchanged");
});
