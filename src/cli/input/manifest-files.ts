/** Reading manifests from files, folders and standard input, as the user names them. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { causeText, PortcullisError, UnreadableError, UsageError } from "../../api/errors.ts";
import { isValidSet, type ManifestText, readProfileSet, validProfiles } from "../../api/profile-set.ts";
import type { SecurityProfile } from "../../api/types.ts";
import { readManifestFile } from "../../node-agent/profiles/manifest-file.ts";
import { standardInput } from "./standard-input.ts";

/** Names of files in a folder that are taken for manifests; as kubectl does, a folder's folders are not looked into. */
const MANIFEST_FILE = /\.(ya?ml|json)$/i;

/**
 * The texts that a path stands for: a file, the manifests of a folder in the order of their names, or `-`.
 *
 * @throws UnreadableError where it cannot be read
 * @throws PortcullisError PC_NO_MANIFESTS for a folder without manifests
 */
export function readManifestTexts(path: string): ManifestText[] {
  try {
    if (path === "-") return [{ source: path, text: Buffer.concat([...standardInput()]).toString("utf8") }];
    return manifestPaths(path).map((source) => ({ source, text: readManifestFile(source) }));
  } catch (cause) {
    throw cause instanceof PortcullisError ? cause : new UnreadableError(path, cause);
  }
}

/**
 * The files that a path stands for: itself, or the manifests of a folder in the order of their names.
 *
 * @throws PortcullisError PC_NO_MANIFESTS for a folder without manifests
 */
export function manifestPaths(path: string): string[] {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return [path];
  const names = readdirSync(path).filter((name) => MANIFEST_FILE.test(name));
  if (names.length === 0) {
    throw new PortcullisError("PC_NO_MANIFESTS", `${path} holds no file that ends in .yaml, .yml or .json`);
  }
  return names.sort().map((name) => join(path, name));
}

/** For commands whose exit status 1 is an answer: what cannot be read is wrong usage. @throws UsageError */
export function requireManifestTexts(path: string): ManifestText[] {
  try {
    return readManifestTexts(path);
  } catch (cause) {
    if (!(cause instanceof PortcullisError)) throw cause;
    throw new UsageError(causeText(cause), { cause });
  }
}

/** The profiles of files and folders, of which there is one at least. @throws UsageError where they cannot be used */
export function requireProfiles(paths: readonly string[]): SecurityProfile[] {
  const set = readProfileSet(paths.flatMap(requireManifestTexts));
  if (!isValidSet(set)) {
    throw new UsageError(`the profiles have errors; "portcullis validate ${paths.join(" ")}" shows them`);
  }
  const profiles = validProfiles(set);
  if (profiles.length === 0) throw new UsageError(`there is no SecurityProfile in ${paths.join(", ")}`);
  return profiles;
}
