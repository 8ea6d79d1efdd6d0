/** `kubectl portcullis observe`: verdicts of a pod as they are passed, through the operator. */

import { Command, InvalidArgumentError, Option } from "commander";
import { DIRECTIONS, type Direction, VERDICTS, type Verdict } from "../../api/reasons.ts";
import { OBSERVE_RATE_MAX } from "../../protocol/observe.ts";
import { exitStatusHelp } from "../exit-status.ts";
import { parseDuration } from "../values/durations.ts";
import { contextNamespace, Kubectl } from "./kubectl.ts";
import { type ObserveFormat, ObservePrinter } from "./observe-printer.ts";
import { observeUntil } from "./observe-session.ts";
import { addClusterAccess, addSystemAccess, type ClusterAccess, type SystemAccess } from "./options.ts";

interface ObserveOptions extends ClusterAccess, SystemAccess {
  verdict: Verdict[];
  direction?: Direction;
  process?: string;
  container?: string;
  limit?: number;
  timeout?: number;
  rate: number;
  output: ObserveFormat;
  serviceAccount?: string;
  operatorService: string;
}

const REFUSED: Verdict[] = ["dropped", "alerted", "counted"];

const NOTE = `
A line says how a packet, or a number of packets of one kind, was judged. Violations are reported
for pods whose profiles have the action alert. With --verdict allowed (or all) the first packet of
each new flow that is allowed is shown, too; the node reports these for as long as you observe.

It goes on until it is interrupted, or --limit or --timeout end it.

Rights: to post to the operator's Service (create services/proxy), to make a token for a
ServiceAccount (create serviceaccounts/token), and that account's to see verdicts of the pod (get
pods/verdicts in security.datadoghq.com). docs/kubernetes.md has the roles.

Examples:
  kubectl portcullis observe web-0
  kubectl portcullis observe web-0 -n shop --verdict all --process /usr/bin/shop
  kubectl portcullis observe web-0 --direction egress -o json --timeout 1m | jq .dst

${exitStatusHelp({ 0: "ended as asked", 1: "refused, or the pod or the connection ended" })}`;

export function observeCommand(): Command {
  return addSystemAccess(addClusterAccess(new Command("observe")))
    .summary("show live how the packets of a pod are judged")
    .description("Shows live how the packets of a pod are judged, with process, peer, reason and profile.")
    .argument("<pod>", "name of the pod")
    .addOption(
      new Option("--verdict <list>", `${VERDICTS.join(", ")}, or all; several with commas`)
        .argParser(verdictsOf)
        .default(REFUSED, REFUSED.join(",")),
    )
    .addOption(new Option("--direction <way>", "one direction only").choices(DIRECTIONS))
    .option("--process <path>", "one executable or script only")
    .option("-c, --container <name>", "one container only, of those that the pod's profiles tell apart")
    .option("--limit <count>", "end after so many events", wholeNumber)
    .option("--timeout <time>", "end after so long, e.g. 30s or 5m", parseDuration)
    .addOption(
      new Option("--rate <count>", `events a second, at most ${OBSERVE_RATE_MAX}; what is beyond is counted`)
        .argParser(rateOf)
        .default(100),
    )
    .addOption(new Option("-o, --output <format>", "json: one object a line").choices(["text", "json"]).default("text"))
    .option(
      "--service-account <name>",
      "account to look with, of the pod's namespace (default: portcullis-observer of Portcullis' own, which may look everywhere)",
    )
    .option("--operator-service <name>", "Service of the operator", "portcullis-operator")
    .addHelpText("after", NOTE)
    .action((pod: string, options: ObserveOptions) => observe(pod, options));
}

async function observe(pod: string, options: ObserveOptions): Promise<void> {
  const { verdict, direction, process: path, container, rate, limit, timeout, output, systemNamespace } = options;
  const kubectl = new Kubectl(options);
  const namespace = options.namespace ?? contextNamespace(kubectl);
  const account =
    options.serviceAccount === undefined
      ? { name: defaultAccount(options.operatorService), namespace: systemNamespace }
      : { name: options.serviceAccount, namespace };
  const asked = {
    namespace,
    pod,
    verdicts: verdict,
    rate,
    ...(direction === undefined ? {} : { direction }),
    ...(path === undefined ? {} : { process: path }),
    ...(container === undefined ? {} : { container }),
  };
  const printer = new ObservePrinter(output, limit ?? Number.POSITIVE_INFINITY);
  const target = { service: options.operatorService, namespace: systemNamespace };
  process.exitCode = await observeUntil({ kubectl, account, target, asked, printer, timeout: timeout ?? null });
}

/** The chart names both after the release. */
function defaultAccount(operatorService: string): string {
  return `${operatorService.replace(/-operator$/, "")}-observer`;
}

function verdictsOf(text: string): Verdict[] {
  const words = text.split(",").map((word) => word.trim());
  if (words.includes("all")) return [...VERDICTS];
  const unknown = words.filter((word) => !(VERDICTS as readonly string[]).includes(word));
  if (unknown.length > 0) throw new InvalidArgumentError(`There are: ${VERDICTS.join(", ")}, all.`);
  return words as Verdict[];
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1) throw new InvalidArgumentError("It has to be a whole number from 1 on.");
  return value;
}

function rateOf(text: string): number {
  const value = wholeNumber(text);
  if (value > OBSERVE_RATE_MAX) throw new InvalidArgumentError(`It has to be ${OBSERVE_RATE_MAX} at most.`);
  return value;
}
