/**
 * Diagnostics: what the agent says about itself, to standard error. Verdicts are not diagnostics; they go to standard
 * output through export/line-sink.ts.
 */
import pino from "pino";
import { printable, printableJson, printableLines } from "../api/printable.ts";

export type Logger = pino.Logger;

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LoggerOptions {
  level?: LogLevel;
  /** `json`: one pino object a line. `text`: a readable line, for a person at a terminal. */
  format?: "json" | "text";
  /** Where lines go; standard error by default. */
  write?: (line: string) => void;
}

const LEVEL_NAMES: ReadonlyMap<number, string> = new Map([
  [20, "debug"],
  [30, "info"],
  [40, "warning"],
  [50, "error"],
  [60, "fatal"],
]);

const BOOKKEEPING = new Set(["level", "time", "msg", "err"]);

/** Makes a logger. Without options: text if standard error is a terminal, JSON lines otherwise. */
export function createLogger(options: LoggerOptions = {}): Logger {
  const format = options.format ?? (process.stderr.isTTY === true ? "text" : "json");
  const write = options.write ?? ((line: string) => process.stderr.write(line));
  const destination = { write: (line: string) => write(format === "json" ? printableJson(line) : readableLine(line)) };
  return pino({ level: options.level ?? "info", base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
}

/** One line for a person: `warning: message (key=value, ...)`. */
export function readableLine(json: string): string {
  const record = JSON.parse(json) as Record<string, unknown>;
  const level = LEVEL_NAMES.get(Number(record.level)) ?? String(record.level);
  const details = Object.entries(record)
    .filter(([key]) => !BOOKKEEPING.has(key))
    .map(([key, value]) => `${key}=${printable(typeof value === "string" ? value : JSON.stringify(value))}`);
  const error = errorText(record.err);
  const parts = [`${level}: ${printableLines(String(record.msg ?? ""))}`];
  if (error !== null) parts.push(`: ${error}`);
  if (details.length > 0) parts.push(` (${details.join(", ")})`);
  return `${parts.join("")}\n`;
}

function errorText(error: unknown): string | null {
  if (typeof error !== "object" || error === null || !("message" in error)) return null;
  return printable(String(error.message));
}
