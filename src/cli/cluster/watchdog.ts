/** `portcullis watchdog`: marks statuses as Unknown while no operator is running. */
import { Command, Option } from "commander";
import { Watchdog } from "../../operator/watchdog.ts";
import { createLogger, LOG_LEVELS, type LogLevel } from "../../telemetry/logger.ts";
import { endSignal } from "../end-signal.ts";
import { exitStatusHelp } from "../exit-status.ts";
import { formatDuration, parseDuration } from "../values/durations.ts";
import { addConnectionOptions, type ConnectionOptions, connect } from "./connection.ts";

interface WatchdogCommandOptions extends ConnectionOptions {
  namespace: string;
  leaseName: string;
  after: number;
  logLevel: LogLevel;
}

const AFTER_MS = 60_000;

const EXIT_STATUS = `
${exitStatusHelp({
  0: "ended by a signal",
  1: "there is no usable configuration of a cluster",
})}`;

export function watchdogCommand(): Command {
  return addConnectionOptions(
    new Command("watchdog")
      .summary("mark statuses as Unknown while no operator is running")
      .description(
        "Watches the Lease that the operator renews. While no operator does, it sets the conditions Programmed and Enforced of all " +
          "SecurityProfiles to Unknown, with reason OperatorAway; the next operator writes the true status.",
      ),
  )
    .option("--namespace <name>", "where the Lease is", process.env.POD_NAMESPACE ?? "portcullis-system")
    .option("--lease-name <name>", "the operators' Lease", "portcullis-operator")
    .addOption(
      new Option("--after <time>", "without a renewal of the Lease")
        .argParser(parseDuration)
        .default(AFTER_MS, formatDuration(AFTER_MS)),
    )
    .addOption(new Option("--log-level <level>", "diagnostics on standard error").choices(LOG_LEVELS).default("info"))
    .addHelpText("after", EXIT_STATUS)
    .action((options: WatchdogCommandOptions) => runWatchdog(options));
}

async function runWatchdog(options: WatchdogCommandOptions): Promise<void> {
  const { namespace, leaseName, after } = options;
  const log = createLogger({ level: options.logLevel });
  const connection = await connect(options);
  const watchdog = new Watchdog({ connection, namespace, leaseName, after, log });
  watchdog.start();
  log.info({ server: connection.server, lease: `${namespace}/${leaseName}` }, "watching the operators' Lease");
  await endSignal();
  await watchdog.stop();
  connection.close();
}
