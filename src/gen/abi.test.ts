import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { REASONS, VERDICTS } from "../api/reasons.ts";
import type { Codec } from "../node-agent/kernel/codec.ts";
import { LayoutError } from "../node-agent/kernel/codec.ts";
import * as abi from "./abi.gen.ts";

const ROOT = join(import.meta.dirname, "../..");

/** Every codec of the generated file, by the struct's name in C. */
const CODECS = Object.entries(abi)
  .filter(
    (entry): entry is [string, Codec<unknown> & (typeof entry)[1]] =>
      typeof entry[1] === "object" && "SIZE" in entry[1],
  )
  .map(([name, codec]): [string, Codec<unknown>] => [snakeCase(name), codec as Codec<unknown>]);

function snakeCase(name: string): string {
  return name.replaceAll(/(?!^)[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
}

/** Compiles and runs a C program against abi.h with the machine's own compiler, which knows nothing of BTF. */
function runC(body: string): string {
  const folder = mkdtempSync(join(tmpdir(), "pc-abi-"));
  try {
    const source = `#include <stdio.h>\n#include <stddef.h>\n#include <string.h>\n#include <linux/types.h>\n#include <linux/bpf.h>\n#include "abi.h"\nint main(void) {\n${body}\nreturn 0; }\n`;
    writeFileSync(join(folder, "layout.c"), source);
    execFileSync("clang", ["-I", join(ROOT, "bpf/include"), "-o", join(folder, "layout"), join(folder, "layout.c")]);
    return execFileSync(join(folder, "layout"), { encoding: "utf8" });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("sizes are those of the C compiler", () => {
  const lines = CODECS.map(([name]) => `printf("${name} %zu\\n", sizeof(struct ${name}));`);
  const expected = CODECS.map(([name, codec]) => `${name} ${codec.SIZE}\n`).join("");
  assert.ok(CODECS.length > 25);
  assert.equal(runC(lines.join("\n")), expected);
});

test("fields are where C puts them", () => {
  const name = { hash: 0x1122334455667788n, expires: 2n ** 64n - 1n };
  const learned: abi.Learned = { names: [name, { hash: 1n, expires: 1n << 63n }, name, { hash: 0n, expires: 3n }] };
  assert.equal(
    abi.Learned.encode(learned).toString("hex"),
    bytesOf(`struct learned_name n = {0x1122334455667788ULL, ~0ULL};
      struct learned s = {{n, {1, 1ULL << 63}, n, {0, 3}}};`),
  );
  const workload: abi.Workload = {
    id: 1,
    tableId: 0xfffffffe,
    flags: abi.WorkloadFlag.PENDING,
    mode: abi.ModeFlag.ENFORCE,
    attacks: 0,
    netnsInum: 4,
    nsid: -1,
    ifindex: 7,
    defaultRuleset: [8, 9],
  };
  const bytes = bytesOf(`struct workload s; memset(&s, 0, sizeof(s));
    s.id = 1; s.table_id = -2; s.flags = WORKLOAD_PENDING; s.mode = MODE_ENFORCE; s.netns_inum = 4; s.nsid = -1;
    s.ifindex = 7; s.default_ruleset[0] = 8; s.default_ruleset[1] = 9;`);
  assert.equal(abi.Workload.encode(workload).toString("hex"), bytes);
  assert.deepEqual(abi.Workload.decode(Buffer.from(bytes, "hex")), workload);
});

/** The bytes of the variable `s` that the C text declares, as hex. */
function bytesOf(text: string): string {
  return runC(`${text} for (unsigned i = 0; i < sizeof(s); i++) printf("%02x", ((unsigned char *)&s)[i]);`);
}

test("every struct survives a round trip of all its bytes but padding", () => {
  for (const [name, codec] of CODECS) {
    const bytes = Buffer.alloc(codec.SIZE + 7, 0x41);
    const value = codec.decode(bytes, 7);
    const again = codec.encode(value);
    assert.equal(again.length, codec.SIZE);
    assert.deepEqual(codec.decode(again), value, name);
    for (const byte of again) assert.ok(byte === 0x41 || byte === 0, name);
  }
});

test("padding is zeroed in a buffer that is used again", () => {
  const dirty = Buffer.alloc(abi.FlowKey.SIZE, 0xff);
  const key = {
    workloadId: 1,
    protocol: 6,
    local: Buffer.alloc(16),
    remote: Buffer.alloc(16),
    localPort: 1,
    remotePort: 2,
  };
  abi.FlowKey.encode(key, dirty);
  assert.deepEqual(dirty, abi.FlowKey.encode(key));
});

test("texts end at their NUL, and must fit", () => {
  const path = { text: "/usr/bin/äpp" };
  assert.deepEqual(abi.PathText.decode(abi.PathText.encode(path)), path);
  assert.equal(abi.PathText.encode(path).length, abi.PATH_TEXT_MAX);
  assert.deepEqual(abi.PathText.encode({ text: "" }), Buffer.alloc(256));
  const full = { prefixlen: 16, ruleset: 1, text: "a".repeat(abi.NAME_TEXT_MAX) };
  assert.deepEqual(abi.NameKey.decode(abi.NameKey.encode(full)), full);
  assert.throws(() => abi.PathText.encode({ text: "x".repeat(257) }), LayoutError);
});

test("what does not fit is refused, not cut", () => {
  assert.throws(
    () => abi.Peer4Key.encode({ prefixlen: 32, ruleset: 1, address: Buffer.alloc(16) }),
    /takes 4 bytes, not 16/,
  );
  assert.throws(() => abi.Peer4Key.encode({ prefixlen: -1, ruleset: 1, address: Buffer.alloc(4) }), RangeError);
  assert.throws(() => abi.Counter.encode({ packets: 2n ** 64n, bytes: 0n }), RangeError);
});

test("the closed lists of the API are those of the kernel", () => {
  const kernel = Object.entries(abi.Reason).filter(([name]) => name !== "COUNT");
  assert.deepEqual(
    kernel.map(([, value]) => value),
    REASONS.map((_, index) => index),
  );
  assert.deepEqual(
    kernel.map(([name]) => name.replaceAll("_", "").toLowerCase()),
    REASONS.map((r) => r.toLowerCase()),
  );
  assert.deepEqual(
    Object.entries(abi.Verdict).map(([name, value]) => [name.toLowerCase(), value]),
    VERDICTS.map((v, n) => [v, n]),
  );
});

test("the generated file is up to date", () => {
  execFileSync("make", ["-s", "build/bpf/layout.bpf.o"], { cwd: ROOT });
  execFileSync(process.execPath, [join(ROOT, "tools/generate-abi.ts"), "--check"]);
});
