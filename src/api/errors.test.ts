import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { test } from "node:test";
import {
  causeCode,
  causeText,
  fileFault,
  InternalError,
  PortcullisError,
  UnreadableError,
  UsageError,
} from "./errors.ts";

test("an error carries its code, the name of its class and its cause", () => {
  const cause = Object.assign(new Error("no such file"), { code: "ENOENT" });
  const error = new UnreadableError("profiles/a.yaml", cause);
  assert.ok(error instanceof PortcullisError);
  assert.equal(error.code, "PC_UNREADABLE");
  assert.equal(error.name, "UnreadableError");
  assert.equal(error.message, "cannot read profiles/a.yaml: no such file");
  assert.equal(error.cause, cause);
});

test("the fault of a file is the system's words, without the path a second time", () => {
  assert.throws(
    () => statSync("absent.yaml"),
    (cause) => fileFault(cause) === "no such file or directory (ENOENT)",
  );
  assert.equal(fileFault(new Error("is larger than 32 MiB")), "is larger than 32 MiB");
});

test("a class of another room keeps its own name", () => {
  class VethError extends PortcullisError {}
  assert.equal(new VethError("PC_NETNS_WITHOUT_VETH", "no veth").name, "VethError");
});

test("codes of the shared classes", () => {
  assert.equal(new UsageError("x").code, "PC_USAGE");
  assert.match(new InternalError("mask without block").message, /mask without block\. This is a bug/);
});

test("text and code of anything thrown", () => {
  assert.equal(causeText("plain"), "plain");
  assert.equal(causeText(new Error("why")), "why");
  assert.equal(causeCode(Object.assign(new Error("x"), { code: "EPERM" })), "EPERM");
  assert.equal(causeCode(Object.assign(new Error("x"), { code: 5 })), null);
  assert.equal(causeCode(undefined), null);
});
