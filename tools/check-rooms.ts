/**
 * Holds src/ against rooms.ts: what imports what, which packages are used where, and how many files a folder has. Prints
 * each breach; exit status 1 if there is one. Tests and their helpers may look into any room.
 *
 *     node tools/check-rooms.ts
 */
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { FOLDER_FILES_MAX, INPUT_OUTPUT, PACKAGE_ROOMS, PURE_ROOMS, ROOMS } from "./rooms.ts";

const SOURCE = join(import.meta.dirname, "../src");
const IMPORT = /(?:from|import)\s*\(?\s*"([^"]+)"/g;

/** Whether a file or room lies in a room. */
function isIn(path: string, room: string): boolean {
  return path === room || path.startsWith(`${room}/`);
}

/** The room that a file below src/ is in, or null. */
function roomOf(file: string): string | null {
  const rooms = Object.keys(ROOMS).filter((room) => isIn(file, room));
  return rooms.sort((a, b) => b.length - a.length)[0] ?? null;
}

function relativeBreach(file: string, room: string, specifier: string): string | null {
  const target = normalize(join(dirname(file), specifier));
  if (target.startsWith("..")) return null;
  const allowed = [room, ...(ROOMS[room] ?? [])].some((other) => isIn(target, other));
  return allowed ? null : `src/${file} imports src/${target}, which ${room} may not`;
}

function packageBreach(file: string, specifier: string): string | null {
  const builtin = /^node:([a-z_0-9]+)/.exec(specifier)?.[1];
  const isPure = PURE_ROOMS.some((room) => isIn(file, room));
  if (builtin !== undefined && isPure && INPUT_OUTPUT.includes(builtin)) {
    return `src/${file} imports ${specifier}, and its room does no input or output`;
  }
  const home = Object.entries(PACKAGE_ROOMS).find(([name]) => isIn(specifier, name))?.[1];
  return home === undefined || isIn(file, home) ? null : `src/${file} imports ${specifier}, which only src/${home} may`;
}

/** What is wrong with the imports of one file. @param file below src/ */
export function importBreaches(file: string, text: string): string[] {
  const room = roomOf(file);
  if (room === null) return [`src/${file} is in no room that tools/rooms.ts knows`];
  const breaches = [...text.matchAll(IMPORT)].map(([, specifier = ""]) =>
    specifier.startsWith(".") ? relativeBreach(file, room, specifier) : packageBreach(file, specifier),
  );
  return breaches.filter((breach) => breach !== null);
}

/** Folders that have too many files. @param files below src/ */
export function folderBreaches(files: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const file of files) counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1);
  return [...counts]
    .filter(([, count]) => count > FOLDER_FILES_MAX)
    .map(([folder, count]) => `src/${folder} has ${count} files; find the rooms within (at most ${FOLDER_FILES_MAX})`);
}

function main(): number {
  const files = globSync("**/*.ts", { cwd: SOURCE }).filter((file) => !/\.test\.ts$|\.d\.ts$|\/testing\//.test(file));
  const breaches = files.flatMap((file) => importBreaches(file, readFileSync(join(SOURCE, file), "utf8")));
  breaches.push(...folderBreaches(files));
  for (const breach of breaches) console.error(breach);
  return breaches.length === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = main();
