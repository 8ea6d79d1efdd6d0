/**
 * Differential fuzzing of the classifier against the reference evaluator.
 *
 *   node test/fuzz/fuzz.ts --seconds 60 [--seed 1] [--keep]
 *
 * Packets with facts about their sockets first, then real sockets, for a third of the time. Every case has a seed of its own,
 * from `--seed` on; the one that is printed with a difference shows it again. The difference is reduced; `--keep` writes it to
 * test/fuzz/cases. Exit code 1 if the two differ.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ClassifierHarness } from "../harness/classifier-harness.ts";
import { LiveHarness } from "../harness/live-harness.ts";
import { type FoundDifference, fuzz, packetWorld, socketWorld, type World } from "./session.ts";
import { GATEWAYS, OWN_ADDRESSES } from "./world.ts";

const CASES = join(import.meta.dirname, "cases");
const PROGRESS_MS = 5000;
/** Of the time: that of real sockets. */
const SOCKETS_SHARE = 1 / 3;

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
  return fuzzPackets(seed, seconds, values.keep) && fuzzSockets(seed, seconds) ? 0 : 1;
}

/** @returns whether the two agree */
function fuzzPackets(seed: number, seconds: number, keep: boolean): boolean {
  using harness = new ClassifierHarness({ name: "fuzz" });
  const found = run("packets", packetWorld(harness), seed, seconds * (1 - SOCKETS_SHARE));
  if (found !== null) tell(found, keep);
  return found === null;
}

function fuzzSockets(seed: number, seconds: number): boolean {
  using live = new LiveHarness({ name: "fuzz", addresses: OWN_ADDRESSES, ...GATEWAYS });
  const found = run("sockets", socketWorld(live), seed, seconds * SOCKETS_SHARE);
  if (found !== null) tell(found, false);
  return found === null;
}

/** One world for some time. @returns where the two differ */
function run<Case, Judge>(name: string, world: World<Case, Judge>, seed: number, seconds: number) {
  let last = Date.now();
  const { found, cases, packets, refused, elapsedMs, reasons } = fuzz(world, {
    seed,
    milliseconds: seconds * 1000,
    onCase: (progress) => {
      if (Date.now() - last < PROGRESS_MS) return;
      last = Date.now();
      console.log(
        `${name}: ${progress.cases} cases, ${progress.packets} packets, ${rate(progress.packets, progress.elapsedMs)}`,
      );
    },
  });
  console.log(`${name}: ${cases} cases (${refused} refused), ${packets} packets, ${rate(packets, elapsedMs)}`);
  console.log(
    [...reasons]
      .sort((a, b) => b[1] - a[1])
      .map(([reason, count]) => `${reason} ${count}`)
      .join(", "),
  );
  return found;
}

function rate(packets: number, milliseconds: number): string {
  return `${Math.round((packets / milliseconds) * 1000)} executions/s`;
}

function tell<Case extends { steps: unknown[] }>(found: FoundDifference<Case>, keep: boolean): void {
  const { seed, difference, reduced } = found;
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
