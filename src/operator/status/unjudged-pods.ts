/** Pods that nothing is known to judge are reported on the pods themselves, each once. */
import type { EventRecorder } from "../../kube/event-recorder.ts";
import type { Folded } from "./fold.ts";
import { recordUnjudged } from "./violation-events.ts";

/** So many are remembered; should there be more, some are reported again. */
const REPORTED_MAX = 10_000;

export class UnjudgedPods {
  readonly #recorder: EventRecorder;
  readonly #reported = new Set<string>();

  constructor(recorder: EventRecorder) {
    this.#recorder = recorder;
  }

  /** Takes what one look at a profile has found. */
  found(pods: Folded["unjudged"]): void {
    for (const { plan, message } of pods) {
      if (this.#reported.has(plan.uid)) continue;
      if (this.#reported.size >= REPORTED_MAX) this.#reported.clear();
      this.#reported.add(plan.uid);
      const [namespace = "", name = ""] = plan.key.split("/");
      recordUnjudged(this.#recorder, { namespace, name, uid: plan.uid }, plan.node, message);
    }
  }
}
