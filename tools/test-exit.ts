/**
 * Loaded into every process that runs a file of tests (`--import`): where something keeps the process alive after the last test, it
 * ends it, names what that is, and has the file fail. The runner's `--test-force-exit` ends a process before all its tests are
 * reported, and says nothing of what was left open; the runner's timeouts end where tests do.
 */
import { afterEach, beforeEach } from "node:test";

/** As long as the longest test: what a file sets up and clears away between tests takes less. */
const DEFAULT_LINGER_MS = 180_000;
const LINGER_MS = Number(process.env.PORTCULLIS_TEST_LINGER_MS ?? DEFAULT_LINGER_MS);
/** Standard input and output. */
const OF_EVERY_PROCESS = ["PipeWrap", "PipeWrap"];

let running = 0;
let idleSince = performance.now();

/** Set by the runner in processes that it starts; it loads this file itself, too. */
if (process.env.NODE_TEST_CONTEXT !== undefined) {
  beforeEach(() => {
    running += 1;
  });
  afterEach(() => {
    running -= 1;
    idleSince = performance.now();
  });
  setInterval(endIfIdle, LINGER_MS / 10).unref();
}

function endIfIdle(): void {
  if (running > 0 || performance.now() - idleSince < LINGER_MS) return;
  const open = process.getActiveResourcesInfo();
  for (const name of OF_EVERY_PROCESS) if (open.includes(name)) open.splice(open.indexOf(name), 1);
  process.stderr.write(`no test has run for ${LINGER_MS / 1000} s; the process is kept alive by ${open.join(", ")}\n`);
  process.exit(1);
}
