/**
 * Runs the demo and records it: docs/images/demo.svg plays it, and docs/demo.md has its transcript. For maintainers, as
 * root: `node_modules/.bin/node examples/demo/record.ts`.
 */
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DemoSetupError, ended } from "./command.ts";
import { plainText, type RecordedLine, terminalSvg } from "./terminal-svg.ts";

const DOCS = join(import.meta.dirname, "..", "..", "docs");
const PICTURE = join(DOCS, "images", "demo.svg");
const PAGE = join(DOCS, "demo.md");
const TRANSCRIPT = /(<!-- transcript -->\n```text\n)[\s\S]*?(```\n<!-- \/transcript -->)/;

/** Of the terminal that the picture shows. */
const COLUMNS = 100;
/** The demo waits between its steps where a person looks on; here it is a pipe that does, and the picture waits. */
const READING_SECONDS = 1.5;
const STEP = /^ ?\d+\/\d+ /;
/** The moment that stands still: the shell in ping has just been stopped. */
const STILL_STEP = "7";

const lines = await record();
writeFileSync(
  PICTURE,
  terminalSvg(lines, { title: "make demo", columns: COLUMNS, rows: 34, rest: 6, still: stillCount(lines) }),
);
const transcript = lines.map(({ text }) => `${plainText(text).trimEnd()}\n`).join("");
const page = readFileSync(PAGE, "utf8");
if (!TRANSCRIPT.test(page)) throw new DemoSetupError(`${PAGE} has no place for the transcript`);
writeFileSync(
  PAGE,
  page.replace(TRANSCRIPT, (_, before: string, after: string) => `${before}${transcript}${after}`),
);

async function record(): Promise<RecordedLine[]> {
  const demo = spawn(process.execPath, [join(import.meta.dirname, "demo.ts")], {
    env: { ...process.env, FORCE_COLOR: "1", COLUMNS: String(COLUMNS) },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const begun = performance.now();
  const recorded: RecordedLine[] = [];
  let pauses = 0;
  for await (const text of createInterface({ input: demo.stdout })) {
    if (STEP.test(plainText(text))) pauses += READING_SECONDS;
    recorded.push({ time: (performance.now() - begun) / 1000 + pauses, text });
  }
  await ended(demo);
  if (demo.exitCode !== 0) throw new DemoSetupError("the demo did not show what it promises; nothing is written");
  return recorded;
}

function stillCount(recorded: readonly RecordedLine[]): number {
  const next = recorded.findIndex(({ text }) => plainText(text).trimStart().startsWith(`${STILL_STEP}/`));
  return next < 0 ? recorded.length : next;
}
