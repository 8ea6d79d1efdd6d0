/** `make bench-plane`: the operator under the loads of tenants, and of pods without rights, against itself without them. */
import { setPriority } from "node:os";
import { parseArgs } from "node:util";
import { causeText, UsageError } from "../../src/api/errors.ts";
import { planeText, writePlaneSection } from "./document.ts";
import { LOADS } from "./loads.ts";
import { measure, type PlaneResult } from "./measure.ts";

/** As nice(1) counts: that of the operator under test, too. */
const PRIORITY = -15;

const USAGE = `usage: bench-plane [--seconds N] [--only NAME] [--write]

  --seconds N  for each half of a measurement (default: 15)
  --only NAME  one load: ${LOADS.map(({ name }) => name).join(", ")}
  --write      write the section "Control plane under attack" of docs/benchmarks.md
`;

interface PlaneOptions {
  seconds: number;
  only: string | undefined;
  write: boolean;
  help: boolean;
}

/** @throws UsageError */
function parse(args: string[]): PlaneOptions {
  let values: { seconds: string; only?: string; write: boolean; help: boolean };
  try {
    values = parseArgs({
      args,
      options: {
        seconds: { type: "string", default: "15" },
        only: { type: "string" },
        write: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (cause) {
    throw new UsageError(causeText(cause), { cause });
  }
  const seconds = Number(values.seconds);
  if (!(seconds >= 1)) throw new UsageError(`--seconds: "${values.seconds}" is no number of them`);
  const { only, write, help } = values;
  if (only !== undefined && !LOADS.some(({ name }) => name === only))
    throw new UsageError(`--only: there is no load "${only}"`);
  if (only !== undefined && write) throw new UsageError("--write takes all loads: leave --only out");
  return { seconds, only, write, help };
}

async function main(): Promise<void> {
  const { seconds, only, write, help } = parse(process.argv.slice(2));
  if (help) {
    process.stdout.write(USAGE);
    return;
  }
  goFirst();
  const results: PlaneResult[] = [];
  for (const load of LOADS.filter(({ name }) => only === undefined || name === only)) {
    process.stderr.write(`${load.what}\n`);
    results.push(await measure(load, seconds));
  }
  const text = planeText(results, seconds);
  process.stdout.write(text);
  if (write) writePlaneSection(text);
}

/** The API server, the agents and the loads are in this process: what else the machine does is not to be measured, as in the operator's. */
function goFirst(): void {
  try {
    setPriority(PRIORITY);
  } catch (cause) {
    process.stderr.write(
      `the benchmark runs as any other program, because its priority cannot be raised: ${causeText(cause)}\n`,
    );
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`bench-plane: ${causeText(error)}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
