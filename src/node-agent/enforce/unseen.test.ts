import assert from "node:assert/strict";
import { test } from "node:test";
import { unseenExecutables } from "./unseen.ts";

test("a listed path that nothing was seen of, with the program that was probably meant", () => {
  const seen = new Set(["/usr/bin/shop", "/bin/sh", "/usr/bin/curl"]);
  assert.deepEqual(unseenExecutables(["/usr/bin/shopp", "/usr/bin/curl", "/opt/backup/bin/run"], seen), [
    { listed: "/usr/bin/shopp", meant: "/usr/bin/shop" },
    { listed: "/opt/backup/bin/run", meant: null },
  ]);
});

test("a program that is listed itself was not meant by another path", () => {
  assert.deepEqual(unseenExecutables(["/usr/bin/shop", "/usr/bin/shop2"], new Set(["/usr/bin/shop"])), [
    { listed: "/usr/bin/shop2", meant: null },
  ]);
});
