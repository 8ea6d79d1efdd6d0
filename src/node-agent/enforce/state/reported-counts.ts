/** Counters of the kernel as they were reported, kept from one agent to the next: what is counted between is not lost. */
import { readFileSync } from "node:fs";
import { causeCode } from "../../../api/errors.ts";
import type { Logger } from "../../../telemetry/logger.ts";
import { writeWholeFile } from "./whole-file.ts";

export class ReportedCounts {
  readonly #path: string;
  readonly #log: Logger;

  constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
  }

  /** Nothing where there is no file, or none that can be read: then all that the kernel has counts as new. */
  load(): Map<string, number> {
    try {
      const pairs = JSON.parse(readFileSync(this.#path, "utf8")) as [string, number][];
      return new Map(pairs);
    } catch (cause) {
      if (causeCode(cause) !== "ENOENT") {
        this.#log.warn({ err: cause }, "reported counters cannot be read; all that was counted is reported anew");
      }
      return new Map();
    }
  }

  /** Numbers only: a file that is lost costs a count, so that failing to write it is no more than a warning. */
  save(counts: ReadonlyMap<string, number>): void {
    try {
      writeWholeFile(this.#path, JSON.stringify([...counts]));
    } catch (cause) {
      this.#log.warn({ err: cause }, "cannot keep what was reported; after a restart counters are reported twice");
    }
  }
}
