/** The parts of the kernel matrix that need no kernel. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { unpackElf } from "./boot/compression.ts";
import { selectLines } from "./boot/kernel-lines.ts";
import { collectModules } from "./boot/modules.ts";
import { CLAUSES } from "./clauses.ts";
import { failedOf } from "./guest/repetition.ts";
import { testResults } from "./guest/test-results.ts";
import { plannedTests } from "./plan.ts";
import { runToEnd } from "./process.ts";
import { progressOf } from "./progress.ts";
import { markdownTables, writeTables } from "./report/docs.ts";
import {
  clauseTable,
  failures,
  isGreen,
  type KernelRun,
  programTable,
  skips,
  testTable,
  timeTable,
  unsteadyTests,
} from "./report/report.ts";
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

test("how far a suite has come is one line", () => {
  assert.equal(progressOf(""), null);
  const lines = [
    { kind: "test", outcome: "passed" },
    { kind: "part", name: "a.test.ts", milliseconds: 1 },
    { kind: "test", outcome: "failed" },
  ];
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  assert.equal(progressOf(`${text}{"kind":`), "2 results, 1 FAILED, a.test.ts is done");
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

const ROOT = join(import.meta.dirname, "../..");

test("every section of what a profile means has a clause, and the core suite runs its test", () => {
  const sections = new Set(CLAUSES.map(({ clause }) => clause.slice(1, 2)));
  assert.deepEqual([...sections].sort(), ["2", "3", "4", "5", "6", "7", "8", "9"]);
  assert.equal(new Set(CLAUSES.map(({ clause }) => clause)).size, CLAUSES.length, "a clause is named twice");
  const core = new Map(plannedTests(ROOT, "core").map(({ file, only }) => [file, only]));
  for (const { clause, file, test: start } of CLAUSES) {
    const path = `test/e2e/${file}.test.ts`;
    assert.ok(core.has(path), `${clause}: ${path} is not in the core suite`);
    const only = core.get(path);
    const runs = only === undefined || only.some((name) => start.startsWith(name) || name.startsWith(start));
    assert.ok(runs, `${clause}: the core suite leaves "${start}" out`);
  }
});

test("the core suite selects by names that tests have", () => {
  for (const { file, only = [] } of plannedTests(ROOT, "core")) {
    const text = readFileSync(join(ROOT, file), "utf8");
    for (const name of only) assert.match(text, new RegExp(`test\\(["\`]${name}`), `${file} has no test "${name}"`);
  }
  assert.throws(() => plannedTests(ROOT, "most"), /SUITE=most is not known: use all, core, hooks/);
});

test("a clause that was not shown makes a run not green; one that was skipped is reported with its reason", () => {
  const results: GuestResult[] = CLAUSES.map(({ file, test: name }) => {
    return { kind: "test", file: `test/e2e/${file}.test.ts`, name, outcome: "passed", milliseconds: 1 };
  });
  const end: GuestResult = { kind: "end", status: 0 };
  const all = {
    ...runOf("6.1", [...results, { kind: "part", name: "probes", milliseconds: 1234 }, end]),
    complete: true,
  };
  assert.ok(isGreen(all));
  assert.match(clauseTable([all]), /^§2 union +ok$/m);
  assert.match(timeTable([all]), /^probes +1\.2$/m);
  const fewer = { ...runOf("6.1", [...results.slice(1), end]), complete: true };
  assert.ok(!isGreen(fewer));
  assert.match(failures([fewer])[0] ?? "", /^6\.1: §2 labels select: selection has no result/);
  const skipped: GuestResult = {
    kind: "test",
    file: "a.ts",
    name: "x",
    outcome: "skipped",
    milliseconds: 0,
    message: "why",
  };
  assert.deepEqual(skips([runOf("5.10", [skipped]), runOf("6.1", [skipped])]), ["a.ts: x: why (5.10, 6.1)"]);
});

test("the page's tables are replaced, and what is the same everywhere is left out", () => {
  const feature = (available: boolean, name: string): GuestResult => {
    return { kind: "feature", feature: name, available, detail: "" };
  };
  const program = { kind: "program", object: "o", program: "p", instructions: 9, verified: 0 } as const;
  const runs = [
    runOf("5.10", [
      feature(false, "tcx"),
      feature(true, "btf"),
      program,
      { kind: "hook", job: "flows", way: "kprobes" },
    ]),
    runOf("6.12", [feature(true, "tcx"), feature(true, "btf"), { ...program, verified: 12 }]),
  ];
  const tables = markdownTables(runs);
  assert.match(tables, /^\| flows \| kprobes \| {2}\|$/m);
  assert.match(tables, /^\| `tcx` \| no \| yes \|$/m);
  assert.match(tables, /^\| o: `p` \| 9 \| 9 \(12\) \|$/m);
  assert.doesNotMatch(tables, /btf/);
  const page = join(folder, "page.md");
  const [begin, end] = ["<!-- written by make test-kernels DOCS=write -->", "<!-- end of what is written -->"];
  writeFileSync(page, `above\n${begin}\nold\n${end}\nbelow\n`);
  writeTables(page, runs);
  assert.equal(readFileSync(page, "utf8"), `above\n${begin}\n\n${tables}\n${end}\nbelow\n`);
  writeFileSync(page, "no place\n");
  assert.throws(() => writeTables(page, runs), /has no place for tables/);
});

test("a program is ended at its time limit, with its children", async () => {
  const log = join(folder, "output");
  const script = "sleep 60 & echo $!; wait";
  const started = performance.now();
  assert.equal(await runToEnd("sh", ["-c", script], { timeout: 500, log }), null);
  assert.ok(performance.now() - started < 10_000);
  const child = Number(readFileSync(log, "utf8"));
  assert.ok(child > 1);
  const gone = () => !/^State:\s+[^Z]/m.test(statusOf(child));
  for (let looks = 0; looks < 100 && !gone(); looks++) await new Promise((settle) => setTimeout(settle, 20));
  assert.ok(gone(), "its child lives on");
  await assert.rejects(runToEnd("sh", ["-c", "echo no >&2; exit 3"], { timeout: 5000 }), /sh failed \(3\): no/);
  await assert.rejects(runToEnd("/does/not/exist", [], { timeout: 5000 }), /cannot run/);
});

/** /proc/PID/status; nothing if there is no such process. */
function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return "";
  }
}

