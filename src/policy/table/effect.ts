/** What a policy does to violations, as one word. */
import type { Action } from "../../api/types.ts";

/** `enforced`: they are dropped. `watching`: they are reported or counted, and pass. `learning`: nothing is judged. */
export const EFFECTS = ["enforced", "watching", "learning"] as const;
export type Effect = (typeof EFFECTS)[number];

/** Whether a workload's state is that a policy judges it. */
export function isEffect(state: string): state is Effect {
  return (EFFECTS as readonly string[]).includes(state);
}

/** The effect of these actions; the strictest of them decides. */
export function effectOf(actions: readonly Action[]): Effect {
  if (actions.includes("enforce")) return "enforced";
  return actions.includes("learn") && !actions.includes("alert") ? "learning" : "watching";
}
