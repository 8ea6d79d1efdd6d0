/** What the kernel side remembers of workloads and paths that are no more. */

import { PATH_ID_MODIFIED } from "../../../gen/abi.gen.ts";
import type { Maps } from "../../kernel/typed-maps.ts";
import { recountClaims } from "./claims.ts";
import type { PathNames } from "./path-names.ts";
import { removeShares } from "./shares.ts";

const PATH_ID_MASK = PATH_ID_MODIFIED - 1;

/** Removes flows, learned names, questions, counters and limits of workloads that are not among these. */
export function forgetWorkloads(maps: Maps, live: ReadonlySet<number>): void {
  removeShares(maps, live);
  maps.counters.deleteAll([...maps.counters.keys()].filter(({ workloadId }) => !live.has(workloadId)));
}

/**
 * Removes the sets of ancestors that no process has. What sockets remember of processes that have ended meets no condition from
 * then on.
 * @returns how many were removed
 */
export function collectAncestries(maps: Pick<Maps, "processes" | "ancestries" | "ancestrySets">): number {
  const unused = () => {
    const used = new Set([...maps.processes.entries()].map(([, { ancestry }]) => ancestry));
    return [...maps.ancestrySets.entries()].filter(([id]) => !used.has(id));
  };
  // Without its number nobody takes a set up again; a process that took it before that keeps it.
  const found = unused();
  for (const [, { ancestry }] of found) maps.ancestries.delete(ancestry);
  const removed = new Map(unused().map(([id, known]) => [id, known]));
  for (const [id, { ancestry }] of found) {
    if (removed.has(id)) maps.ancestrySets.delete(id);
    else maps.ancestries.add(ancestry, id);
  }
  return found.length;
}

/**
 * Makes room among the paths. What sockets, flows and learned names remember of processes that have ended is not looked
 * through, for a pod can make more of it than there is time for; if such a path is removed and listed later, what remembers
 * the former number is judged as an unknown binary's: more strictly, never less.
 * @param listed paths of the tables in force
 * @returns how many paths were removed
 */
export function collectPaths(maps: Maps, paths: PathNames, listed: ReadonlySet<number>): number {
  const removed = paths.collect(() => {
    const used = new Set(listed);
    for (const [, process] of maps.processes.entries()) {
      used.add(process.pathId).add(process.scriptId).add(process.parentPathId);
    }
    for (const [, { ancestry }] of maps.ancestrySets.entries()) {
      for (const { pathId } of ancestry.ancestors) used.add(pathId);
    }
    for (const key of maps.counters.keys()) used.add(key.pathId & PATH_ID_MASK);
    return used;
  });
  recountClaims(maps);
  return removed;
}
