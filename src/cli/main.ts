/**
 * The command `portcullis`.
 *
 * Exit status: the subcommand's, or what exit-status.ts has for errors and wrong usage.
 */
import { CommanderError } from "commander";
import { causeCode, PortcullisError, UnreadableError, UsageError } from "../api/errors.ts";
import { candidates, candidatesText } from "./completion/candidates.ts";
import { errorLine } from "./error-line.ts";
import { ExitStatus } from "./exit-status.ts";
import { program } from "./program.ts";

/** What completions of shells ask: the words behind the program's name, the last one as far as it is typed. */
const COMPLETE = "__complete";

/** Runs the command; sets the exit status unless the subcommand did. */
async function main(args: readonly string[]): Promise<void> {
  const [first, ...words] = args;
  if (first === COMPLETE) return complete(words);
  try {
    await (await program(args)).parseAsync(args, { from: "user" });
  } catch (error) {
    process.exitCode = report(error);
  }
}

async function complete(words: readonly string[]): Promise<void> {
  process.stdout.write(candidatesText(candidates(await program(words), words)));
}

/** Says what went wrong, where that has not been said yet; the exit status. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? ExitStatus.GOOD : ExitStatus.USAGE;
  if (!(error instanceof PortcullisError)) throw error;
  process.stderr.write(errorLine(error));
  return error instanceof UsageError || error instanceof UnreadableError ? ExitStatus.USAGE : ExitStatus.NO;
}

// A reader that has seen enough (`portcullis ... | head`) is no failure.
process.stdout.on("error", (error) => {
  if (causeCode(error) !== "EPIPE") throw error;
  process.exit();
});

await main(process.argv.slice(2));
