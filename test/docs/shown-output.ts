/** Whether a command has printed what its page shows. */

/**
 * The lines of the page that were not printed, each where it was looked for: behind the line before it. `…` stands for anything, spaces for any
 * number of them, a time of day and a process's number in brackets for any other.
 */
export function unprinted(shown: string, output: string): string[] {
  const lines = output.split("\n");
  let from = 0;
  return shown
    .split("\n")
    .filter((line) => line.trim() !== "" && line.trim() !== "…")
    .filter((line) => {
      const pattern = patternOf(line);
      const found = lines.findIndex((candidate, index) => index >= from && pattern.test(candidate));
      if (found !== -1) from = found + 1;
      return found === -1;
    });
}

function patternOf(line: string): RegExp {
  const escaped = line.trim().replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const pattern = escaped
    .replaceAll(/\d\d:\d\d:\d\d\\\.\d{3}/g, "\\d\\d:\\d\\d:\\d\\d\\.\\d{3}")
    .replaceAll(/\\\[\d+\\\]/g, "\\[\\d+\\]")
    .replaceAll(/\s*…\s*/g, ".*")
    .replaceAll(/\s+/g, "\\s+");
  return new RegExp(`^\\s*${pattern}\\s*$`);
}
