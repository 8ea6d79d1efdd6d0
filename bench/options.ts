/** The command line of the benchmarks. */
import { parseArgs } from "node:util";
import { causeText, UsageError } from "../src/api/errors.ts";

export interface Options {
  /** Names of benchmarks, none for all. */
  only: string[];
  /** For each table. */
  seconds: number;
  json: boolean;
  /** Write docs/benchmarks.md; only for a run of everything. */
  write: boolean;
  help: boolean;
}

const DEFAULT_SECONDS = 10;

export function usage(names: readonly string[]): string {
  return `usage: bench [--only NAME]... [--seconds N] [--json] [--write]

  --only NAME   one of ${names.join(", ")}; may be repeated
  --seconds N   how long to measure for each table (default: ${DEFAULT_SECONDS})
  --json        results as JSON on standard output
  --write       write docs/benchmarks.md and its chart
`;
}

/** @throws UsageError */
export function parseOptions(args: string[], names: readonly string[]): Options {
  const values = parse(args);
  const seconds = Number(values.seconds);
  if (!(seconds > 0)) throw new UsageError(`--seconds: "${values.seconds}" is no number of seconds`);
  const unknown = values.only.find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new UsageError(`--only: there is no benchmark ${unknown}; there are ${names.join(", ")}`);
  if (values.write && values.only.length > 0) throw new UsageError("--write is for all benchmarks; leave --only out");
  return { ...values, seconds };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        only: { type: "string", multiple: true, default: [] },
        seconds: { type: "string", default: String(DEFAULT_SECONDS) },
        json: { type: "boolean", default: false },
        write: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (cause) {
    throw new UsageError(causeText(cause), { cause });
  }
}
