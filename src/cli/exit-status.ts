/** What a command's exit status means: one table for all of them. docs/commands.md has it too. */

/** `portcullis run` has its command's status, and its own from 125 on, as env(1), timeout(1) and docker-run(1) have. */
export const ExitStatus = {
  GOOD: 0,
  NO: 1,
  USAGE: 2,
  INCOMPLETE: 3,
  NOT_GUARDED: 125,
  NOT_EXECUTABLE: 126,
  NOT_FOUND: 127,
} as const;

type Status = (typeof ExitStatus)[keyof typeof ExitStatus];

const MEANINGS: Readonly<Record<Status, string>> = {
  [ExitStatus.GOOD]: "good, or the answer is yes",
  [ExitStatus.NO]: "the answer is no, or the command failed",
  [ExitStatus.USAGE]: "usage error: an option, an argument, or a file that is named",
  [ExitStatus.INCOMPLETE]: "incomplete: a part of what was asked for could not be seen",
  [ExitStatus.NOT_GUARDED]: "run: the command could not be guarded, and was not started",
  [ExitStatus.NOT_EXECUTABLE]: "run: the command cannot be executed",
  [ExitStatus.NOT_FOUND]: "run: there is no such command",
};

/**
 * The end of a command's help.
 * @param own statuses that the command ends with, with its own words for them; 2 is every command's
 * @param further statuses that are no single number, such as `128+N`
 */
export function exitStatusHelp(
  own: Partial<Record<Status, string>>,
  further: Readonly<Record<string, string>> = {},
): string {
  const statuses = { [ExitStatus.USAGE]: MEANINGS[ExitStatus.USAGE], ...own, ...further };
  const width = Math.max(...Object.keys(statuses).map(({ length }) => length));
  const lines = Object.entries(statuses).map(([status, meaning]) => `  ${status.padStart(width)}  ${meaning}`);
  return ["Exit status:", ...lines].join("\n");
}

/** The table of docs/commands.md. */
export function exitStatusTable(): string {
  const rows = Object.entries(MEANINGS).map(([status, meaning]) => `| ${status} | ${meaning} |`);
  return ["| status | meaning |", "| --- | --- |", ...rows].join("\n");
}
