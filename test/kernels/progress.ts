/** Signs of life of a suite that runs for minutes. */
import { existsSync, readFileSync } from "node:fs";
import { parseResults } from "./results.ts";

const INTERVAL_MS = 30_000;

/** One line: how far a suite has come; null if nothing has been reported yet. */
export function progressOf(text: string): string | null {
  const results = parseResults(text);
  const part = results.findLast((result) => result.kind === "part");
  if (part?.kind !== "part") return null;
  const tests = results.filter((result) => result.kind === "test");
  const failed = tests.filter(({ outcome }) => outcome === "failed").length;
  return `${tests.length} results${failed > 0 ? `, ${failed} FAILED` : ""}, ${part.name} is done`;
}

/** Says every half minute how far a suite has come, if it has come any further, until disposed of. */
export function tellProgress(resultFile: string, say: (text: string) => void): Disposable {
  let last: string | null = null;
  const timer = setInterval(() => {
    const text = existsSync(resultFile) ? progressOf(readFileSync(resultFile, "utf8")) : null;
    if (text === null || text === last) return;
    last = text;
    say(text);
  }, INTERVAL_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
