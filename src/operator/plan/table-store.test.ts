import assert from "node:assert/strict";
import { test } from "node:test";
import type { CompiledContent } from "../profiles/messages.ts";
import { MAX_NAMESPACE_BYTES, TableStore } from "./table-store.ts";

const HALF = new Uint8Array(MAX_NAMESPACE_BYTES / 2 - 2);

function content(
  namespace: string,
  hash: string,
  rulesets: readonly [string, Uint8Array<ArrayBuffer> | null][],
): CompiledContent {
  return {
    hash,
    profiles: [`${namespace}/p`],
    actions: [],
    containers: [],
    content: new Uint8Array(1),
    rulesets: rulesets.map(([of, bytes]) => ({ hash: of, content: bytes, delta: null })),
  };
}

test("a namespace's tables may take so much memory, what several of them have counted once", () => {
  const store = new TableStore();
  const freed: string[] = [];
  store.subscribe((namespace) => freed.push(namespace));
  const first = store.add(content("greedy", "1", [["a", HALF]]));
  const second = store.add(
    content("greedy", "2", [
      ["a", null],
      ["b", HALF],
    ]),
  );
  assert.ok(first && second);
  const third = content("greedy", "3", [
    ["a", null],
    ["c", new Uint8Array(2)],
  ]);
  assert.ok(store.excess(third) > 0);
  assert.ok(store.excess(content("greedy", "2", [])) <= 0, "what is there already takes nothing");
  assert.ok(store.excess(content("other", "4", [["c", HALF]])) <= 0, "others have their own");
  store.release(first);
  assert.ok(store.excess(third) <= 0 && freed.includes("greedy"));
  store.release(second);
  assert.equal(store.size, 0);
  assert.ok(
    store.excess(
      content("greedy", "5", [
        ["a", HALF],
        ["b", HALF],
      ]),
    ) <= 0,
    "what is gone counts no more",
  );
});
