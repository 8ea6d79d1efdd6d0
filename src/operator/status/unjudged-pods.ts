/** Pods that nothing is known to judge are told of on the pods themselves, each once. */
import type { EventRecorder } from "../../kube/event-recorder.ts";
import type { Folded } from "./fold.ts";
import { recordUnjudged } from "./violation-events.ts";

/** So many are remembered; should there be more, some are told of again. */
const TOLD_MAX = 10_000;

export class UnjudgedPods {
  readonly #recorder: EventRecorder;
  readonly #told = new Set<string>();

  constructor(recorder: EventRecorder) {
    this.#recorder = recorder;
  }

  /** Takes what one look at a profile has found. */
  found(pods: Folded["unjudged"]): void {
    for (const { plan, message } of pods) {
      if (this.#told.has(plan.uid)) continue;
      if (this.#told.size >= TOLD_MAX) this.#told.clear();
      this.#told.add(plan.uid);
      const [namespace = "", name = ""] = plan.key.split("/");
      recordUnjudged(this.#recorder, { namespace, name, uid: plan.uid }, plan.node, message);
    }
  }
}
