/** Builds the archive of the kubectl plugin, for a release: `build-plugin.ts [FILE]`. Prints its digest. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writePluginArchive } from "./archive.ts";

const [, , file = join(import.meta.dirname, "../../build/plugin/kubectl-portcullis.tar.gz")] = process.argv;
writePluginArchive(file);
console.log(`${createHash("sha256").update(readFileSync(file)).digest("hex")}  ${file}`);
