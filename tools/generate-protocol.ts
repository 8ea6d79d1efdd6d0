/**
 * Writes the codecs of src/gen from proto/: JavaScript with declarations, because Node runs TypeScript by
 * taking the types away, and generated TypeScript has enums. With `--check` it writes nothing and exits 1 where the files
 * are not what it would write. Needs no network.
 *
 *     node tools/generate-protocol.ts [--check]
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const SOURCE = "proto";
const FOLDER = "src/gen";
/** Where the generator writes them, below its output. */
const PACKAGE = "portcullis/agent/v1";
const GENERATED = ["agent_pb.js", "agent_pb.d.ts"];
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

function isStale(folder: string, name: string): boolean {
  return readFileSync(join(folder, PACKAGE, name), "utf8") !== readFileSync(join(ROOT, FOLDER, name), "utf8");
}

function main(args: readonly string[]): number {
  const folder = mkdtempSync(join(tmpdir(), "portcullis-protocol-"));
  try {
    generate(folder);
    if (args.includes("--check")) {
      const stale = GENERATED.filter((name) => isStale(folder, name));
      for (const name of stale) console.error(`${FOLDER}/${name} is stale: run node tools/generate-protocol.ts`);
      return stale.length === 0 ? 0 : 1;
    }
    for (const name of GENERATED) copyFileSync(join(folder, PACKAGE, name), join(ROOT, FOLDER, name));
    console.log(`wrote ${GENERATED.map((name) => `${FOLDER}/${name}`).join(", ")}`);
    return 0;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (import.meta.main) process.exitCode = main(process.argv.slice(2));
