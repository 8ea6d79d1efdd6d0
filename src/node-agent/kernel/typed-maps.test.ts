import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { RECORD_RINGS } from "../events/kernel-records.ts";
import { MAP_NAMES, pinName } from "./typed-maps.ts";

test("every map of maps.h is here, and no other", () => {
  const header = readFileSync(join(import.meta.dirname, "../../../bpf/include/memory/maps.h"), "utf8");
  const declared = [...header.matchAll(/^PINNED_MAP(?:_WITH_FLAGS)?\((\w+),/gm)].map((match) => match[1]);
  assert.deepEqual(MAP_NAMES.map(pinName).sort(), declared.sort());
  const rings = [...header.matchAll(/^PINNED_RING\((\w+),/gm)].map((match) => match[1]);
  assert.deepEqual(RECORD_RINGS.map(({ pin }) => pin).sort(), rings.sort());
});
