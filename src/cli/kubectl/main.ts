/** The kubectl plugin: `kubectl portcullis`. What needs the cluster goes by way of kubectl itself. */

import { Command, CommanderError } from "commander";
import { causeCode, PortcullisError, UsageError } from "../../api/errors.ts";
import { errorLine } from "../error-line.ts";
import { ExitStatus } from "../exit-status.ts";
import { packageVersion } from "../package-version.ts";
import { validateCommand } from "../validate.ts";
import { doctorNodeCommand } from "./doctor.ts";
import { explainPodCommand } from "./explain.ts";
import { observeCommand } from "./observe.ts";
import { statusCommand } from "./status.ts";

function program(): Command {
  const root = new Command("kubectl portcullis")
    .description("SecurityProfiles of a cluster: are they in force, what do they mean, what do they refuse.")
    .version(packageVersion(), "-V, --version")
    .showHelpAfterError("(add --help for help)");
  for (const command of [
    statusCommand(),
    explainPodCommand(),
    validateCommand(),
    observeCommand(),
    doctorNodeCommand(),
  ]) {
    root.addCommand(command.copyInheritedSettings(root).exitOverride());
  }
  return root.exitOverride();
}

async function main(args: readonly string[]): Promise<void> {
  try {
    await program().parseAsync(withoutSeparator(args), { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? ExitStatus.GOOD : ExitStatus.USAGE;
      return;
    }
    if (!(error instanceof PortcullisError)) throw error;
    process.stderr.write(errorLine(error));
    process.exitCode = error instanceof UsageError ? ExitStatus.USAGE : ExitStatus.NO;
  }
}

/** A question may be set apart by `--`, as one is used to from `kubectl exec`. */
function withoutSeparator(args: readonly string[]): string[] {
  return args[0] === "explain" ? args.filter((text) => text !== "--") : [...args];
}

process.stdout.on("error", (error) => {
  if (causeCode(error) !== "EPIPE") throw error;
  process.exit();
});

await main(process.argv.slice(2));
