/** Room that owners share: who floods it pushes out its own. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SharedRoom } from "./shared-room.ts";

function fill(room: SharedRoom<string, string>, owner: string, count: number): (string | null)[] {
  return Array.from({ length: count }, (_, index) => room.put(owner, String(index), `${owner}${index}`));
}

test("while there is room, nobody loses anything, also where one has nearly all of it", () => {
  const room = new SharedRoom<string, string>(10);
  assert.deepEqual([...fill(room, "loud", 9), ...fill(room, "quiet", 1)], Array(10).fill(null));
});

test("where it is full, who has its share loses its oldest, and who has less takes it from whoever has most", () => {
  const room = new SharedRoom<string, string>(4);
  assert.deepEqual(fill(room, "loud", 5), [null, null, null, null, "loud0"]);
  assert.deepEqual(fill(room, "quiet", 3), ["loud1", "loud2", "quiet0"]);
  assert.deepEqual(room.takeInTurns(), ["loud3", "quiet1", "loud4", "quiet2"]);
  assert.deepEqual(room.takeInTurns(), []);
});

test("a value under a key that is there replaces it, and is the newest then", () => {
  const room = new SharedRoom<string, string>(2);
  fill(room, "one", 2);
  assert.equal(room.put("one", "0", "again"), null);
  assert.equal(room.put("one", "2", "next"), "one1");
  assert.deepEqual([room.get("one", "0"), room.get("one", "1")], ["again", undefined]);
});

test("with more owners than places, each new value has one", () => {
  const room = new SharedRoom<string, string>(2);
  for (const owner of ["a", "b", "c", "d"]) room.put(owner, "key", owner);
  assert.equal(room.get("d", "key"), "d");
  assert.equal(room.takeInTurns().length, 2);
});
