/** Two texts beside each other, as `diff -u` shows them. */
import { diff, styleText } from "node:util";
import { printable } from "../api/printable.ts";

const CONTEXT = 3;
/** Node's diff has 1 for what is in its first text only. */
const SIGNS = { "1": "-", "0": " ", "-1": "+" } as const;

/** Lines of what has changed in a text, each with three lines around it. @param source what the text is called */
export function unifiedDiff({ source, before, after }: { source: string; before: string; after: string }): string[] {
  const changes = diff(before.split("\n"), after.split("\n")).map(([sign, line]) => ({ sign, line }));
  const near = changes.map((_, index) =>
    changes.slice(Math.max(0, index - CONTEXT), index + CONTEXT + 1).some(({ sign }) => sign !== 0),
  );
  const lines = [`--- ${printable(source)}`, `+++ ${printable(source)}`];
  let [old, fresh] = [1, 1];
  for (const [index, { sign, line }] of changes.entries()) {
    if (near[index] && !near[index - 1]) lines.push(hunkHeading(changes.slice(index), near.slice(index), old, fresh));
    if (near[index]) lines.push(coloured(sign, `${SIGNS[sign]}${printable(line)}`));
    if (sign !== -1) old += 1;
    if (sign !== 1) fresh += 1;
  }
  return lines;
}

function hunkHeading(rest: { sign: -1 | 0 | 1 }[], near: boolean[], old: number, fresh: number): string {
  const end = near.indexOf(false);
  const hunk = rest.slice(0, end < 0 ? undefined : end);
  const without = (sign: number) => hunk.filter((change) => change.sign !== sign).length;
  return `@@ -${old},${without(-1)} +${fresh},${without(1)} @@`;
}

function coloured(sign: -1 | 0 | 1, line: string): string {
  return sign === 0 ? line : styleText(sign === 1 ? "red" : "green", line);
}
