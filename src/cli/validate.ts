/** `portcullis validate`: what the API server and the agent would say to manifests, without either. */

import { Command, Option } from "commander";
import { PortcullisError } from "../api/errors.ts";
import { isValidSet, type ManifestText, readProfileSet } from "../api/profile-set.ts";
import { exitStatusHelp } from "./exit-status.ts";
import { readManifestTexts } from "./manifest-files.ts";
import { setReportText, type UnreadPath, type ValidateOutcome } from "./validate-report.ts";

interface ValidateOptions {
  output: "text" | "json";
  strict: boolean;
}

const EXAMPLES = `
Examples:
  portcullis validate profile.yaml          one file
  portcullis validate examples/             the .yaml, .yml and .json files of a folder
  helm template . | portcullis validate -   standard input; other kinds are skipped
  portcullis validate -o json profile.yaml  for programs

${exitStatusHelp({ 0: "every profile is valid", 1: "an error; with --strict a warning, too" })}`;

export function validateCommand(): Command {
  return new Command("validate")
    .summary("check SecurityProfile manifests")
    .description("Checks SecurityProfile manifests as the API server and the agent do, and says what to write instead.")
    .argument("<path...>", "files, folders, or - for standard input")
    .addOption(new Option("-o, --output <format>", "format of the report").choices(["text", "json"]).default("text"))
    .option("--strict", "fail on warnings too", false)
    .addHelpText("after", EXAMPLES)
    .action((paths: string[], options: ValidateOptions) => {
      const outcome = validatePaths(paths);
      process.stdout.write(options.output === "json" ? outcomeJson(outcome) : setReportText(outcome));
      const warned = outcome.set.reports.some(({ warnings }) => warnings.length > 0);
      if (!outcome.valid || (options.strict && warned)) process.exitCode = 1;
    });
}

/** Validates everything that the paths stand for, as one set. */
export function validatePaths(paths: readonly string[]): ValidateOutcome {
  const texts: ManifestText[] = [];
  const unread: UnreadPath[] = [];
  for (const path of paths) {
    try {
      texts.push(...readManifestTexts(path));
    } catch (error) {
      if (!(error instanceof PortcullisError)) throw error;
      unread.push({ path, code: error.code, message: error.message });
    }
  }
  const set = readProfileSet(texts);
  if (set.reports.length === 0 && set.errors.length === 0 && unread.length === 0) {
    const message = `there is no SecurityProfile in ${paths.join(", ")}`;
    unread.push({ path: paths.join(", "), code: "PC_NO_PROFILES", message });
  }
  return { valid: isValidSet(set) && unread.length === 0, set, unread };
}

function outcomeJson({ valid, set, unread }: ValidateOutcome): string {
  const profiles = set.reports.map(({ source, name, errors, warnings }) => ({
    source,
    name,
    valid: errors.length === 0,
    errors,
    warnings,
  }));
  const report = { valid, profiles, errors: [...unread, ...set.errors], notes: set.notes };
  return `${JSON.stringify(report, null, 2)}\n`;
}
