/** `portcullis agent`: the agent of one machine without a cluster, or (--operator) of a node of one. */
import { Command, Option } from "commander";
import { UsageError } from "../../api/errors.ts";
import type { OutputFormat } from "../../export/line-sink.ts";
import { TeeSink } from "../../export/tee.ts";
import { WithoutAllowed } from "../../export/without-allowed.ts";
import { Agent } from "../../node-agent/agent.ts";
import { NamedNamespaces } from "../../node-agent/discovery/namespaces/named-namespaces.ts";
import { parseNamedNamespace } from "../../node-agent/discovery/namespaces/namespace-argument.ts";
import { gateCgroup } from "../../node-agent/enforce/attach/gate.ts";
import { acquireLock } from "../../node-agent/enforce/state/lock.ts";
import { exitNow } from "../../node-agent/ffi/libc.ts";
import { ForeignFiles } from "../../node-agent/foreign-files/foreign-files.ts";
import { STARTUP_FAILURE_POLICIES, type StartupFailurePolicy } from "../../node-agent/guard/startup-wait.ts";
import { ProfileFolder } from "../../node-agent/profiles/folder.ts";
import type { Logger, LogLevel } from "../../telemetry/logger.ts";
import { endSignal } from "../end-signal.ts";
import { exitStatusHelp } from "../exit-status.ts";
import { requireRoot } from "../node-access.ts";
import { formatDuration, parseDuration } from "../values/durations.ts";
import { addClusterOptions, type ClusterAgentCommandOptions } from "./cluster-options.ts";
import {
  addHookOption,
  addLogOption,
  addOutputOption,
  addPinOptions,
  addSettingOptions,
  detachCommand,
  type HookOptions,
  hookSetsOf,
  lockRemade,
  loggerOf,
  type PinOptions,
  pinsOf,
  type SettingOptions,
  settingsOf,
  standardOutput,
} from "./node-options.ts";
import {
  addRecordsOptions,
  exportsOf,
  flowSettings,
  keepRecords,
  type RecordsCommandOptions,
} from "./records-options.ts";
import { addServeOptions, type ServeOptions, serveOf } from "./serve-options.ts";

interface AgentCommandOptions extends RecordsCommandOptions, ServeOptions, SettingOptions, HookOptions {
  profiles?: string;
  netns?: string[];
  namespace: string;
  output: OutputFormat;
  startupFailurePolicy?: StartupFailurePolicy;
  startupTimeout: number;
  gate?: string;
  logLevel: LogLevel;
}

const DEFAULT_STARTUP_TIMEOUT_MS = 30_000;

const EXAMPLES = `
Examples:
  portcullis agent --profiles examples/ --netns ping:app=ping --netns pong:app=pong
  portcullis agent --profiles /etc/portcullis --netns web:app=web,tier=front -o json | jq .
  portcullis agent --operator portcullis-operator.portcullis.svc:8443 --node worker-1 -o json

NAME is a name of \`ip netns\`. The namespace may be made later, removed, and made again. The folder
of profiles is watched: a change takes effect all at once, or is refused as a whole. When the agent
ends, enforcement goes on: \`portcullis detach\` ends it.

${exitStatusHelp({ 0: "ended by a signal; enforcement goes on", 1: "it could not start, or had to stop" })}`;

