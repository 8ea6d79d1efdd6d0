import assert from "node:assert/strict";
import { test } from "node:test";
import { parseNamedNamespace } from "./namespace-argument.ts";

const refused = { code: "PC_NETNS_ARGUMENT" };

test("a name and labels", () => {
  assert.deepEqual(parseNamedNamespace("ping:app=ping,example.com/tier=front"), {
    name: "ping",
    namespace: "default",
    labels: { app: "ping", "example.com/tier": "front" },
  });
});

test("a name alone has no labels, and may have a namespace", () => {
  assert.deepEqual(parseNamedNamespace("ping", "shop"), { name: "ping", namespace: "shop", labels: {} });
});

test("the name may have colons, the value may be empty", () => {
  assert.deepEqual(parseNamedNamespace("a:b:app="), { name: "a:b", namespace: "default", labels: { app: "" } });
});

test("bad names, labels, repetitions and namespaces are refused", () => {
  for (const text of ["", ":app=x", "a/b:app=x", "..:app=x", "app=x", "n:", "n:app", "n:app=x,", "n:=x", "n:app=x y"]) {
    assert.throws(() => parseNamedNamespace(text), refused, text);
  }
  assert.throws(() => parseNamedNamespace("n:app=x,app=y"), { ...refused, message: /label app is given twice/ });
  assert.throws(() => parseNamedNamespace("n:app=x", "Not_A_Namespace"), refused);
});
