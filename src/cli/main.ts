/**
 * The command `portcullis`. A subcommand's module is loaded when it is asked for, so that those that need the kernel
 * do not keep the others from working where there is none.
 *
 * Exit status: the subcommand's, or what exit-status.ts has for errors and wrong usage.
 */

import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { causeCode, PortcullisError, UsageError } from "../api/errors.ts";
import { errorLine } from "./error-line.ts";
import { ExitStatus } from "./exit-status.ts";

interface Subcommand {
  name: string;
  summary: string;
  load: () => Promise<Command>;
}

const SUBCOMMANDS: readonly Subcommand[] = [
  {
    name: "validate",
    summary: "check SecurityProfile manifests",
    load: async () => (await import("./validate.ts")).validateCommand(),
  },
  {
    name: "explain",
    summary: "say whether traffic would be allowed, and by which rule",
    load: async () => (await import("./explain.ts")).explainCommand(),
  },
  {
    name: "doctor",
    summary: "check what this node can enforce",
    load: async () => (await import("./doctor.ts")).doctorCommand(),
  },
  {
    name: "agent",
    summary: "enforce profiles on this node: a cluster's, or a folder's",
    load: async () => (await import("./agent.ts")).agentCommand(),
  },
  {
    name: "run",
    summary: "run one command under its profile",
    load: async () => (await import("./run.ts")).runCommand(),
  },
  {
    name: "operator",
    summary: "validate and compile a cluster's profiles, and push them to the agents",
    load: async () => (await import("./operator.ts")).operatorCommand(),
  },
  {
    name: "watchdog",
    summary: "mark statuses as Unknown while no operator is at work",
    load: async () => (await import("./watchdog.ts")).watchdogCommand(),
  },
  {
    name: "status",
    summary: "what is enforced on this machine",
    load: async () => (await import("./status.ts")).statusCommand(),
  },
  {
    name: "uninstall",
    summary: "take enforcement off every node of a cluster",
    load: async () => (await import("./uninstall.ts")).uninstallCommand(),
  },
  {
    name: "detach",
    summary: "take enforcement off",
    load: async () => (await import("./detach.ts")).detachCommand(),
  },
];

const EXAMPLES = `
Examples:
  portcullis validate examples/
  portcullis help validate`;

/** The command with its subcommands; only those named in `args` are real, the others are known by name. */
async function program(args: readonly string[]): Promise<Command> {
  const root = new Command("portcullis")
    .description("Network security per process: SecurityProfiles say what may be talked to, the kernel enforces it.")
    .version(packageVersion(), "-V, --version")
    .enablePositionalOptions()
    .showHelpAfterError("(add --help for help)")
    .addHelpText("after", EXAMPLES);
  for (const { name, summary, load } of SUBCOMMANDS) {
    const command = args.includes(name) ? await load() : new Command(name).summary(summary);
    root.addCommand(throwing(command.copyInheritedSettings(root)));
  }
  return throwing(root);
}

/** Makes wrong usage an exception, for one place to choose the exit status. */
function throwing(command: Command): Command {
  for (const child of command.commands) throwing(child as Command);
  return command.exitOverride();
}

function packageVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

/** Runs the command; sets the exit status unless the subcommand did. */
async function main(args: readonly string[]): Promise<void> {
  try {
    await (await program(args)).parseAsync(args, { from: "user" });
  } catch (error) {
    process.exitCode = report(error);
  }
}

/** Says what went wrong, where that has not been said yet; the exit status. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? ExitStatus.GOOD : ExitStatus.USAGE;
  if (!(error instanceof PortcullisError)) throw error;
  process.stderr.write(errorLine(error));
  return error instanceof UsageError ? ExitStatus.USAGE : ExitStatus.NO;
}

// A reader that has seen enough (`portcullis ... | head`) is no failure.
process.stdout.on("error", (error) => {
  if (causeCode(error) !== "EPIPE") throw error;
  process.exit();
});

await main(process.argv.slice(2));
