/** Findings about a profile as a whole, when it is first seen: they go to the log, and, from the leader, to a Kubernetes Event. */
import type { EventRecorder } from "../../kube/event-recorder.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { StoredProfile } from "../profiles/stored-profile.ts";
import { recordHeld, recordInvalid, recordOverBudget } from "./violation-events.ts";

export interface ProfileFindingsParts {
  recorder: EventRecorder;
  leadership: { readonly isLeader: boolean };
  log: Logger;
}

export class ProfileFindings {
  readonly #parts: ProfileFindingsParts;

  constructor(parts: ProfileFindingsParts) {
    this.#parts = parts;
  }

  /** A generation is seen for the first time. */
  seen(profile: StoredProfile): void {
    const { recorder, leadership, log } = this.#parts;
    const { key, generation, errors, overBudget } = profile;
    if (overBudget !== null) {
      log.warn({ profile: key, generation }, `a profile is too much for its namespace: ${overBudget}`);
      if (leadership.isLeader) recordOverBudget(recorder, profile, overBudget);
    } else if (errors.count === 0) {
      log.info({ profile: key, generation }, "a profile is valid");
    } else {
      log.warn({ profile: key, generation, errors: errors.texts }, "a profile is not valid");
      if (leadership.isLeader) recordInvalid(recorder, profile, errors.texts);
    }
  }

  /** A profile has disappeared and stays in force. */
  held(profile: string, why: string): void {
    const { recorder, leadership, log } = this.#parts;
    log.error({ profile }, `a profile has disappeared and stays in force, because ${why}`);
    if (leadership.isLeader) recordHeld(recorder, profile, why);
  }
}
