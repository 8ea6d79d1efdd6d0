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
    for (const key of maps.counters.keys()) used.add(key.pathId & PATH_ID_MASK);
    return used;
  });
  recountClaims(maps);
  return removed;
}
