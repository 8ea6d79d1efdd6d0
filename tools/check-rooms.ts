/**
 * Holds src/ against rooms.ts: what imports what, which packages are used where, and who names flags; and every folder
 * of the project against the number of files that it may have. Prints each breach; exit status 1 if there is one. Tests and their helpers may look into any room.
 *
 *     node tools/check-rooms.ts
 */
import { execFileSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { FLAG_ROOM, FOLDER_FILES_MAX, INPUT_OUTPUT, LARGE_FOLDERS, PACKAGE_ROOMS, PURE_ROOMS, ROOMS } from "./rooms.ts";

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

/** Folders that have too many files, and no reason for it. @param files of the project, tests left out */
export function folderBreaches(files: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const file of files) counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1);
  return [...counts]
    .filter(([folder, count]) => count > FOLDER_FILES_MAX && !(folder in LARGE_FOLDERS))
    .map(([folder, count]) => `${folder} has ${count} files; find the rooms within (at most ${FOLDER_FILES_MAX})`);
}

/** Every file that git keeps, tests and their expected outputs left out. */
function projectFiles(): string[] {
  const listed = execFileSync("git", ["ls-files"], { cwd: join(SOURCE, ".."), encoding: "utf8" });
  return listed.split("\n").filter((file) => file !== "" && !/\.test\.ts$|\/snapshots\//.test(file));
}

/** The flags that commands declare. @param texts of src/cli */
export function declaredFlags(texts: readonly string[]): Set<string> {
  const declarations = texts.flatMap((text) => [...text.matchAll(/[oO]ption\(\s*"(?:-\w, )?(--[a-z-]+)/g)]);
  return new Set(declarations.map(([, flag = ""]) => flag));
}

/** Flags that a file names, which only src/cli may: other rooms name the setting. @param file below src/ */
export function flagBreaches(file: string, text: string, flags: ReadonlySet<string>): string[] {
  if (isIn(file, FLAG_ROOM)) return [];
  const named = [...text.matchAll(/(?<![\w-])--[a-z][a-z-]*/g)].map(([flag]) => flag);
  return [...new Set(named)]
    .filter((flag) => flags.has(flag))
    .map((flag) => `src/${file} names ${flag}, which only src/${FLAG_ROOM} may; name the setting`);
}

function main(): number {
  const files = globSync("**/*.ts", { cwd: SOURCE }).filter((file) => !/\.test\.ts$|\.d\.ts$|\/testing\//.test(file));
  const texts = new Map(files.map((file) => [file, readFileSync(join(SOURCE, file), "utf8")]));
  const flags = declaredFlags([...texts].filter(([file]) => isIn(file, FLAG_ROOM)).map(([, text]) => text));
  const breaches = [...texts].flatMap(([file, text]) => [
    ...importBreaches(file, text),
    ...flagBreaches(file, text, flags),
  ]);
  breaches.push(...folderBreaches(projectFiles()));
  for (const breach of breaches) console.error(breach);
  return breaches.length === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = main();
