/**
 * Writes src/gen/abi.gen.ts, the TypeScript side of bpf/include/abi.h, from the BTF of
 * build/bpf/layout.bpf.o. `--check` writes nothing and exits 1 if the file is not up to date.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { causeText } from "../src/api/errors.ts";
import { readObjectTypes } from "../src/node-agent/kernel/objects.ts";
import { generateCodecs } from "./abi-codecs.ts";

const ROOT = join(import.meta.dirname, "..");
const HEADER = join(ROOT, "bpf/include/abi.h");
const OBJECT = join(ROOT, "build/bpf/layout.bpf.o");
const OUTPUT = join(ROOT, "src/gen/abi.gen.ts");

/** The header's text, with the files that it includes in their places. */
function readHeader(): string {
  const text = readFileSync(HEADER, "utf8");
  return text.replaceAll(/^#include "(.+)"$/gm, (_, file: string) => readFileSync(join(dirname(HEADER), file), "utf8"));
}

/** The text of abi.gen.ts as it should be. */
export function generate(): string {
  return generateCodecs(readObjectTypes(OBJECT), readHeader());
}

function readOutput(): string {
  try {
    return readFileSync(OUTPUT, "utf8");
  } catch {
    return "";
  }
}

function main(check: boolean): number {
  const text = generate();
  if (!check) {
    writeFileSync(OUTPUT, text);
    return 0;
  }
  if (text === readOutput()) return 0;
  process.stderr.write("src/gen/abi.gen.ts is not up to date: run `make generate`\n");
  return 1;
}

if (import.meta.main) {
  try {
    process.exitCode = main(process.argv.includes("--check"));
  } catch (error) {
    process.stderr.write(`generate-abi: ${causeText(error)}\n`);
    process.exitCode = 1;
  }
}
