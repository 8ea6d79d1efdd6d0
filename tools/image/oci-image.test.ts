import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { writeImage } from "./oci-image.ts";

const folder = mkdtempSync(join(tmpdir(), "pc-oci-"));
after(() => rmSync(folder, { recursive: true }));
const root = join(folder, "root");
mkdirSync(join(root, "bin"), { recursive: true });
writeFileSync(join(root, "bin/app"), "#!/bin/true\n", { mode: 0o755 });
const content = { root, reference: "example.com/app:1", entrypoint: ["/bin/app"], command: ["-v"] };

interface Blob {
  digest: string;
  size: number;
}

test("an image leads from its index to its layer, with digests that hold", async () => {
  const file = join(folder, "image.tar");
  const digest = await writeImage(content, file);
  const unpacked = join(folder, "unpacked");
  mkdirSync(unpacked);
  execFileSync("tar", ["-xf", file, "-C", unpacked]);
  const read = (blob: Blob): Buffer => {
    const bytes = readFileSync(join(unpacked, "blobs", blob.digest.replace(":", "/")));
    assert.equal(`sha256:${createHash("sha256").update(bytes).digest("hex")}`, blob.digest);
    assert.equal(bytes.length, blob.size);
    return bytes;
  };
  const [entry] = JSON.parse(readFileSync(join(unpacked, "index.json"), "utf8")).manifests;
  assert.equal(entry.digest, digest);
  assert.equal(entry.annotations["org.opencontainers.image.ref.name"], content.reference);
  const { config, layers } = JSON.parse(read(entry).toString());
  const { config: started, rootfs } = JSON.parse(read(config).toString());
  assert.deepEqual([started.Entrypoint, started.Cmd], [["/bin/app"], ["-v"]]);
  assert.deepEqual(rootfs.diff_ids, [layers[0].digest]);
  const listed = execFileSync("tar", ["-tvf", "-"], { input: read(layers[0]), encoding: "utf8" });
  assert.match(listed, /-rwxr-xr-x 0\/0 .* \.\/bin\/app/);
});

test("the same folder gives the same bytes, whenever it was written", async () => {
  const [first, second] = [join(folder, "first.tar"), join(folder, "second.tar")];
  await writeImage(content, first);
  utimesSync(join(root, "bin/app"), 1, 1);
  await writeImage(content, second);
  assert.ok(readFileSync(first).equals(readFileSync(second)));
});
