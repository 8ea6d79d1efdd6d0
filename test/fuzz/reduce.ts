/** Makes a case that differs smaller, as long as it differs: steps, then profiles, then what packets carry. */
import type { FuzzCase } from "./case.ts";
import { runnableLength } from "./mutate.ts";

/** Whether a case still shows what it is about. */
export type Shows<Case = FuzzCase> = (candidate: Case) => boolean;

/** Attempts in all: reducing is for people, and has to end. */
const ATTEMPTS_MAX = 4000;

export function reduceCase(found: FuzzCase, shows: Shows): FuzzCase {
  let attempts = 0;
  const stillShows: Shows = (candidate) => {
    attempts += 1;
    return attempts <= ATTEMPTS_MAX && shows(candidate);
  };
  let current = found;
  for (;;) {
    const before = JSON.stringify(current);
    current = reduceSteps(current, stillShows);
    current = reduceTree(current, stillShows);
    current = reduceFrames(current, stillShows);
    if (JSON.stringify(current) === before || attempts > ATTEMPTS_MAX) return current;
  }
}

/** Drops runs of steps: halves first, single ones last. */
export function reduceSteps<Case extends { steps: unknown[] }>(found: Case, shows: Shows<Case>): Case {
  let { steps } = found;
  for (let size = Math.ceil(steps.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let start = Math.max(0, steps.length - size); start >= 0; start -= size) {
      const fewer = [...steps.slice(0, start), ...steps.slice(start + size)];
      if (fewer.length < steps.length && shows({ ...found, steps: fewer })) steps = fewer;
    }
  }
  return { ...found, steps };
}

/** Of a step, what it may do without. */
const OPTIONAL = new Set<string | number>([
  "process",
  "creator",
  "former",
  "container",
  "modified",
  "ancestry",
  "user",
  "socketId",
  "accepted",
  "connected",
  "kernel",
  "spoken",
  "connectedFor",
  "socketless",
  "gsoSegments",
  "gsoSize",
]);

/** Drops fields and elements of the policies, and facts of the steps. */
function reduceTree(found: FuzzCase, shows: Shows): FuzzCase {
  let current = found;
  for (const part of ["policies", "steps"] as const) {
    const paths = removable(current[part]).filter((path) => part === "policies" || OPTIONAL.has(path.at(-1) ?? ""));
    for (const path of paths.sort((left, right) => left.length - right.length)) {
      const candidate = structuredClone(current);
      if (remove(candidate[part], path) && shows(candidate)) current = candidate;
    }
  }
  return current;
}

type TreePath = (string | number)[];

function removable(tree: unknown, path: TreePath = []): TreePath[] {
  if (typeof tree !== "object" || tree === null) return [];
  const keys = Array.isArray(tree) ? [...tree.keys()].reverse() : Object.keys(tree);
  return keys.flatMap((key) => {
    const child = [...path, key];
    return [child, ...removable((tree as Record<string | number, unknown>)[key], child)];
  });
}

/** False if the path is not there any more. */
function remove(tree: unknown, path: TreePath): boolean {
  const last = path.at(-1) as string | number;
  let parent = tree as Record<string | number, unknown>;
  for (const key of path.slice(0, -1)) {
    const next = parent[key];
    if (typeof next !== "object" || next === null) return false;
    parent = next as Record<string | number, unknown>;
  }
  if (!(last in parent)) return false;
  if (Array.isArray(parent)) parent.splice(last as number, 1);
  else delete parent[last];
  return true;
}

/** Shortens frames. */
function reduceFrames(found: FuzzCase, shows: Shows): FuzzCase {
  let current = found;
  found.steps.forEach((step, index) => {
    if (step.kind !== "packet") return;
    for (let cut = 64; cut >= 1; cut = Math.floor(cut / 2)) {
      for (;;) {
        const now = current.steps[index];
        if (now?.kind !== "packet") break;
        const shorter = now.frame.slice(0, Math.max(0, now.frame.length - 2 * cut));
        if (shorter.length / 2 < runnableLength(Buffer.from(shorter, "hex")) || shorter === now.frame) break;
        const steps = current.steps.with(index, { ...now, frame: shorter });
        if (!shows({ ...current, steps })) break;
        current = { ...current, steps };
      }
    }
  });
  return current;
}
