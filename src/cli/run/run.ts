/** `portcullis run`: one command under its profile, in a network namespace of its own. */
import { basename } from "node:path";
import { Command, Option } from "commander";
import { PortcullisError, UsageError } from "../../api/errors.ts";
import { checkLabelKey, checkLabelValue, nearestObjectName } from "../../api/labels.ts";
import { DEFAULT_NAMESPACE } from "../../api/normalize.ts";
import { readProfileSet } from "../../api/profile-set.ts";
import type { SecurityProfile } from "../../api/types.ts";
import { learningProfile } from "../../learn/learning-profile.ts";
import { Agent } from "../../node-agent/agent.ts";
import type { WorkloadSource } from "../../node-agent/discovery/workload.ts";
import { deadPinRoots, detachAll } from "../../node-agent/enforce/detach.ts";
import { acquireLock } from "../../node-agent/enforce/state/lock.ts";
import { defaultStateDirectory } from "../../node-agent/enforce/state/state.ts";
import { ForeignFiles } from "../../node-agent/foreign-files/foreign-files.ts";
import { type ReadManifests, readFiles, revisionOf } from "../../node-agent/profiles/manifests.ts";
import type { ProfileRevision } from "../../node-agent/profiles/source.ts";
import { findCommand, SignalRelay } from "../../node-agent/sandbox/guest-process.ts";
import { createPrivateNamespace, type PrivateNamespace } from "../../node-agent/sandbox/private-namespace.ts";
import { effectiveSelector, selects } from "../../policy/table/selection.ts";
import type { Logger, LogLevel } from "../../telemetry/logger.ts";
import { lineWidth } from "../../terminal/width.ts";
import { addLogOption, addSettingOptions, loggerOf, type SettingOptions, settingsOf } from "../agent/node-options.ts";
import { errorLine } from "../error-line.ts";
import { ExitStatus, exitStatusHelp } from "../exit-status.ts";
import { manifestPaths } from "../input/manifest-files.ts";
import { generalizeOption, includeOption } from "../learn/learn-options.ts";
import { requireRoot } from "../node-access.ts";
import { setReportText } from "../validate/validate-report.ts";
import { collectPublished } from "./published-port.ts";
import { type ReportOptions, runReport } from "./report.ts";
import { RUN_FOLDER, RUN_PREFIX, runPins } from "./run-pins.ts";

interface RunOptions extends SettingOptions, ReportOptions {
  profile?: string[];
  label?: Record<string, string>;
  privileged: boolean;
  logLevel: LogLevel;
}

const EXAMPLES = `
Examples:
  portcullis run --profile curl.yaml -- curl -s https://example.com/
  portcullis run --learn curl.yaml -- curl -s https://example.com/
  portcullis run --profile web.yaml --publish 8080 -o json --events web.json -- ./server --port 8080

\`run\` passes on the signals INT, TERM, HUP, QUIT, USR1 and USR2, and waits for the command to end;
processes that the command has started end with it. The command has a container's capabilities,
whoever runs it. With --privileged it keeps all, and could remove the programs that judge it.

${exitStatusHelp(
  {
    [ExitStatus.NOT_GUARDED]: "the command could not be guarded, or its profiles cannot be used; it was not started",
    [ExitStatus.NOT_EXECUTABLE]: "the command cannot be executed",
    [ExitStatus.NOT_FOUND]: "there is no such command",
  },
  { "128+N": "signal N ended the command", else: "the command's own" },
)}`;

/** The last packets' events are on their way for at most this long. */
const LAST_EVENTS_MS = 50;

