/** The command line. */
import { parseArgs } from "node:util";
import { causeText, UsageError } from "../../src/api/errors.ts";
import type { Size } from "./layout.ts";

export interface ScaleOptions {
  size: Size;
  rounds: number;
  json: boolean;
  /** Put the results into docs/benchmarks.md. */
  write: boolean;
  help: boolean;
}

export const USAGE = `usage: bench-scale [--nodes N] [--pods N] [--profiles N] [--rounds N] [--json] [--write]

  --nodes N     nodes, each with an agent (default: 1000)
  --pods N      pods, the same number on each node (default: 50000)
  --profiles N  SecurityProfiles (default: 1000)
  --rounds N    edits of each profile that is measured (default: 100)
  --json        results as JSON on standard output
  --write       write the section "Scale" of docs/benchmarks.md
`;

/** Each spread profile has a pod of its own on the first node. */
const LEAST_PODS = 10;

/** @throws UsageError */
export function parseScaleOptions(args: string[]): ScaleOptions {
  const { nodes, pods, profiles, rounds, ...flags } = parse(args);
  const size = { nodes: count("nodes", nodes), pods: count("pods", pods), profiles: count("profiles", profiles) };
  if (size.pods < LEAST_PODS * size.nodes) throw new UsageError(`--pods: at least ${LEAST_PODS} for each node`);
  if (size.profiles < LEAST_PODS) throw new UsageError(`--profiles: at least ${LEAST_PODS}`);
  return { size, rounds: count("rounds", rounds), ...flags };
}

function count(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new UsageError(`--${name}: "${text}" is no number of them`);
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        nodes: { type: "string", default: "1000" },
        pods: { type: "string", default: "50000" },
        profiles: { type: "string", default: "1000" },
        rounds: { type: "string", default: "100" },
        json: { type: "boolean", default: false },
        write: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (cause) {
    throw new UsageError(causeText(cause), { cause });
  }
}
