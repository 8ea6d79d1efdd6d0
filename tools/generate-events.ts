/**
 * Writes docs/events.schema.json from src/flow/schema.ts. With `--check` it writes nothing and exits 1 where the file
 * is not what it would write.
 *
 *     node tools/generate-events.ts [--check]
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { EVENT_SCHEMA } from "../src/flow/schema.ts";

const DOCUMENT = "docs/events.schema.json";
const PATH = fileURLToPath(new URL(`../${DOCUMENT}`, import.meta.url));

function main(args: readonly string[]): number {
  const text = `${JSON.stringify(EVENT_SCHEMA, null, 2)}\n`;
  if (!args.includes("--check")) {
    writeFileSync(PATH, text);
    console.log(`wrote ${DOCUMENT}`);
    return 0;
  }
  if (readFileSync(PATH, "utf8") === text) return 0;
  console.error(`${DOCUMENT} is stale: run node tools/generate-events.ts`);
  return 1;
}

process.exitCode = main(process.argv.slice(2));
