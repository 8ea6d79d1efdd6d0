/** What the kernel side remembers of workloads and paths that are no more. */

import { PATH_ID_MODIFIED } from "../kernel/abi.gen.ts";
import type { Maps } from "../kernel/typed-maps.ts";
import type { PathNames } from "./path-names.ts";

const PATH_ID_MASK = PATH_ID_MODIFIED - 1;

/** Removes flows, learned names, questions, counters and limits of workloads that are not among these. */
export function forgetWorkloads(maps: Maps, live: ReadonlySet<number>): void {
  const gone = <K>(keys: Iterable<K>, workloadId: (key: K) => number) =>
    [...keys].filter((key) => !live.has(workloadId(key)));
  maps.flows.deleteAll(gone(maps.flows.keys(), (key) => key.workloadId));
  maps.fragments.deleteAll(gone(maps.fragments.keys(), (key) => key.workloadId));
  maps.learned.deleteAll(gone(maps.learned.keys(), (key) => key.workloadId));
  maps.dnsQueries.deleteAll(gone(maps.dnsQueries.keys(), (key) => key.flow.workloadId));
  maps.counters.deleteAll(gone(maps.counters.keys(), (key) => key.workloadId));
  maps.limits.deleteAll(gone(maps.limits.keys(), (key) => key.workloadId));
}

/**
 * Makes room among the paths. A socket's memory of who made it cannot be looked through; if its maker's path is removed and
 * listed later, the socket is judged as that of an unknown binary: more strictly, never less.
 * @param listed paths of the tables in force
 * @returns how many paths were removed
 */
export function collectPaths(maps: Maps, paths: PathNames, listed: ReadonlySet<number>): number {
  return paths.collect(() => {
    const used = new Set(listed);
    for (const [, process] of maps.processes.entries()) {
      used.add(process.pathId).add(process.scriptId).add(process.parentPathId);
    }
    for (const [, flow] of maps.flows.entries()) {
      for (const subject of flow.subjects) used.add(subject.pathId & PATH_ID_MASK);
    }
    for (const key of maps.counters.keys()) used.add(key.pathId & PATH_ID_MASK);
    for (const key of maps.learned.keys()) used.add(key.pathId & PATH_ID_MASK);
    return used;
  });
}
