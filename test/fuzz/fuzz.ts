/**
 * Differential fuzzing of the classifier against the reference evaluator.
 *
 *   node test/fuzz/fuzz.ts --seconds 60 [--seed 1] [--keep]
 *
 * Every case has a seed of its own, from `--seed` on; the one that is printed with a difference shows it again. The
 * difference is reduced; `--keep` writes it to test/fuzz/cases. Exit code 1 if the two differ.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ClassifierRig } from "../rig/classifier-rig.ts";
import { type FoundDifference, fuzz } from "./session.ts";

const CASES = join(import.meta.dirname, "cases");
const PROGRESS_MS = 5000;

function main(): number {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "60" },
      seed: { type: "string" },
      keep: { type: "boolean", default: false },
    },
  });
  const seconds = Number(values.seconds);
  const seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed);
  if (!(seconds > 0) || !Number.isInteger(seed)) {
    console.error("--seconds has to be a positive number, and --seed a whole one");
    return 2;
  }
  console.log(`fuzzing for ${seconds} s from seed ${seed}`);
  using rig = new ClassifierRig({ name: "fuzz" });
  let last = Date.now();
  const { found, cases, packets, refused, elapsedMs, reasons } = fuzz(rig, {
    seed,
    milliseconds: seconds * 1000,
    onCase: (progress) => {
      if (Date.now() - last < PROGRESS_MS) return;
      last = Date.now();
      console.log(
        `${progress.cases} cases, ${progress.packets} packets, ${rate(progress.packets, progress.elapsedMs)}`,
      );
    },
  });
  console.log(`${cases} cases (${refused} refused), ${packets} packets, ${rate(packets, elapsedMs)}`);
  console.log(
    [...reasons]
      .sort((a, b) => b[1] - a[1])
      .map(([reason, count]) => `${reason} ${count}`)
      .join(", "),
  );
  if (found === null) return 0;
  tell(found, values.keep);
  return 1;
}

function rate(packets: number, milliseconds: number): string {
  return `${Math.round((packets / milliseconds) * 1000)} executions/s`;
}

function tell({ seed, difference, reduced }: FoundDifference, keep: boolean): void {
  console.log(`seed ${seed} differs at step ${difference.step} of ${reduced.steps.length}`);
  console.log(`  kernel:    ${difference.kernel}`);
  console.log(`  evaluator: ${difference.evaluator}`);
  const text = `${JSON.stringify({ about: `kernel: ${difference.kernel}; evaluator: ${difference.evaluator}`, ...reduced }, null, 2)}\n`;
  if (!keep) {
    console.log(text);
    return;
  }
  mkdirSync(CASES, { recursive: true });
  const path = join(CASES, `seed-${seed}.json`);
  writeFileSync(path, text);
  console.log(`kept as ${path}; say in "about" what it was`);
}

process.exitCode = main();
