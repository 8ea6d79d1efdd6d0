/**
 * Writes the codecs of src/gen from proto/: JavaScript with declarations, because Node runs TypeScript by
 * taking the types away, and generated TypeScript has enums. With `--check` it writes nothing and exits 1 where the files
 * are not what it would write. Needs no network.
 *
 *     node tools/generate-protocol.ts [--check]
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const SOURCE = "proto";
const FOLDER = "src/gen";
/** Files below the source, of each of which the generator writes a codec. */
const FILES = [
  "portcullis/agent/v1/agent",
  "portcullis/agent/v1/telemetry",
  "portcullis/flow/v1/flow",
  "otlp/otlp",
  "hubble/observer",
  "grpc/health",
];
const GENERATED = FILES.flatMap((file) => [`${file}_pb.js`, `${file}_pb.d.ts`]);
const TEMPLATE = JSON.stringify({
  version: "v2",
  plugins: [{ local: "protoc-gen-es", out: ".", opt: ["target=js+dts", "import_extension=js"] }],
});

/** Runs the generator into a folder. */
function generate(folder: string): void {
  const bin = join(ROOT, "node_modules/.bin");
  const args = ["generate", SOURCE, "--template", TEMPLATE, "--output", folder];
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH ?? ""}` };
  execFileSync(join(bin, "buf"), args, { cwd: ROOT, env, stdio: ["ignore", "inherit", "inherit"] });
}

/** A generated file as it stands in src/gen, where all are beside each other. */
function generated(folder: string, path: string): string {
  const text = readFileSync(join(folder, path), "utf8");
  return text.replaceAll(/"(?:\.\.\/)+\w+\/v1\/(\w+_pb\.js)"/g, '"./$1"');
}

function isStale(folder: string, path: string): boolean {
  return generated(folder, path) !== readFileSync(target(path), "utf8");
}

function target(path: string): string {
  return join(ROOT, FOLDER, basename(path));
}

function main(args: readonly string[]): number {
  const folder = mkdtempSync(join(tmpdir(), "portcullis-protocol-"));
  try {
    generate(folder);
    if (args.includes("--check")) {
      const stale = GENERATED.filter((path) => isStale(folder, path));
      for (const path of stale) console.error(`${target(path)} is stale: run node tools/generate-protocol.ts`);
      return stale.length === 0 ? 0 : 1;
    }
    for (const path of GENERATED) writeFileSync(target(path), generated(folder, path));
    console.log(`wrote ${GENERATED.map((path) => `${FOLDER}/${basename(path)}`).join(", ")}`);
    return 0;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (import.meta.main) process.exitCode = main(process.argv.slice(2));
