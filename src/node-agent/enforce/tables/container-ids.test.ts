/** Numbers of containers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ContainerIds } from "./container-ids.ts";

test("attack: an ephemeral container has a name that comes to another's number under a hash that everybody can compute (FNV-1a)", () => {
  const fnv = (name: string) =>
    [...Buffer.from(name)].reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193) >>> 0, 0x811c9dc5);
  assert.equal(fnv("debug-dtwmi3w"), fnv("app"), "found in three seconds");
  const ids = new ContainerIds(1n);
  assert.notEqual(ids.of("debug-dtwmi3w"), ids.of("app"));
});

test("a container keeps its number as long as the secret stays, and no longer", () => {
  assert.equal(new ContainerIds(1n).of("app"), new ContainerIds(1n).of("app"));
  assert.notEqual(new ContainerIds(1n).of("app"), new ContainerIds(2n).of("app"));
  assert.equal(new ContainerIds(1n).of(null), 0);
});
