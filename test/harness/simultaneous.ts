/** Runs of the classifier at the same moment, each on a processor of its own. */
import { once } from "node:events";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import type { Reason } from "../../src/api/reasons.ts";
import { type PacketContext, runOnPacket } from "../../src/node-agent/kernel/test-run.ts";
import { type Outcome, outcomeOf } from "./classifier-harness.ts";

/** Turns of a loop that takes some 100 us. */
const SPINS = 20_000;

/** A packet is sent so often at most. */
const TIMES = 100;

/** One processor's packets, in order. */
export interface Lane {
  /** File descriptor of the program. */
  program: number;
  context: PacketContext;
  frames: readonly Uint8Array[];
  /** What is refused so is sent again at once, as TCP does after a while. */
  again: Reason;
}

interface Task {
  lane: Lane;
  lanes: number;
  /** How many have come to the round that all wait for, in all rounds together. */
  arrived: SharedArrayBuffer;
}

/**
 * Runs the first packets of all lanes at once, then the second ones, and so on.
 *
 * @returns each lane's outcomes, null for a packet that was not judged
 */
export async function runAtOnce(lanes: readonly Lane[]): Promise<(Outcome | null)[][]> {
  const arrived = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const workers = lanes.map((lane) => {
    const task: Task = { lane, lanes: lanes.length, arrived };
    return new Worker(import.meta.filename, { workerData: task });
  });
  return await Promise.all(workers.map(async (worker) => (await once(worker, "message"))[0]));
}

/** Waits for all. Who sleeps comes late, so that this is for a processor that others need. */
function meet(counter: Int32Array<SharedArrayBuffer>, all: number): void {
  for (let turn = 0; ; turn += 1) {
    const arrived = Atomics.load(counter, 0);
    if (arrived >= all) return;
    if (turn >= SPINS) Atomics.wait(counter, 0, arrived);
  }
}

function runLane({ lane, lanes, arrived }: Task): (Outcome | null)[] {
  const counter = new Int32Array(arrived);
  return lane.frames.map((frame, round) => {
    Atomics.add(counter, 0, 1);
    Atomics.notify(counter, 0);
    meet(counter, lanes * (round + 1));
    for (let time = 1; ; time += 1) {
      const outcome = outcomeOf(runOnPacket(lane.program, frame, { context: lane.context }));
      if (outcome?.reason !== lane.again || time === TIMES) return outcome;
    }
  });
}

if (!isMainThread) parentPort?.postMessage(runLane(workerData as Task));
