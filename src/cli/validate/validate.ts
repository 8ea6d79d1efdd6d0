/** `portcullis validate`: what the API server and the agent would say to manifests, without either. */

import { Command, Option } from "commander";
import type { ManifestProblem } from "../../api/document/document-source.ts";
import { PortcullisError, UsageError } from "../../api/errors.ts";
import { podWeaknesses, weaknessText } from "../../api/pods/weaknesses.ts";
import { jsonText } from "../../api/printable.ts";
import {
  isValidSet,
  type ManifestText,
  type ProfileSet,
  readProfileSet,
  validProfiles,
} from "../../api/profile-set.ts";
import { selectProfiles } from "../../policy/table/selection.ts";
import { lineWidth } from "../../terminal/width.ts";
import { ExitStatus, exitStatusHelp } from "../exit-status.ts";
import { readManifestTexts } from "../input/manifest-files.ts";
import { type FixedFile, fixedText, fixPaths } from "./fix.ts";
import { setReportText, type UnreadPath, type ValidateOutcome } from "./validate-report.ts";

interface ValidateOptions {
  output: "text" | "json";
  strict: boolean;
  fix: boolean;
  dryRun: boolean;
}

const EXAMPLES = `
Examples:
  portcullis validate profile.yaml          one file
  portcullis validate examples/             the .yaml, .yml and .json files of a folder
  helm template . | portcullis validate -   standard input; other kinds are skipped
  portcullis validate -o json profile.yaml  for programs
  portcullis validate --fix profile.yaml    mend what has one obvious mend
  portcullis validate --fix --dry-run examples/

${exitStatusHelp({ 0: "every profile is valid", 1: "an error; with --strict a warning, too" })}`;

export function validateCommand(): Command {
  return new Command("validate")
    .summary("check SecurityProfile manifests")
    .description("Checks SecurityProfile manifests as the API server and the agent do, and says what to write instead.")
    .argument("<path...>", "files, folders, or - for standard input")
    .addOption(new Option("-o, --output <format>", "format of the report").choices(["text", "json"]).default("text"))
    .option("--strict", "fail on warnings too", false)
    .option(
      "--fix",
      "first mend what has one obvious mend (a misspelt field, a port in quotes, a repeated entry), and write the files",
      false,
    )
    .option("--dry-run", "with --fix: write nothing, and show what would change", false)
    .addHelpText("after", EXAMPLES)
    .action((paths: string[], options: ValidateOptions) => {
      const { fix, dryRun, output } = options;
      if (dryRun && !fix) throw new UsageError("--dry-run shows what --fix would change: give --fix as well");
      const fixed = fix ? fixPaths(paths, { dryRun }) : [];
      const outcome = validatePaths(paths);
      process.stdout.write(
        output === "json"
          ? outcomeJson(outcome, fix ? fixed : null)
          : `${fixedText(fixed, lineWidth(process.stdout))}${setReportText(outcome, lineWidth(process.stdout))}`,
      );
      process.exitCode = statusOf(outcome, options);
    });
}

/** What cannot be read is wrong usage, as with other commands: status 1 is an answer. */
function statusOf({ valid, set, unread }: ValidateOutcome, { strict }: ValidateOptions): number {
  if (unread.length > 0) return ExitStatus.USAGE;
  const warned = set.reports.some(({ warnings }) => warnings.length > 0);
  return !valid || (strict && warned) ? ExitStatus.NO : ExitStatus.GOOD;
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
  set.notes.push(...podNotes(set));
  return { valid: isValidSet(set) && unread.length === 0, set, unread };
}

/** What pods that a profile of the set selects have beyond their need: a note, since it keeps no profile from being in force. */
function podNotes(set: ProfileSet): ManifestProblem[] {
  return set.pods.flatMap(({ kind, namespace, name, labels, spec, note }) => {
    const profiles = selectProfiles(validProfiles(set), { namespace, labels });
    const weaknesses = podWeaknesses(spec);
    if (profiles.length === 0 || weaknesses.length === 0) return [];
    const whose = profiles.map(({ metadata }) => metadata.name).join(", ");
    const message = `${kind} ${name}, which ${whose} selects, has more than it needs. ${weaknesses.map(weaknessText).join(". ")}`;
    return [note("PC_POD_WEAKNESS", message, "docs/threat-model.md says what to take away")];
  });
}

/** @param fixed null: nothing was to be mended */
function outcomeJson({ valid, set, unread }: ValidateOutcome, fixed: FixedFile[] | null): string {
  const profiles = set.reports.map(({ source, name, errors, warnings }) => ({
    source,
    name,
    valid: errors.length === 0,
    errors,
    warnings,
  }));
  const report = {
    valid,
    profiles,
    errors: [...unread, ...set.errors],
    notes: set.notes,
    ...(fixed === null ? {} : { fixed: fixed.map(({ source, mended }) => ({ source, mended })) }),
  };
  return `${jsonText(report, 2)}\n`;
}
