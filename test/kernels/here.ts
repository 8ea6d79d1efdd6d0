/** The suite on this machine's own kernel, by the side of which the others are seen. */
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { removeLeftovers } from "../e2e/harness/leftovers.ts";
import { type GuestRun, readRun } from "./guest.ts";
import type { PlannedFile, SuitePlan } from "./plan.ts";
import { runToEnd } from "./process.ts";

const ROOT = join(import.meta.dirname, "../..");
const SUITE = join(import.meta.dirname, "guest/suite.ts");

export interface HereOptions {
  plan: readonly PlannedFile[];
  /** Folder for the output and the results; emptied first. */
  folder: string;
  /** After this long it is ended, ms. */
  timeout: number;
}

/** `6.18` for 6.18.5-cloud. */
export function lineHere(): string {
  return release().split(".").slice(0, 2).join(".");
}

/** Runs the suite and reads what it reported. */
export async function runHere({ plan, folder, timeout }: HereOptions): Promise<GuestRun> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const console = join(folder, "console.log");
  const resultFile = join(folder, "results.jsonl");
  const planFile = join(folder, "plan.json");
  writeFileSync(planFile, JSON.stringify({ files: plan, repeatFailed: false } satisfies SuitePlan));
  writeFileSync(resultFile, "");
  const start = performance.now();
  try {
    const env = { KERNELS_PLAN: planFile, KERNELS_RESULTS: resultFile };
    const status = await runToEnd(process.execPath, [SUITE], { timeout, log: console, cwd: ROOT, env }, [0, 1]);
    if (status !== null) appendFileSync(resultFile, `${JSON.stringify({ kind: "end", status })}\n`);
  } finally {
    removeLeftovers();
  }
  return readRun({ console, resultFile, start });
}
