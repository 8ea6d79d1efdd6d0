/** The report of `portcullis validate` for people. */

import { styleText } from "node:util";
import type { ManifestProblem } from "../../api/document/document-source.ts";
import type { FieldError } from "../../api/fields.ts";
import { printable } from "../../api/printable.ts";
import type { ProfileReport, ProfileSet } from "../../api/profile-set.ts";
import { fold } from "../../terminal/fit.ts";

/** A path that could not be read at all. */
export interface UnreadPath {
  path: string;
  code: string;
  message: string;
}

export interface ValidateOutcome {
  /** No error of any kind, and at least one profile. */
  valid: boolean;
  set: ProfileSet;
  unread: UnreadPath[];
}

type Severity = "error" | "warning" | "note";
const COLOURS = { error: "red", warning: "yellow", note: "dim" } as const;

/** One block for each finding, one line for each valid profile, and a sum. @param width columns of a line */
export function setReportText({ set, unread }: ValidateOutcome, width: number): string {
  const lines = [
    ...unread.map(({ message, code }) => `${coloured("error")}: ${printable(message)} ${faint(`[${code}]`)}`),
    ...set.errors.map((problem) => problemText("error", problem)),
    ...set.notes.map((problem) => problemText("note", problem)),
    ...set.reports.flatMap(reportLines),
    summary(set.reports),
  ];
  const folded = lines.flatMap((line) => line.split("\n")).flatMap((line) => fold(line, width, 4));
  return `${folded.join("\n")}\n`;
}

function reportLines(report: ProfileReport): string[] {
  const { source, name, profile, errors, warnings } = report;
  return [
    ...errors.map((error) => findingText("error", source, error)),
    ...warnings.map((warning) => findingText("warning", source, warning)),
    ...(profile ? [`${printable(`${source}: ${name}`)}: ${styleText("green", "valid")}`] : []),
  ];
}

/** As compilers write it, so that editors find the place. */
function findingText(severity: Severity, source: string, finding: FieldError): string {
  const { line, column, field, message, remedy, code } = finding;
  const place = line === undefined ? source : `${source}:${line}:${column}`;
  const subject = field === "" ? "" : `${styleText("bold", printable(field))}: `;
  return `${printable(place)}: ${coloured(severity)}: ${subject}${printable(message)} ${faint(`[${code}]`)}\n    ${printable(remedy)}`;
}

function problemText(severity: Severity, problem: ManifestProblem): string {
  const { source, line, column, message, remedy, code } = problem;
  const first = `${printable(source)}:${line}:${column}: ${coloured(severity)}: ${printable(message)}`;
  return severity === "note" ? first : `${first} ${faint(`[${code}]`)}\n    ${printable(remedy)}`;
}

function summary(reports: readonly ProfileReport[]): string {
  if (reports.length === 0) return "no profile was checked";
  const valid = reports.filter(({ profile }) => profile !== null).length;
  const warnings = reports.reduce((sum, report) => sum + report.warnings.length, 0);
  const counts = [`${valid} of ${plural(reports.length, "profile")} valid`];
  if (warnings > 0) counts.push(plural(warnings, "warning"));
  return counts.join(", ");
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** `styleText` colours for a terminal only, and heeds NO_COLOR. */
function coloured(severity: Severity): string {
  return styleText(COLOURS[severity], severity);
}

function faint(text: string): string {
  return styleText("dim", text);
}
