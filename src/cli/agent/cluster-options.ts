/** The options of `portcullis agent` in a cluster. The code behind them is loaded only when they are given. */
import { hostname } from "node:os";
import type { Command } from "commander";
import type { OutputFormat } from "../../export/line-sink.ts";
import { POD_LOGS } from "../../node-agent/discovery/pods/pod-facts.ts";
import type { StartupFailurePolicy } from "../../node-agent/guard/startup-wait.ts";
import type { LogLevel } from "../../telemetry/logger.ts";
import type { HookOptions, SettingOptions } from "./node-options.ts";
import type { RecordsCommandOptions } from "./records-options.ts";
import type { ServeOptions } from "./serve-options.ts";

export interface ClusterAgentCommandOptions extends RecordsCommandOptions, ServeOptions, SettingOptions, HookOptions {
  operator?: string;
  tokenFile: string;
  caFile: string;
  operatorName?: string;
  exemptNamespace?: string[];
  blockNamespace?: string[];
  podLogs: string;
  probeAddress?: string;
  metricsAddress?: string;
  output: OutputFormat;
  startupFailurePolicy?: StartupFailurePolicy;
  startupTimeout: number;
  gate?: string;
  replacePins: boolean;
  logLevel: LogLevel;
}

const SECRETS = "/var/run/secrets/portcullis";

export function addClusterOptions(command: Command): Command {
  const collect = (text: string, before: string[] | undefined) => [...(before ?? []), text];
  return command
    .optionsGroup("In a cluster:")
    .option("--operator <host:port>", "operator to take policies from, over TLS")
    .option("--node <name>", "name of this node at the API server", process.env.NODE_NAME ?? hostname())
    .option(
      "--token-file <file>",
      "service-account token for the operator; read anew as it is replaced",
      `${SECRETS}/token`,
    )
    .option("--ca-file <file>", "certificates that the operator's is checked against", `${SECRETS}/ca.crt`)
    .option("--operator-name <name>", "name in the operator's certificate (default: the host of --operator)")
    .option("--exempt-namespace <name>", "pods of this namespace never wait for their policy; repeatable", collect)
    .option(
      "--block-namespace <name>",
      "new pods of this namespace stay blocked until their policy is known; repeatable",
      collect,
    )
    .option("--pod-logs <folder>", "where the kubelet keeps pods' logs; their names have the pods' names", POD_LOGS)
    .option("--probe-address <address>", "serve /healthz and /readyz here, host:port or :port")
    .option("--metrics-address <address>", "serve /metrics here, host:port or :port; it names no pod and no profile")
    .option(
      "--replace-pins",
      "remove what another version has pinned and this one cannot take over, with a gap in enforcement, instead of refusing to start",
      false,
    )
    .optionsGroup("Options:");
}
