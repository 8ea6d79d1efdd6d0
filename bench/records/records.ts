/**
 * What keeping and asking for records costs: records a second into segments on disk, and questions to a folder of 1 GiB, of which an hour is
 * one part of 24. Prints a table.
 *
 *     node bench/records/records.ts [--megabytes 1024] [--folder FOLDER]
 *
 * One hour is written as the agent writes it. The segments of the other hours are hard links to its own, under the names of their hours: a
 * question for one hour tells by their names that it does not want them. A question without times reads all of them.
 */
import { linkSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { RecordQuery } from "../../src/flow/query.ts";
import { Keeper } from "../../src/node-agent/records/keeper.ts";
import { keptLine } from "../../src/node-agent/records/messages.ts";
import { ask } from "../../src/node-agent/records/testing/answers.ts";
import { sampleRecord } from "../../src/node-agent/records/testing/sample-records.ts";

const HOURS = 24;
const HOUR_MS = 3_600_000;
const START = Date.UTC(2026, 0, 2);
const PODS = 50;
/** Of a second, as far as the writer's blocks are concerned. */
const FLUSH_EVERY = 5000;
const NOTHING = { onLost: () => {}, onWarning: console.error };

const { values } = parseArgs({
  options: { megabytes: { type: "string", default: "1024" }, folder: { type: "string" } },
});
const bytes = Number(values.megabytes) * 2 ** 20;
const folder = values.folder ?? mkdtempSync(join(tmpdir(), "pc-bench-records-"));

/** Writes an hour of records, until it has its part of all bytes. @returns how many, and the seconds that it took */
function writeHour(): { count: number; seconds: number; rawBytes: number } {
  const keeper = new Keeper(folder, 2 * bytes, NOTHING);
  const started = performance.now();
  let count = 0;
  let rawBytes = 0;
  while (keeper.state.bytes < bytes / HOURS) {
    for (let index = 0; index < FLUSH_EVERY; index += 1) {
      const line = keptLine(sampleRecord(count, START + (count % HOUR_MS), PODS));
      keeper.take([line]);
      rawBytes += line.line.length;
      count += 1;
    }
    keeper.flush();
  }
  keeper.close();
  return { count, seconds: (performance.now() - started) / 1000, rawBytes };
}

/** Makes the other hours. */
function linkHours(): void {
  const files = readdirSync(folder).sort();
  for (let hour = 1; hour < HOURS; hour += 1) {
    for (const [index, file] of files.entries()) {
      const [, first = 0, last = 0] = /-(\d+)-(\d+)\.zst$/.exec(file)?.map(Number) ?? [];
      const id = String(files.length * hour + index + 1).padStart(10, "0");
      linkSync(join(folder, file), join(folder, `${id}-${first + hour * HOUR_MS}-${last + hour * HOUR_MS}.zst`));
    }
  }
}

async function seconds(what: string, query: Partial<RecordQuery>): Promise<void> {
  const times: number[] = [];
  let found = 0;
  for (let round = 0; round < 3; round += 1) {
    const keeper = new Keeper(folder, 2 * bytes, NOTHING);
    const started = performance.now();
    found = (await ask(keeper, query)).records.length;
    times.push((performance.now() - started) / 1000);
    keeper.close();
  }
  const [, median = 0] = times.toSorted((a, b) => a - b);
  console.log(`| ${what} | ${median.toFixed(2)} s | ${found} records |`);
}

try {
  const { count, seconds: taken, rawBytes } = writeHour();
  linkHours();
  const total = readdirSync(folder).reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
  const hour = { since: START, until: START + HOUR_MS - 1 };
  const pod = { select: { allow: [{ pod: ["shop/web-4-"] }], deny: [] } };
  console.log(`${count} records an hour of ${PODS} pods, ${(total / 2 ** 20).toFixed(0)} MiB in all\n`);
  console.log("| what | time | |\n| --- | --- | --- |");
  console.log(`| writing, made and serialised here | ${((1e6 * taken) / count).toFixed(1)} us | a record |`);
  console.log(
    `| on disk | ${(total / HOURS / count).toFixed(0)} bytes | a record of ${(rawBytes / count).toFixed(0)} |`,
  );
  await seconds("one pod, one hour", { ...hour, ...pod });
  await seconds("the last 20 of one pod", { ...pod, last: 20 });
  await seconds("refused, one hour, all pods, first 1000", {
    ...hour,
    first: 1000,
    select: { allow: [{ verdict: ["dropped"] }], deny: [] },
  });
} finally {
  if (values.folder === undefined) rmSync(folder, { recursive: true });
}
