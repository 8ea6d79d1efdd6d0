/** The command `portcullis` with its subcommands, as commander knows them: for running, completion and the manual. */
import { Command } from "commander";
import { withFittingHelp } from "./help-text.ts";
import { packageVersion } from "./package-version.ts";

interface Subcommand {
  name: string;
  summary: string;
  load: () => Promise<Command>;
}

const SUBCOMMANDS: readonly Subcommand[] = [
  {
    name: "validate",
    summary: "check SecurityProfile manifests",
    load: async () => (await import("./validate/validate.ts")).validateCommand(),
  },
  {
    name: "explain",
    summary: "say whether traffic would be allowed, and by which rule",
    load: async () => (await import("./explain/explain.ts")).explainCommand(),
  },
  {
    name: "test",
    summary: "run policy test files against profiles",
    load: async () => (await import("./policy-test/policy-test.ts")).testCommand(),
  },
  {
    name: "doctor",
    summary: "check what this node can enforce",
    load: async () => (await import("./doctor.ts")).doctorCommand(),
  },
  {
    name: "agent",
    summary: "enforce profiles on this node: a cluster's, or a folder's",
    load: async () => (await import("./agent/agent.ts")).agentCommand(),
  },
  {
    name: "run",
    summary: "run one command under its profile",
    load: async () => (await import("./run/run.ts")).runCommand(),
  },
  {
    name: "learn",
    summary: "write the profile of a workload, from records of what it did",
    load: async () => (await import("./learn/learn.ts")).learnCommand(),
  },
  {
    name: "replay",
    summary: "say what profiles would have refused of what was recorded",
    load: async () => (await import("./learn/replay.ts")).replayCommand(),
  },
  {
    name: "diff",
    summary: "compare a profile with what was seen, or with another",
    load: async () => (await import("./learn/diff.ts")).diffCommand(),
  },
  {
    name: "score",
    summary: "say how much of what profiles allow was used",
    load: async () => (await import("./learn/score.ts")).scoreCommand(),
  },
  {
    name: "drift",
    summary: "list what workloads did that their profiles do not allow",
    load: async () => (await import("./learn/drift.ts")).driftCommand(),
  },
  {
    name: "accept",
    summary: "add deviations that drift lists to a profile",
    load: async () => (await import("./learn/accept.ts")).acceptCommand(),
  },
  {
    name: "operator",
    summary: "validate and compile a cluster's profiles, and push them to the agents",
    load: async () => (await import("./cluster/operator.ts")).operatorCommand(),
  },
  {
    name: "watchdog",
    summary: "mark statuses as Unknown while no operator is running",
    load: async () => (await import("./cluster/watchdog.ts")).watchdogCommand(),
  },
  {
    name: "status",
    summary: "show what is enforced on this machine",
    load: async () => (await import("./status.ts")).statusCommand(),
  },
  {
    name: "observe",
    summary: "show who talked to whom on this node, now and before",
    load: async () => (await import("./observe/observe.ts")).observeCommand(),
  },
  {
    name: "top",
    summary: "show who asks, talks or fails most on this node",
    load: async () => (await import("./questions/top.ts")).topCommand(),
  },
  {
    name: "who",
    summary: "show who uses a workload, name, address or port",
    load: async () => (await import("./questions/who.ts")).whoCommand(),
  },
  {
    name: "deps",
    summary: "show what a workload depends on, and who on it",
    load: async () => (await import("./questions/deps.ts")).depsCommand(),
  },
  {
    name: "crossings",
    summary: "show conversations between namespaces",
    load: async () => (await import("./questions/crossings.ts")).crossingsCommand(),
  },
  {
    name: "bypass",
    summary: "show conversations that do not go through a proxy",
    load: async () => (await import("./questions/bypass.ts")).bypassCommand(),
  },
  {
    name: "slow",
    summary: "show how long answers take, and why",
    load: async () => (await import("./questions/slow.ts")).slowCommand(),
  },
  {
    name: "uninstall",
    summary: "end enforcement on every node of a cluster",
    load: async () => (await import("./cluster/uninstall.ts")).uninstallCommand(),
  },
  {
    name: "detach",
    summary: "end enforcement on this machine",
    load: async () => (await import("./detach.ts")).detachCommand(),
  },
  {
    name: "completion",
    summary: "print the completions of a shell",
    load: async () => (await import("./completion/completion.ts")).completionCommand(),
  },
  {
    name: "version",
    summary: "print the version",
    load: async () => (await import("./version.ts")).versionCommand(),
  },
];

const EXAMPLES = `
Examples:
  portcullis validate examples/
  portcullis help validate`;

/**
 * The command with its subcommands. Their modules are loaded when they are asked for, so that those that need the kernel do not keep the
 * others from working where there is none.
 * @param names of the subcommands that are loaded; the others are known by name only
 */
export async function program(names: readonly string[]): Promise<Command> {
  const root = withFittingHelp(new Command("portcullis"))
    .description("Network security per process: SecurityProfiles say what may be talked to, the kernel enforces it.")
    .version(packageVersion(), "-V, --version")
    .enablePositionalOptions()
    .showHelpAfterError("(add --help for help)")
    .addHelpText("after", EXAMPLES);
  for (const { name, summary, load } of SUBCOMMANDS) {
    const command = names.includes(name) ? await load() : new Command(name).summary(summary);
    root.addCommand(throwing(command.copyInheritedSettings(root)));
  }
  return throwing(root);
}

/** The command with all of its subcommands. */
export function wholeProgram(): Promise<Command> {
  return program(SUBCOMMANDS.map(({ name }) => name));
}

/** Makes wrong usage an exception, for one place to choose the exit status. */
function throwing(command: Command): Command {
  for (const child of command.commands) throwing(child as Command);
  return command.exitOverride();
}
