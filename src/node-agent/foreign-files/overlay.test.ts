import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { isOfImage, mountOf, parseMountInfo } from "./overlay.ts";

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

test("in an overlay, what the upper layer has is not the image's, and where the layer is out of reach what was changed since", async () => {
  const upper = mkdtempSync(join(tmpdir(), "pc-upper-"));
  try {
    mkdirSync(join(upper, "app"));
    writeFileSync(join(upper, "app/changed.py"), "");
    const container = (options: string) => ({ mounts: parseMountInfo(line("/", "overlay", options)), started: 0 });
    const seen = container(`rw,lowerdir=/l,upperdir=${upper},workdir=/w`);
    assert.equal(await isOfImage("/app/changed.py", 1, seen), false);
    assert.equal(await isOfImage("/app/run.py", 1, seen), true);
    const unreachable = { ...container("rw,upperdir=/does/not/exist"), started: 1000 };
    assert.equal(await isOfImage("/app/run.py", 1000, unreachable), true);
    assert.equal(await isOfImage("/app/run.py", 1001, unreachable), false);
    assert.equal(await isOfImage("/app/run.py", 1, container("ro,lowerdir=/l")), true);
  } finally {
    rmSync(upper, { recursive: true, force: true });
  }
});

test("on other file systems the time of the last change counts, and what is mounted is not the image's", async () => {
  const mounts = parseMountInfo([line("/", "ext4", "rw"), line("/data", "ext4", "rw")].join("\n"));
  const container = { mounts, started: 1000 };
  assert.equal(await isOfImage("/app/run.py", 1000, container), true);
  assert.equal(await isOfImage("/app/run.py", 1001, container), false);
  assert.equal(await isOfImage("/data/run.py", 1, container), false);
});
