import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { AgentRunningError } from "../errors.ts";
import { acquireLock, runningAgent } from "./lock.ts";

test("a second agent on the same pins is refused, and told the pid of the first", () => {
  const directory = mkdtempSync(join(tmpdir(), "pc-lock-"));
  try {
    assert.equal(runningAgent(directory), null);
    const lock = acquireLock(directory, "/sys/fs/bpf/x");
    assert.equal(runningAgent(directory), process.pid);
    assert.throws(
      () => acquireLock(directory, "/sys/fs/bpf/x"),
      (error) => error instanceof AgentRunningError && error.pid === process.pid,
    );
    lock.release();
    assert.equal(runningAgent(directory), null);
    acquireLock(directory, "/sys/fs/bpf/x").release();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
