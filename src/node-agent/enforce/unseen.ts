/** Listed executables of which nothing has been seen: a path that was mistyped, or a program that has not run yet. */
import { nearest } from "../../api/nearest.ts";

export interface UnseenExecutable {
  /** As a profile lists it. */
  listed: string;
  /** The path of a program that was seen there, is not listed, and is spelt almost like it; null where there is none. */
  meant: string | null;
}

/**
 * @param listed paths of the workload's rule table
 * @param seen paths of what runs in the workload, or has used the network there
 */
export function unseenExecutables(listed: readonly string[], seen: ReadonlySet<string>): UnseenExecutable[] {
  const strangers = [...seen].filter((path) => !listed.includes(path));
  return [...new Set(listed)]
    .filter((path) => !seen.has(path))
    .map((path) => ({ listed: path, meant: nearest(path, strangers) }));
}
