/** Options of every command that enforces something on this machine. */
import { basename, join, resolve } from "node:path";
import type { Writable } from "node:stream";
import { type Command, Option } from "commander";
import { UsageError } from "../../api/errors.ts";
import { LineSink, OUTPUT_FORMATS, type OutputFormat } from "../../export/line-sink.ts";
import { HOOK_SETS, type HookSet } from "../../node-agent/enforce/attach/function-hooks.ts";
import { DEFAULT_PIN_ROOT, defaultStateDirectory } from "../../node-agent/enforce/state/state.ts";
import { DEFAULT_SETTINGS, type FlowSettings, type NodeSettings } from "../../node-agent/enforce/tables/settings.ts";
import { createLogger, LOG_LEVELS, type Logger, type LogLevel } from "../../telemetry/logger.ts";
import { wantsColours } from "../../terminal/colours.ts";
import { lineWidth } from "../../terminal/width.ts";
import { formatDuration, parseDuration } from "../values/durations.ts";

export interface SettingOptions {
  dnsPort?: number[];
  fqdnMinTtl: number;
  fqdnMaxTtl: number;
  fqdnGrace: number;
  udpIdle: number;
  eventInterval: number;
  /** False for --no-allowed. */
  allowed: boolean;
}

export interface PinOptions {
  pinRoot: string;
  stateDir?: string;
}

export function addOutputOption(command: Command, what: string): Command {
  return command.addOption(new Option("-o, --output <format>", what).choices(OUTPUT_FORMATS).default("text"));
}

export function addPinOptions(command: Command): Command {
  return command
    .option("--pin-root <folder>", "where programs and maps are pinned, in a BPF file system", DEFAULT_PIN_ROOT)
    .option("--state-dir <folder>", "where the agent keeps its state (default: /run/ and the name of the pin root)");
}

export function addSettingOptions(command: Command): Command {
  const duration = (flags: string, what: string, value: number) =>
    new Option(flags, what).argParser(parseDuration).default(value, formatDuration(value));
  return command
    .addOption(
      new Option("--dns-port <port>", "further port whose traffic is DNS, beside 53; repeatable").argParser(
        collectPorts,
      ),
    )
    .addOption(
      duration("--fqdn-min-ttl <time>", "a learned address lives at least this long", DEFAULT_SETTINGS.fqdnMinTtl),
    )
    .addOption(duration("--fqdn-max-ttl <time>", "and at most this long", DEFAULT_SETTINGS.fqdnMaxTtl))
    .addOption(duration("--fqdn-grace <time>", "and this long after that", DEFAULT_SETTINGS.fqdnGrace))
    .addOption(duration("--udp-idle <time>", "silence after which a UDP flow is a new one", DEFAULT_SETTINGS.udpIdle))
    .addOption(
      duration(
        "--event-interval <time>",
        "time between two events of one kind; the rest is counted",
        DEFAULT_SETTINGS.eventInterval,
      ),
    )
    .option("--no-allowed", "do not report what is allowed");
}

const HOOK_CHOICES = ["auto", ...HOOK_SETS, "none"] as const;

export interface HookOptions {
  hooks: (typeof HOOK_CHOICES)[number];
}

export function addHookOption(command: Command): Command {
  return command.addOption(
    new Option("--hooks <way>", "how programs are attached to kernel functions; see `portcullis doctor`")
      .choices(HOOK_CHOICES)
      .default("auto"),
  );
}

export function hookSetsOf({ hooks }: HookOptions): readonly HookSet[] {
  return HOOK_SETS.filter((set) => hooks === "auto" || hooks === set);
}

export function addLogOption(command: Command): Command {
  return command.addOption(
    new Option("--log-level <level>", "diagnostics on standard error").choices(LOG_LEVELS).default("info"),
  );
}

/** What an agent says when the file that keeps other agents off its pins has been removed. */
export function lockRemade(log: Logger): (problem: Error | null) => void {
  return (problem) => {
    if (problem === null) log.warn("this agent's lock was removed while it runs; it is made again");
    else log.error({ err: problem }, "this agent's lock was removed while it runs, and cannot be made again");
  };
}

/** Standard error: lines for a person at a terminal, JSON otherwise. */
export function loggerOf({ logLevel }: { logLevel: LogLevel }): Logger {
  return createLogger({ level: logLevel });
}

/** @param flows what is recorded of each flow, for a command that records them */
export function settingsOf(
  options: SettingOptions,
  flows: FlowSettings = { countFlows: false, readTcp: false },
): NodeSettings {
  const { dnsPort, fqdnMinTtl, fqdnMaxTtl, fqdnGrace, udpIdle, eventInterval, allowed } = options;
  const dnsPorts = [...new Set([...DEFAULT_SETTINGS.dnsPorts, ...(dnsPort ?? [])])];
  return { fqdnMinTtl, fqdnMaxTtl, fqdnGrace, udpIdle, eventInterval, dnsPorts, reportAllowed: allowed, ...flows };
}

export function pinsOf({ pinRoot, stateDir }: PinOptions): { pinRoot: string; stateDirectory: string } {
  const root = resolve(pinRoot);
  return { pinRoot: root, stateDirectory: stateDir === undefined ? defaultStateDirectory(root) : resolve(stateDir) };
}

/**
 * Where an operator's last state is kept. Unlike pins and state it is good after a reboot too, when pods start before the
 * operator can be reached.
 */
export function keptDirectoryOf({ pinRoot, stateDir }: PinOptions): string {
  return stateDir === undefined ? join("/var/lib", basename(resolve(pinRoot))) : resolve(stateDir);
}

/** Events on standard output. */
export function standardOutput(format: OutputFormat): LineSink {
  return lineSink(process.stdout, format);
}

/** Events on a stream, in lines that fit it. @param oneWorkload all are of one workload, whose name is left out of the text */
export function lineSink(
  stream: Writable & { isTTY?: boolean; columns?: number },
  format: OutputFormat,
  oneWorkload = false,
): LineSink {
  return new LineSink(stream, { format, colours: wantsColours(stream), width: lineWidth(stream), oneWorkload });
}

function collectPorts(text: string, before: number[] | undefined): number[] {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65_535) {
    throw new UsageError(`--dns-port: "${text}" is not a port; write a number from 1 to 65535`);
  }
  return [...(before ?? []), port];
}

/** The command that takes off what an agent with these options leaves in force. */
export function detachCommand(options: PinOptions): string {
  const { pinRoot, stateDirectory } = pinsOf(options);
  const root = pinRoot === DEFAULT_PIN_ROOT ? "" : ` --pin-root ${pinRoot}`;
  const state = stateDirectory === defaultStateDirectory(pinRoot) ? "" : ` --state-dir ${stateDirectory}`;
  return `portcullis detach --all${root}${state}`;
}
