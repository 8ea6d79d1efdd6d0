import assert from "node:assert/strict";
import { test } from "node:test";
import { nameCovers } from "../names.ts";
import { NameCover } from "./name-cover.ts";

test("a list of names that is asked as a whole says what its patterns say one by one", () => {
  const names = ["*", "a", "b", "a.b", "*.b", "*.a.b", "a.a.b", "*.a.a.b", "ab", "*.ab", "c.ab"];
  for (const one of names) {
    for (const two of names) {
      const patterns = [one, two];
      const cover = new NameCover(patterns);
      for (const name of names) {
        const asked = `${patterns} and ${name}`;
        assert.equal(
          cover.covers(name),
          patterns.some((pattern) => nameCovers(pattern, name)),
          asked,
        );
        const below = patterns.some((pattern) => nameCovers(name, pattern));
        assert.equal(cover.covers(name) || cover.hasBelow(name), cover.covers(name) || below, asked);
      }
    }
  }
  assert.ok(!new NameCover([]).covers("a") && !new NameCover([]).hasBelow("*"));
});
