/** `portcullis doctor`: whether this node can enforce, and what it lacks. */
import { release } from "node:os";
import { styleText } from "node:util";
import { Command, Option } from "commander";
import { expectedHookSets, type HookSets } from "../node-agent/enforce/function-hooks.ts";
import { KernelError } from "../node-agent/ffi/errno.ts";
import type { FeatureReport } from "../node-agent/kernel/probes.ts";
import { canEnforce, probeFeatures } from "../node-agent/kernel/probes.ts";
import { exitStatusHelp } from "./exit-status.ts";

const EXAMPLES = `
Examples:
  sudo portcullis doctor            a table
  sudo portcullis doctor -o json    for programs

${exitStatusHelp({ 0: "this node can enforce profiles", 1: "it cannot" })}`;

/** What `--output json` prints. */
export interface DoctorReport {
  canEnforce: boolean;
  kernel: string;
  features: readonly FeatureReport[];
  /** What an agent would use for jobs for which there are several ways; null: nothing. */
  hookSets: HookSets;
}

export function doctorCommand(): Command {
  return new Command("doctor")
    .summary("check what this node can enforce")
    .description(
      "Tries every kernel feature that Portcullis uses, by loading and attaching tiny programs for a moment, and says " +
        "what is missing, what would bring it, and what is lost without it. Changes nothing. Needs root.",
    )
    .addOption(new Option("-o, --output <format>", "format of the report").choices(["text", "json"]).default("text"))
    .addHelpText("after", EXAMPLES)
    .action((options: { output: "text" | "json" }) => {
      const features = probeFeatures();
      const able = canEnforce(features);
      const report: DoctorReport = { canEnforce: able, kernel: release(), features, hookSets: findHookSets() };
      process.stdout.write(options.output === "json" ? `${JSON.stringify(report, null, 2)}\n` : reportText(report));
      if (!report.canEnforce) process.exitCode = 1;
    });
}

/** The report for people. Colours where standard output shows them. */
export function reportText(report: DoctorReport): string {
  const width = Math.max(...report.features.map(({ feature }) => feature.length));
  const lines = report.features.flatMap((feature) => featureLines(feature, width));
  return `${lines.join("\n")}\n\n${hookLines(report.hookSets).join("\n")}\n\n${conclusion(report)}\n`;
}

/** Probing takes privileges; without them `capabilities` says so already. */
function findHookSets(): HookSets {
  try {
    return expectedHookSets();
  } catch (cause) {
    if (cause instanceof KernelError) return { devices: null, flows: null, senders: null };
    throw cause;
  }
}

const WITHOUT: Readonly<Record<keyof HookSets, string>> = {
  devices: "rtnetlink alone",
  flows: "socket storage alone",
  senders: "nothing: a connected socket keeps the user that connected it",
};

function hookLines({ devices, flows, senders }: HookSets): string[] {
  return [
    `Veth pairs are seen by      ${devices ?? WITHOUT.devices}`,
    `Flows are registered by     ${flows ?? WITHOUT.flows}`,
    `Senders are shown by        ${senders ?? WITHOUT.senders}`,
  ];
}

type Colour = "green" | "yellow" | "red";

function coloured(colour: Colour, text: string): string {
  return styleText(colour, text, { stream: process.stdout });
}

function featureLines(report: FeatureReport, width: number): string[] {
  const name = report.feature.padEnd(width);
  if (report.available) return [`${coloured("green", "ok     ")}  ${name}  ${report.detail}`];
  const mark = report.required ? coloured("red", "missing") : coloured("yellow", "without");
  const indent = " ".repeat("missing".length + 2 + width + 2);
  return [`${mark}  ${name}  ${report.detail}`, `${indent}lost: ${report.consequence}`];
}

function conclusion({ canEnforce: can, kernel, features }: DoctorReport): string {
  if (can) return coloured("green", `This node (kernel ${kernel}) can enforce profiles.`);
  if (features.some(({ feature, available }) => feature === "capabilities" && !available)) {
    return coloured("red", "Without privileges nothing can be enforced, and little be found out. Run doctor as root.");
  }
  const missing = features.filter(({ required, available }) => required && !available).map(({ feature }) => feature);
  return coloured("red", `This node (kernel ${kernel}) cannot enforce profiles: ${missing.join(", ")} missing.`);
}