export function agentCommand(): Command {
  const command = new Command("agent")
    .summary("enforce profiles on this node: a cluster's, or a folder's")
    .description(
      "Enforces profiles and prints each verdict: a folder's profiles on named network namespaces or, with --operator, " +
        "a cluster's on the pods of this node.",
    )
    .option("--profiles <folder>", "SecurityProfile manifests; watched")
    .addOption(
      new Option("--netns <name:labels>", "network namespace and its labels, NAME:key=value,...; repeatable").argParser(
        (text: string, before: string[] | undefined) => [...(before ?? []), text],
      ),
    )
    .option("--namespace <name>", "Kubernetes namespace that the workloads belong to", "default")
    .addOption(
      new Option(
        "--startup-failure-policy <policy>",
        "for a new workload, if its policy is not known in time (default: Auto with --operator, which blocks it in namespaces " +
          "that had an enforcing profile, else Allow)",
      ).choices(STARTUP_FAILURE_POLICIES),
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
  addClusterOptions(command);
  addOutputOption(command, "format of the events");
  addPinOptions(command);
  addRecordsOptions(command);
  addServeOptions(command);
  addSettingOptions(command);
  addHookOption(command);
  addLogOption(command);
  return command
    .addHelpText("after", EXAMPLES)
    .action((options: AgentCommandOptions & ClusterAgentCommandOptions) => runAgent(options));
}

/** Runs until a signal ends it. */
async function runAgent(options: AgentCommandOptions & ClusterAgentCommandOptions): Promise<void> {
  requireRoot("agent");
  if (options.operator !== undefined) {
    const standalone = [
      ["--profiles", options.profiles],
      ["--netns", options.netns],
    ].filter(([, value]) => value !== undefined);
    if (standalone.length > 0) {
      throw new UsageError(
        `--operator and ${standalone[0]?.[0]} exclude each other: the operator says what holds where`,
      );
    }
    // What speaks to an operator takes a third of the time to load, and a machine without a cluster has no use for it.
    const { runClusterAgent } = await import("./cluster-agent.ts");
    return runClusterAgent({ ...options, operator: options.operator });
  }
  const { profiles, netns } = options;
  if (profiles === undefined) throw new UsageError("give --profiles FOLDER, or --operator HOST:PORT in a cluster");
  if (netns === undefined) throw new UsageError("give at least one --netns NAME:key=value,... to be guarded");
  return runStandalone({ ...options, profiles, netns });
}

async function runStandalone(options: AgentCommandOptions & { profiles: string; netns: string[] }): Promise<void> {
  const log = loggerOf(options);
  const { pinRoot, stateDirectory } = pinsOf(options);
  const named = options.netns.map((text) => parseNamedNamespace(text, options.namespace));
  const settings = settingsOf(options, flowSettings(options));
  const gate = options.gate === undefined ? undefined : gateCgroup(options.gate);
  const exports = await exportsOf(options);
  const serve = serveOf(options);
  const output = standardOutput(options.output);
  const printed = settings.reportAllowed ? output : new WithoutAllowed(output);
  const { startupFailurePolicy = "Allow", startupTimeout } = options;
  {
    // An agent that cannot start must not be kept alive by what was opened before it failed.
    await using resources = new AsyncDisposableStack();
    resources.adopt(acquireLock(stateDirectory, pinRoot, lockRemade(log)), (lock) => lock.release());
    // Under the lock: no other agent writes there.
    const records = resources.adopt(keepRecords(options, { exports, serve, log }), (kept) => kept?.end());
    const profiles = resources.adopt(new ProfileFolder(options.profiles, log), (folder) => folder.close());
    const workloads = resources.use(
      new NamedNamespaces(named, {
        onError: (cause) => log.error({ err: cause }, "cannot look at the network namespaces; trying again"),
      }),
    );
    const files = resources.use(new ForeignFiles({ log }));
    const agent = new Agent({
      pinRoot,
      stateDirectory,
      settings,
      profiles,
      workloads,
      files,
      sink: records === null ? printed : new TeeSink([printed, records]),
      startupFailurePolicy,
      startupTimeout,
      ...(gate === undefined ? {} : { gate }),
      hookSets: hookSetsOf(options),
      log,
    });
    resources.defer(() => agent.close());
    await endSignal();
  }
  await output.end();
  logRemains(log, pinRoot, options);
  // Standard output may be a pipe that nobody reads any more; there is nothing left to wait for.
  exitNow(0);
}

function logRemains(log: Logger, pinRoot: string, options: PinOptions & { netns: string[] }): void {
  const { netns } = options;
  log.info(
    { pinRoot },
    `the agent ends; its policies stay in force on ${netns.length === 1 ? "its workload" : `its ${netns.length} workloads`}. ` +
      `Take them off with: ${detachCommand(options)}`,
  );
}
