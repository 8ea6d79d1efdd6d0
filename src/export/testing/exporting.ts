/** Exports in the thread of records, as an agent has them, and what it says of them. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Records } from "../../node-agent/records/records.ts";
import { sampleRecord } from "../../node-agent/records/testing/sample-records.ts";
import { createLogger } from "../../telemetry/logger.ts";
import type { ExportSettings, ExportState } from "../settings.ts";

const PATIENCE = 20_000 * Number(process.env.PORTCULLIS_TEST_PATIENCE ?? 1);

export interface Exporting {
  records: Records;
  /** Sums since the start, the newest problem, by export. */
  states: Map<string, ExportState>;
  log: string[];
  /** Writes so many sample records, numbered on by their `count`. */
  write(count: number): void;
  /** How many were written. */
  written(): number;
}

/** @param limit bytes of records that are kept; 0: none */
export function exporting(folder: string, exports: readonly ExportSettings[], limit = 0): Exporting {
  const states = new Map<string, ExportState>();
  const log: string[] = [];
  const records = new Records({
    ...{
      folder: join(folder, "records"),
      limit,
      socket: join(folder, "observe.sock"),
      node: "worker-1",
      exports,
      serve: null,
    },
    onExports: (news) => {
      for (const one of news) states.set(one.name, sum(states.get(one.name), one));
    },
    log: createLogger({ write: (line) => log.push(line) }),
  });
  let number = 0;
  const write = (count: number) => {
    for (let left = count; left > 0; left -= 1) {
      records.write({ ...sampleRecord(number, Date.now()), count: number + 1 });
      number += 1;
    }
  };
  return { records, states, log, write, written: () => number };
}

function sum(before: ExportState | undefined, state: ExportState): ExportState {
  const { taken = 0, overflowed = 0, refused = 0 } = before ?? {};
  return {
    ...state,
    taken: taken + state.taken,
    overflowed: overflowed + state.overflowed,
    refused: refused + state.refused,
  };
}

/** Waits until something is so. */
export async function until<T>(what: string, get: () => T | Promise<T>, isRight: (value: T) => boolean): Promise<T> {
  for (const end = performance.now() + PATIENCE; ; await sleep(50)) {
    const value = await get();
    if (isRight(value)) return value;
    assert.ok(performance.now() < end, `${what}: ${JSON.stringify(value)?.slice(0, 500)}`);
  }
}
