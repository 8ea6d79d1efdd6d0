/** `portcullis doctor`: whether this node can enforce, and what it lacks. */

import { release } from "node:os";
import { styleText } from "node:util";
import { Command, Option } from "commander";
import { jsonText } from "../api/printable.ts";
import { expectedHookSets, type HookSets } from "../node-agent/enforce/attach/function-hooks.ts";
import { KernelError } from "../node-agent/ffi/errno.ts";
import type { FeatureReport } from "../node-agent/kernel/features/features.ts";
import { canEnforce, probeFeatures } from "../node-agent/kernel/features/features.ts";
import { factLines } from "../terminal/facts.ts";
import { fold } from "../terminal/fit.ts";
import { tableLines } from "../terminal/table.ts";
import { lineWidth } from "../terminal/width.ts";
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
      const isJson = options.output === "json";
      process.stdout.write(isJson ? `${jsonText(report, 2)}\n` : reportText(report, lineWidth(process.stdout)));
      if (!report.canEnforce) process.exitCode = 1;
    });
}

/** The report for people. Colours where standard output shows them. @param width columns of a line */
export function reportText(report: DoctorReport, width: number): string {
  const text = conclusion(report);
  return `${[...featureLines(report.features, width), "", ...hookLines(report.hookSets, width), "", ...fold(text, width)].join("\n")}\n`;
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
  senders: "a look at each packet, which costs more",
};

function hookLines({ devices, flows, senders }: HookSets, width: number): string[] {
  const facts: [string, string][] = [
    ["Veth pairs are seen by", devices ?? WITHOUT.devices],
    ["Flows are registered by", flows ?? WITHOUT.flows],
    ["Senders are shown by", senders ?? WITHOUT.senders],
  ];
  return factLines(facts, width);
}

type Colour = "green" | "yellow" | "red";

function coloured(colour: Colour, text: string): string {
  return styleText(colour, text, { stream: process.stdout });
}

const MARK_COLOURS: Readonly<Record<string, Colour>> = {
  ok: "green",
  missing: "red",
  without: "yellow",
  unknown: "yellow",
};

function featureLines(features: readonly FeatureReport[], width: number): string[] {
  const rows = features.flatMap(({ feature, state, required, detail, consequence }) => {
    if (state === "supported") return [["ok", feature, detail]];
    const mark = required ? "missing" : "without";
    return [
      [state === "unknown" ? "unknown" : mark, feature, detail],
      ["", "", `lost: ${consequence}`],
    ];
  });
  return tableLines(rows, {
    fits: ["keep", "keep", "fold"],
    width,
    paint: (cell, _, column) => {
      const colour = column === 0 ? MARK_COLOURS[cell.trim()] : undefined;
      return colour === undefined ? cell : coloured(colour, cell);
    },
  });
}

function conclusion({ canEnforce: can, kernel, features }: DoctorReport): string {
  if (can) return coloured("green", `This node (kernel ${kernel}) can enforce profiles.`);
  if (features.some(({ feature, available }) => feature === "capabilities" && !available)) {
    return coloured("red", "Without privileges nothing can be enforced, and little be found out. Run doctor as root.");
  }
  const lacking = features.filter(({ required, available }) => required && !available);
  const names = lacking.map(({ feature, state }) => (state === "unknown" ? `${feature} (unknown)` : feature));
  return coloured("red", `This node (kernel ${kernel}) cannot enforce profiles: ${names.join(", ")} missing.`);
}