export function runCommand(): Command {
  const command = new Command("run")
    .summary("run one command under its profile")
    .description(
      "Runs a command in a network namespace of its own, with a way to the outside and a resolver, and enforces profiles on it. With --learn, it writes the profile instead.",
    )
    .addOption(
      new Option("--profile <path>", "SecurityProfile manifests, a file or a folder of them; repeatable").argParser(
        collectText,
      ),
    )
    .addOption(
      new Option(
        "--learn [file]",
        "enforce nothing, and at the end write the profile that allows what the command did: to standard error, or to a new file",
      ).conflicts("profile"),
    )
    .addOption(
      new Option(
        "--label <key=value>",
        "label of the workload; repeatable (default: those that the profiles select)",
      ).argParser(collectLabel),
    )
    .addOption(
      new Option(
        "--publish <port>",
        "forward a TCP port of this machine to the command: PORT, HOSTPORT:PORT or PORT/udp; repeatable",
      ).argParser(collectPublished),
    )
    .addOption(includeOption())
    .addOption(generalizeOption())
    .option("-q, --quiet", "no events, only the summary", false)
    .option(
      "--events <file>",
      "where events and summary go, instead of standard error; with --learn, the events as JSON",
    )
    .addOption(
      new Option(
        "-o, --output <format>",
        "text or json of events and summary; yaml or json of what is learned",
      ).choices(["text", "json", "yaml"]),
    )
    .option("--privileged", "keep all capabilities, instead of a container's default ones", false)
    .argument("<command...>", "what to run, after --");
  addSettingOptions(command);
  addLogOption(command);
  return command
    .passThroughOptions()
    .addHelpText("after", EXAMPLES)
    .action((words: [string, ...string[]], options: RunOptions) => run(words, options));
}

async function run(command: [string, ...string[]], options: RunOptions): Promise<void> {
  requireRoot("run");
  const log = loggerOf(options);
  using signals = new SignalRelay();
  try {
    findCommand(command[0]);
    const revision = options.learn === undefined ? givenProfiles(options) : learningRevision(command[0], options);
    await using place = await createPrivateNamespace(workloadOptions(revision.profiles, options, command[0]));
    collectDeadRuns(log);
    for (const { code, message } of place.warnings) log.warn({ code }, message);
    process.exitCode = await runGuarded({ place, revision, command, signals, options, log });
  } catch (error) {
    if (!(error instanceof PortcullisError) || error instanceof UsageError) throw error;
    process.stderr.write(errorLine(error));
    process.exitCode = "exitCode" in error ? Number(error.exitCode) : ExitStatus.NOT_GUARDED;
  }
}

/** @throws UsageError, and PortcullisError where a profile cannot be used */
function givenProfiles({ profile, output, include, generalize }: RunOptions): ProfileRevision {
  if (profile === undefined) throw new UsageError("say which profiles to enforce, by --profile, or --learn one");
  if (output === "yaml" || include !== undefined || generalize !== undefined) {
    throw new UsageError("-o yaml, --include and --generalize are about the profile that --learn writes");
  }
  const manifests = readFiles(profile.flatMap(manifestPaths), { mustExist: true });
  const revision = revisionOf(manifests);
  refuseErrors(revision, manifests);
  return revision;
}

/** Under which the command is watched. @throws UsageError */
function learningRevision(command: string, { label, output }: RunOptions): ProfileRevision {
  if (output === "text") throw new UsageError("--learn writes yaml or json");
  const name = nearestObjectName(basename(command));
  const profile = learningProfile({ name, namespace: DEFAULT_NAMESPACE, labels: label ?? { app: name } });
  return { revision: "learning", profiles: [profile], errors: [], warnings: [] };
}

interface Run {
  place: PrivateNamespace;
  revision: ProfileRevision;
  command: [string, ...string[]];
  signals: SignalRelay;
  options: RunOptions;
  log: Logger;
}

async function runGuarded({ place, revision, command, signals, options, log }: Run): Promise<number> {
  const { pinRoot, stateDirectory } = runPins(place.id);
  detachAll(pinRoot, stateDirectory);
  const lock = acquireLock(stateDirectory, pinRoot);
  const report = runReport(place.workload, options);
  try {
    using files = new ForeignFiles({ log });
    const agent = new Agent({
      ...{ pinRoot, stateDirectory, log, settings: { ...settingsOf(options), ...report.settings } },
      profiles: { current: () => revision, subscribe: () => () => {}, close: () => {} },
      workloads: onlyWorkload(place),
      files,
      sink: report.sink,
      startupFailurePolicy: "Block",
      startupTimeout: 0,
    });
    try {
      requireInForce(agent);
      const exitCode = signals.earlyExitCode ?? (await commandEnd(place, command, signals, options));
      await new Promise((resolve) => setTimeout(resolve, LAST_EVENTS_MS));
      agent.drainEvents();
      report.finish(agent, exitCode);
      return exitCode;
    } finally {
      agent.close();
    }
  } finally {
    lock.release();
    detachAll(pinRoot, stateDirectory);
    await report.end();
  }
}

