/** Listed executables of which nothing has been seen: a path that was mistyped, or a program that has not run yet. */
import { nearestPath } from "../../../api/validation/nearest.ts";

export interface UnseenExecutable {
  /** As a profile lists it. */
  listed: string;
  /** The path of a program that was seen there, is not listed, and has its name or almost; null where there is none. */
  meant: string | null;
}

/**
 * A listed link is seen by the name of the file that it leads to, and stands for that file.
 * @param listed paths of the workload's rule table
 * @param seen paths of what runs in the workload, or has used the network there
 * @param files listed path -> the file that it leads to; not every path has to be there
 */
export function unseenExecutables(
  listed: readonly string[],
  seen: ReadonlySet<string>,
  files: ReadonlyMap<string, string> = new Map(),
): UnseenExecutable[] {
  const strangers = [...seen].filter((path) => !listed.includes(path));
  const linked = new Set([...files].filter(([path, file]) => path !== file).map(([, file]) => file));
  return [...new Set(listed)]
    .filter((path) => !seen.has(path) && !seen.has(files.get(path) ?? path) && !linked.has(path))
    .map((path) => ({ listed: path, meant: nearestPath(path, strangers) }));
}
