/** A file whose tests are over and that does not end fails, with all of its tests counted, and says what was left open. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const PRELOAD = join(import.meta.dirname, "test-exit.ts");
const FILE = `
import { createServer } from "node:net";
import { test } from "node:test";
for (let count = 0; count < 50; count += 1) test(String(count), () => {});
`;

/** Runs a file as `make test` does. */
function run(text: string): { status: number | null; output: string } {
  const folder = mkdtempSync(join(tmpdir(), "portcullis-test-exit-"));
  try {
    const file = join(folder, "some.test.mjs");
    writeFileSync(file, text);
    const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", `--import=${PRELOAD}`, "--test", "--test-reporter=spec", file],
      { encoding: "utf8", env: { ...environment, PORTCULLIS_TEST_LINGER_MS: "1000" } },
    );
    return { status, output: stdout + stderr };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("a file that leaves something open", () => {
  const { status, output } = run(`${FILE} test("listens", () => void createServer().listen(0));`);
  assert.equal(status, 1);
  assert.match(output, /the process is kept alive by TCPServerWrap/);
  assert.match(output, /pass 51\n/);
});

test("a file that ends by itself", () => {
  const { status, output } = run(FILE);
  assert.equal(status, 0, output);
  assert.match(output, /pass 50\n/);
});
