/** `portcullis agent`: the agent of one machine without a cluster. */
import { Command, Option } from "commander";
import { Agent, STARTUP_FAILURE_POLICIES, type StartupFailurePolicy } from "../node-agent/agent.ts";
import { gateCgroup } from "../node-agent/enforce/gate.ts";
import { acquireLock } from "../node-agent/enforce/lock.ts";
import type { OutputFormat } from "../node-agent/events/sinks.ts";
import { ProfileFolder } from "../node-agent/profiles/folder.ts";
import { NamedNamespaces } from "../node-agent/workload/named-namespaces.ts";
import { parseNamedNamespace } from "../node-agent/workload/namespace-argument.ts";
import type { Logger, LogLevel } from "../telemetry/logger.ts";
import { formatDuration, parseDuration } from "./durations.ts";
import { requireRoot } from "./node-access.ts";
import {
  addLogOption,
  addOutputOption,
  addPinOptions,
  addSettingOptions,
  loggerOf,
  type PinOptions,
  pinsOf,
  type SettingOptions,
  settingsOf,
  standardOutput,
} from "./node-options.ts";

interface AgentCommandOptions extends PinOptions, SettingOptions {
  profiles: string;
  netns: string[];
  namespace: string;
  output: OutputFormat;
  startupFailurePolicy: StartupFailurePolicy;
  startupTimeout: number;
  gate?: string;
  logLevel: LogLevel;
}

const DEFAULT_STARTUP_TIMEOUT_MS = 30_000;

const EXAMPLES = `
Examples:
  portcullis agent --profiles examples/ --netns ping:app=ping --netns pong:app=pong
  portcullis agent --profiles /etc/portcullis --netns web:app=web,tier=front -o json | jq .

NAME is as in \`ip netns\`; it may come later, go, and come again. Profiles are watched: a change is in force at one
stroke, or is refused as a whole. Ending the agent, however, ends no enforcement: see \`portcullis detach\`.`;

export function agentCommand(): Command {
  const command = new Command("agent")
    .summary("enforce a folder of profiles on named network namespaces")
    .description("Keeps the profiles of a folder in force on named network namespaces, and prints each verdict.")
    .requiredOption("--profiles <folder>", "SecurityProfile manifests; watched")
    .addOption(
      new Option("--netns <name:labels>", "network namespace and its labels, NAME:key=value,...; repeatable")
        .argParser((text: string, before: string[] | undefined) => [...(before ?? []), text])
        .makeOptionMandatory(),
    )
    .option("--namespace <name>", "Kubernetes namespace that the workloads stand in for", "default")
    .addOption(
      new Option("--startup-failure-policy <policy>", "for a new workload, if the profiles cannot be read at the start")
        .choices(STARTUP_FAILURE_POLICIES)
        .default("Allow"),
    )
    .addOption(
      new Option("--startup-timeout <time>", "how long such a workload is blocked before that")
        .argParser(parseDuration)
        .default(DEFAULT_STARTUP_TIMEOUT_MS, formatDuration(DEFAULT_STARTUP_TIMEOUT_MS)),
    )
    .option(
      "--gate <cgroup>",
      "cgroup (v2) of all workloads: what its network namespaces send before they are guarded is dropped, for the startup timeout",
    );
  addOutputOption(command, "format of the events");
  addPinOptions(command);
  addSettingOptions(command);
  addLogOption(command);
  return command.addHelpText("after", EXAMPLES).action((options: AgentCommandOptions) => runAgent(options));
}

/** Runs until a signal ends it. */
async function runAgent(options: AgentCommandOptions): Promise<void> {
  requireRoot("agent");
  const log = loggerOf(options);
  const { pinRoot, stateDirectory } = pinsOf(options);
  const named = options.netns.map((text) => parseNamedNamespace(text, options.namespace));
  const settings = settingsOf(options);
  const gate = options.gate === undefined ? undefined : gateCgroup(options.gate);
  const sink = standardOutput(options.output);
  const { startupFailurePolicy, startupTimeout } = options;
  {
    // An agent that cannot start must not be kept alive by what was opened before it failed.
    using resources = new DisposableStack();
    resources.adopt(acquireLock(stateDirectory, pinRoot), (lock) => lock.release());
    const profiles = resources.adopt(new ProfileFolder(options.profiles, log), (folder) => folder.close());
    const workloads = resources.use(
      new NamedNamespaces(named, {
        onError: (cause) => log.error({ err: cause }, "cannot look at the network namespaces; trying again"),
      }),
    );
    const agent = new Agent({
      pinRoot,
      stateDirectory,
      settings,
      profiles,
      workloads,
      sink,
      startupFailurePolicy,
      startupTimeout,
      ...(gate === undefined ? {} : { gate }),
      log,
    });
    resources.defer(() => agent.close());
    await endSignal();
  }
  await sink.end();
  sayFarewell(log, pinRoot, options);
  // Standard output may be a pipe that nobody reads any more; there is nothing left to wait for.
  process.exit(0);
}

function sayFarewell(log: Logger, pinRoot: string, { netns }: AgentCommandOptions): void {
  const root = pinRoot === "/sys/fs/bpf/portcullis" ? "" : ` --pin-root ${pinRoot}`;
  log.info(
    { pinRoot },
    `the agent ends; its policies stay in force on ${netns.length === 1 ? "its workload" : `its ${netns.length} workloads`}. ` +
      `Take them off with: portcullis detach --all${root}`,
  );
}

/** Settles at the first signal that asks the process to end. */
function endSignal(): Promise<NodeJS.Signals> {
  return new Promise((settle) => {
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.once(signal, () => settle(signal));
  });
}
