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

test("two letters that have changed places are one mistake, also in a short name", () => {
  assert.deepEqual(unseenExecutables(["/usr/bin/crul"], new Set(["/usr/bin/curl", "/usr/bin/ld"])), [
    { listed: "/usr/bin/crul", meant: "/usr/bin/curl" },
  ]);
});

test("a program that is listed itself was not meant by another path", () => {
  assert.deepEqual(unseenExecutables(["/usr/bin/shop", "/usr/bin/shop2"], new Set(["/usr/bin/shop"])), [
    { listed: "/usr/bin/shop2", meant: null },
  ]);
});

test("of another program in the same folder nobody is reminded", () => {
  const seen = new Set(["/usr/bin/ping", "/root/.pyenv/bin/python3.11"]);
  assert.deepEqual(unseenExecutables(["/usr/bin/nginx", "/usr/bin/python3.11"], seen), [
    { listed: "/usr/bin/nginx", meant: null },
    { listed: "/usr/bin/python3.11", meant: "/root/.pyenv/bin/python3.11" },
  ]);
});

test("a listed link is seen by its file, reported once, and neither is meant by another path", () => {
  const files = new Map([
    ["/usr/bin/ping", "/usr/bin/ping"],
    ["/usr/bin/python3", "/usr/bin/python3.11"],
  ]);
  const listed = ["/usr/bin/ping", "/usr/bin/pong", "/usr/bin/python3", "/usr/bin/python3.11"];
  assert.deepEqual(unseenExecutables(listed, new Set(["/usr/bin/ping", "/usr/bin/python3.11"]), files), [
    { listed: "/usr/bin/pong", meant: null },
  ]);
  assert.deepEqual(unseenExecutables(listed, new Set(["/usr/bin/ping", "/usr/bin/pong"]), files), [
    { listed: "/usr/bin/python3", meant: null },
  ]);
});
