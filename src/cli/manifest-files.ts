/** Reading manifests from files, folders and standard input, as the user names them. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { PortcullisError, UnreadableError } from "../api/errors.ts";
import type { ManifestText } from "../api/profile-set.ts";
import { readManifestFile } from "../node-agent/profiles/manifest-file.ts";

/** Names of files in a folder that are taken for manifests; as kubectl does, a folder's folders are not looked into. */
const MANIFEST_FILE = /\.(ya?ml|json)$/i;
const STANDARD_INPUT = 0;

/**
 * The texts that a path stands for: a file, the manifests of a folder in the order of their names, or `-`.
 *
 * @throws UnreadableError where it cannot be read
 * @throws PortcullisError PC_NO_MANIFESTS for a folder without manifests
 */
export function readManifestTexts(path: string): ManifestText[] {
  try {
    if (path === "-") return [{ source: path, text: readFileSync(STANDARD_INPUT, "utf8") }];
    if (!statSync(path).isDirectory()) return [{ source: path, text: readManifestFile(path) }];
    return readFolder(path);
  } catch (cause) {
    throw cause instanceof PortcullisError ? cause : new UnreadableError(path, cause);
  }
}

function readFolder(folder: string): ManifestText[] {
  const names = readdirSync(folder).filter((name) => MANIFEST_FILE.test(name));
  if (names.length === 0) {
    throw new PortcullisError("PC_NO_MANIFESTS", `${folder} holds no file that ends in .yaml, .yml or .json`);
  }
  return names.sort().map((name) => {
    const source = join(folder, name);
    return { source, text: readManifestFile(source) };
  });
}
