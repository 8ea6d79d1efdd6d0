/**
 * `make demo-learn`: from a pod that nobody knows to a profile that is enforced: watch, learn, replay, alert, drift, accept, enforce.
 * Exits as `make demo` does, and leaves nothing behind.
 */
import { play } from "../play.ts";
import { alert, drift, enforce, learn, replay, watch } from "./steps.ts";

const ABOUT =
  "ping runs, and nobody knows what it needs. Its profile is learned from what it does, tried, and enforced; " +
  "somebody in a shell of the pod disturbs that.";

// What a step left running in a torn-down stage must not keep the process.
process.exit(await play(ABOUT, [watch, learn, replay, alert, drift, enforce]));
