/** What was aimed at, beside what was seen. */
import { BenchError } from "../errors.ts";
import type { ChangeResult, EditResult, ScaleResult } from "./results.ts";

export interface Target {
  what: string;
  target: string;
  measured: string;
  met: boolean;
}

const SOME_NODES = 100;
const SOME_MS = 300;
const ALL_MS = 2_000;
const MEMORY = 512 * 1024 ** 2;
/** Writes of one edit on all nodes may be so many more than of one on a single node: a status more, or less, by chance. */
const MORE_WRITES = 1;

export function targetsOf({ edits, changes, peakMemory }: ScaleResult): Target[] {
  const some = edits.find(({ nodes }) => nodes === SOME_NODES);
  return [
    ...(some === undefined ? [] : [timeTarget(some, SOME_MS)]),
    timeTarget(last(edits), ALL_MS),
    {
      what: "memory of the operator, at most in the whole run",
      target: "< 512 MiB",
      measured: `${(peakMemory / 1024 ** 2).toFixed(0)} MiB`,
      met: peakMemory < MEMORY,
    },
    writesTarget(changes[0], last(changes)),
  ];
}

function timeTarget({ nodes, all }: EditResult, limit: number): Target {
  return {
    what: `edit of a profile on ${nodes} nodes, until all have acknowledged, p99`,
    target: `< ${limit} ms`,
    measured: `${all.p99.toFixed(0)} ms`,
    met: all.p99 < limit,
  };
}

function writesTarget(one: ChangeResult | undefined, all: ChangeResult): Target {
  const least = one?.writes ?? 0;
  return {
    what: "writes to the API server for an edit",
    target: "do not grow with nodes",
    measured: `${least.toFixed(1)} for 1 node, ${all.writes.toFixed(1)} for ${all.nodes}`,
    met: all.writes <= least + MORE_WRITES,
  };
}

function last<T>(items: readonly T[]): T {
  const item = items.at(-1);
  if (item === undefined) throw new BenchError("nothing was measured");
  return item;
}