/** Runs the command, and ends what it has left behind, while all of it is guarded. @returns the command's exit status */
async function commandEnd(
  place: PrivateNamespace,
  command: [string, ...string[]],
  signals: SignalRelay,
  { privileged }: RunOptions,
): Promise<number> {
  const guest = place.spawn(command, { privileged });
  signals.relayTo(guest);
  const exitCode = await guest.exitCode;
  await place.endProcesses();
  return exitCode;
}

/** Nothing runs unguarded: what is not in force is an error, and the command is not started. */
function requireInForce(agent: Agent): void {
  const [workload] = agent.workloads;
  if (workload !== undefined && workload.tableId !== null && workload.error === null && !workload.pending) return;
  const reason = workload?.error?.message ?? "the profiles are not in force";
  throw new PortcullisError(
    "PC_RUN_NOT_GUARDED",
    `the command was not started, because it would not be guarded: ${reason}`,
  );
}

function workloadOptions(profiles: SecurityProfile[], { label, publish = [] }: RunOptions, command: string) {
  const labels =
    label ?? Object.assign({}, ...profiles.map((profile) => effectiveSelector(profile)?.matchLabels ?? {}));
  const namespace = profiles[0]?.metadata.namespace ?? DEFAULT_NAMESPACE;
  for (const profile of profiles) {
    const selection = selects(profile, { namespace, labels });
    if (selection.selected) continue;
    const { name } = profile.metadata;
    throw new UsageError(
      `profile ${name} does not select the command's workload: ${selection.reason}. Give --label key=value`,
    );
  }
  return { name: basename(command), namespace, labels, published: publish };
}

/** Profiles with errors are reported as `portcullis validate` does. */
function refuseErrors({ profiles, errors }: ProfileRevision, { texts, unread }: ReadManifests): void {
  if (errors.length > 0) {
    process.stderr.write(
      setReportText({ valid: false, set: readProfileSet(texts), unread }, lineWidth(process.stderr)),
    );
    throw new PortcullisError("PC_PROFILE_INVALID", "the command was not started: its profiles cannot be used");
  }
  const sources = texts.map(({ source }) => source).join(", ");
  if (profiles.length === 0) throw new UsageError(`--profile: there is no SecurityProfile in ${sources}`);
}

/** Removes what killed runs have pinned. Their namespaces are gone by now, with all that ran in them: making ours has seen to that. */
function collectDeadRuns(log: Logger): void {
  for (const pinRoot of deadPinRoots(RUN_FOLDER, RUN_PREFIX, defaultStateDirectory)) {
    detachAll(pinRoot, defaultStateDirectory(pinRoot));
    log.debug({ pinRoot }, "removed what a killed run had left");
  }
}

function onlyWorkload({ workload }: PrivateNamespace): WorkloadSource {
  const snapshot = { workloads: [workload], unresolved: [] };
  return {
    snapshot: () => snapshot,
    refresh: () => snapshot,
    subscribe: (listener) => {
      listener(snapshot);
      return () => {};
    },
    close: () => {},
  };
}

function collectText(text: string, before: string[] | undefined): string[] {
  return [...(before ?? []), text];
}

function collectLabel(text: string, before: Record<string, string> | undefined): Record<string, string> {
  const equals = text.indexOf("=");
  if (equals < 0) throw new UsageError(`--label "${text}" is not a label; write key=value`);
  const [key, value] = [text.slice(0, equals), text.slice(equals + 1)];
  const finding = checkLabelKey(key) ?? checkLabelValue(value);
  if (finding !== null) throw new UsageError(`--label "${text}": ${finding.message}; ${finding.remedy}`);
  return { ...before, [key]: value };
}
