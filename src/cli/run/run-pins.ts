/** Where `portcullis run` pins: each run has a folder of its own, beside the agent's. */
import { dirname, join } from "node:path";
import { DEFAULT_PIN_ROOT, defaultStateDirectory } from "../../node-agent/enforce/state/state.ts";

export const RUN_PREFIX = "portcullis-run-";
export const RUN_FOLDER = dirname(DEFAULT_PIN_ROOT);

/** @param id number of the run's private namespace, unique on the host while it lives */
export function runPins(id: number): { pinRoot: string; stateDirectory: string } {
  const pinRoot = join(RUN_FOLDER, `${RUN_PREFIX}${id}`);
  return { pinRoot, stateDirectory: defaultStateDirectory(pinRoot) };
}
