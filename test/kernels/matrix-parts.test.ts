/** The parts of the kernel matrix that need no kernel. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { unpackElf } from "./compression.ts";
import { testResults } from "./guest/test-results.ts";
import { selectLines } from "./kernel-lines.ts";
import { collectModules } from "./modules.ts";
import { failures, isGreen, type KernelRun, programTable, testTable } from "./report.ts";
import { type GuestResult, parseResults, type TestResult } from "./results.ts";

const folder = mkdtempSync(join(tmpdir(), "portcullis-matrix-"));
after(() => rmSync(folder, { recursive: true }));

const ELF = "\x7fELF";

function runOf(line: string, results: GuestResult[], ended = true): KernelRun {
  return { line, run: { results, ended, console: "console.log", seconds: 1 }, complete: false };
}

test("kernels are chosen by line or suite; a name that is none is refused, with those that are", () => {
  assert.deepEqual(
    selectLines("6.1, sid").map(({ line }) => line),
    ["6.1", "7.2"],
  );
  assert.equal(selectLines("").length, 4);
  assert.throws(() => selectLines("6.2"), /KERNEL=6\.2 is not in the matrix: use 5\.10, /);
});

test("an ELF file is unpacked, whatever it was packed with", () => {
  const data = Buffer.from(`${ELF}and the rest`, "latin1");
  for (const packed of [data, gzipSync(data), zstdCompressSync(data)]) assert.deepEqual(unpackElf(packed, "it"), data);
  assert.throws(
    () => unpackElf(Buffer.from("bzip"), "it"),
    /it is packed in an unknown way \(it starts with 627a6970\)/,
  );
  assert.throws(() => unpackElf(gzipSync("no ELF"), "it"), /unknown way/);
});

test("modules come after what they need, once, and those that are built in are passed over", () => {
  const modules: Record<string, string> = {
    "drivers/net/veth.ko": "\0depends=\0",
    "fs/ext4/ext4.ko": "\0softdep=pre: crc32c\0depends=jbd2,mbcache\0",
    "fs/jbd2/jbd2.ko": "\0depends=\0",
    "fs/mbcache.ko": "\0depends=\0",
    "crypto/crc32c.ko": "\0depends=\0",
  };
  for (const [name, info] of Object.entries(modules)) {
    mkdirSync(join(folder, name, ".."), { recursive: true });
    writeFileSync(join(folder, name), `${ELF}${info}`);
  }
  const names = collectModules(folder, ["ext4", "overlay", "veth", "jbd2"]).map(({ name }) => name);
  assert.deepEqual(names, ["jbd2", "mbcache", "crc32c", "ext4", "veth"]);
});

test("results that were cut off are left out", () => {
  assert.deepEqual(parseResults('{"kind":"end","status":0}\n{"kind":"te'), [{ kind: "end", status: 0 }]);
});

test("the test runner's events become results, with the names of the suites and what a file wrote", async () => {
  async function* events() {
    const at = (nesting: number, name: string, more: object = {}) => ({ nesting, name, file: "/a.ts", ...more });
    yield { type: "test:start", data: at(0, "suite") };
    yield { type: "test:pass", data: at(1, "one", { details: { duration_ms: 1.6 } }) };
    yield {
      type: "test:fail",
      data: at(1, "two", { details: { error: new Error("x", { cause: new Error("why") }) } }),
    };
    yield { type: "test:fail", data: at(0, "suite", { details: { type: "suite" } }) };
    yield { type: "test:pass", data: at(0, "three", { skip: "not here" }) };
    yield { type: "test:stderr", data: { file: "/b.ts", message: "no such module" } };
    yield {
      type: "test:fail",
      data: { nesting: 0, name: "/b.ts", file: "/b.ts", details: { error: new Error("failed") } },
    };
  }
  const results: TestResult[] = [];
  for await (const result of testResults(events())) results.push(result);
  assert.deepEqual(
    results.map(({ name, outcome, message }) => [name, outcome, message]),
    [
      ["suite > one", "passed", undefined],
      ["suite > two", "failed", "why"],
      ["three", "skipped", "not here"],
      ["/b.ts", "failed", "no such module"],
    ],
  );
});

test("tables have a column for each kernel", () => {
  const one = (outcome: "passed" | "failed", name: string): GuestResult => {
    return {
      kind: "test",
      file: "a.ts",
      name,
      outcome,
      milliseconds: 1,
      ...(outcome === "failed" ? { message: "m" } : {}),
    };
  };
  const program = { kind: "program", object: "o", program: "p", instructions: 9, verified: 0 } as const;
  const runs = [
    runOf("5.10", [one("passed", "x"), program]),
    runOf(
      "6.1",
      [one("failed", "x"), one("passed", "y"), { ...program, verified: 12 }, { kind: "end", status: 1 }],
      false,
    ),
  ];
  assert.equal(testTable(runs), "test     5.10  6.1\na.ts: x  ok    FAILED\na.ts: y  -     ok\n");
  assert.match(programTable(runs), /^o: p +-\/9 +12\/9$/m);
  assert.deepEqual(failures(runs), [
    "6.1: a.ts: x: m",
    "6.1: the suite did not come to its end; its console: console.log",
  ]);
  assert.deepEqual(runs.map(isGreen), [false, false]);
  assert.ok(isGreen(runOf("6.1", [{ kind: "end", status: 0 }])));
});