test("each suite has what the next smaller one has, and the whole one the reports from the field", () => {
  const filesOf = (suite: string): string[] => plannedTests(ROOT, suite).map(({ file }) => file);
  const all = new Set(filesOf("all"));
  const core = new Set(filesOf("core"));
  for (const file of core) assert.ok(all.has(file), file);
  for (const file of filesOf("hooks")) assert.ok(core.has(file), file);
  assert.ok(all.has("test/field/resolvers.test.ts"));
});

function outcomeOf(name: string, outcome: TestResult["outcome"]): TestResult {
  return { kind: "test", file: "a.ts", name, outcome, milliseconds: 1 };
}

test("a test that is late in one of two runs is unsteady, in both it has failed, and so has a leak that came once; a few unsteady ones are passed over", () => {
  const late = (name: string): TestResult => ({ ...outcomeOf(name, "failed"), message: "no event in 30000 ms" });
  const leak: TestResult = { ...outcomeOf("leak", "failed"), message: "should have been stopped: sendto" };
  const first = [late("x"), late("y"), outcomeOf("z", "passed"), leak];
  const second = [late("x"), outcomeOf("y", "passed"), late("z"), outcomeOf("leak", "passed")];
  assert.deepEqual(
    failedOf(first, second).map(({ name, outcome }) => [name, outcome]),
    [
      ["x", "failed"],
      ["y", "unsteady"],
      ["leak", "failed"],
      ["z", "unsteady"],
    ],
  );
  const failures = first.filter(({ outcome }) => outcome === "failed");
  assert.deepEqual(failedOf(first, null), failures, "not run again");
  assert.deepEqual(failedOf(first, []), failures, "the second run came to nothing");
  const end: GuestResult = { kind: "end", status: 0 };
  const unsteady = ["x", "y", "z"].map((name) => outcomeOf(name, "unsteady"));
  assert.ok(isGreen(runOf("6.1", [...unsteady.slice(0, 2), end])));
  assert.ok(!isGreen(runOf("6.1", [...unsteady, end])));
  assert.equal(unsteadyTests([runOf("6.1", unsteady)]).length, 3);
});
