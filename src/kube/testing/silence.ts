/** For tests: a logger that keeps what it is given instead of printing it. */
import { createLogger, type Logger } from "../../telemetry/logger.ts";

export function silentLogger(lines: string[] = []): Logger {
  return createLogger({ level: "debug", format: "json", write: (line) => lines.push(line) });
}

/** Settles when the condition holds. @throws Error after `limit` milliseconds */
export async function eventually(what: string, holds: () => boolean, limit = 5_000): Promise<void> {
  const end = Date.now() + limit;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`not within ${limit} ms: ${what}`);
    await new Promise((settle) => setTimeout(settle, 5));
  }
}
