/**
 * An error that nobody has caught ends the work for the one peer that caused it, and not the process. Work for a peer
 * runs in a scope of its own, which Node carries along through timers, promises and events; the process's last handlers find it there.
 *
 * This is safe for work that owns what it changes: a request, or the session of one node's agent, is dropped as a whole and begun anew
 * by its peer. An error outside of such a scope says that something of the process itself is wrong: it is logged, and ends it.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { causeCode } from "../api/errors.ts";
import type { Logger } from "../telemetry/logger.ts";

export interface PeerWork {
  /** What is done, for the log: `observe`, `agent`. */
  what: string;
  peer: string;
  /** Ends it, with whatever it holds. */
  end: () => void;
}

/** Code of an error that only the last handlers have seen. */
export const UNCAUGHT_CODE = "PC_UNCAUGHT";

const scope = new AsyncLocalStorage<PeerWork>();

/** Runs something for a peer, and whatever follows from it. */
export function confine<T>(work: PeerWork, run: () => T): T {
  return scope.run(work, run);
}

/** Runs what is no longer work for one peer, though a peer's request has caused it. */
export function unconfined<T>(run: () => T): T {
  return scope.exit(run);
}

export interface ProcessGuardOptions {
  log: Logger;
  /** Counts errors that ended the work for a peer. */
  onConfined: (what: string) => void;
  /** Ends the process after an error of its own. */
  exit: () => never;
}

/**
 * Takes the errors that nobody has caught, from now on.
 * @returns what takes it back
 */
export function guardProcess(options: ProcessGuardOptions): () => void {
  const take = (error: unknown) => takeUncaught(options, error);
  process.on("uncaughtException", take);
  return () => process.off("uncaughtException", take);
}

function takeUncaught({ log, onConfined, exit }: ProcessGuardOptions, error: unknown): void {
  const work = scope.getStore();
  const about = { err: error, code: UNCAUGHT_CODE, cause: causeCode(error) };
  if (work === undefined) {
    log.fatal(about, "an error that nobody expected; the process ends, and is started again by whoever looks after it");
    exit();
    return;
  }
  const { what, peer } = work;
  log.error({ ...about, what, peer }, "an error that nobody expected has ended what was done for one peer");
  onConfined(what);
  try {
    work.end();
  } catch (cause) {
    log.fatal({ ...about, err: cause, what, peer }, "nor could it be ended; the process ends");
    exit();
  }
}
