/**
 * Profiles that disappear in numbers, or with their definition, are more likely a mistake than a wish, and what they had kept shut would
 * be open within seconds. They are held: what they say stays in force, loudly, until they are back. One that is deleted, or a few, go at once.
 */
import { causeText } from "../api/errors.ts";
import type { KubeConnection } from "../kube/connection.ts";
import { isNotFound } from "../kube/errors.ts";
import { type KubeObject, objectPath } from "../kube/resources.ts";
import type { Logger } from "../telemetry/logger.ts";
import { DEFINITION, DEFINITIONS } from "./kinds.ts";

export interface DeletionGuardOptions {
  connection: KubeConnection;
  /** Profiles are held for the first time since there was none, or all that were are back. */
  onHeld: (key: string, why: string) => void;
  log: Logger;
}

/** So many may go within the window, whatever share of all they are. */
const FEW = 10;
/** More than this share of all is a mistake. */
const SHARE = 0.5;
const WINDOW_MS = 60_000;
/** What was found out of the definition holds for this long. */
const DEFINITION_MS = 500;

export class DeletionGuard {
  readonly #options: DeletionGuardOptions;
  readonly #held = new Set<string>();
  /** When profiles were let go, in milliseconds. */
  #gone: number[] = [];
  #definition: { at: number; isThere: Promise<boolean> } | null = null;

  constructor(options: DeletionGuardOptions) {
    this.#options = options;
  }

  /** Profiles that are gone and stay in force. */
  get held(): ReadonlySet<string> {
    return this.#held;
  }

  /**
   * Whether a profile that is gone is to stay in force.
   * @param total how many there were, this one among them
   */
  async holds(key: string, total: number): Promise<boolean> {
    if (this.#held.has(key)) return true;
    const why = await this.#reason(total);
    if (why === null) {
      this.#gone.push(performance.now());
      return false;
    }
    this.#held.add(key);
    this.#options.onHeld(key, why);
    return true;
  }

  /** The profile is there (again). */
  back(key: string): void {
    this.#held.delete(key);
  }

  async #reason(total: number): Promise<string | null> {
    if (!(await this.#definitionIsThere())) return `the definition of ${DEFINITION} is deleted`;
    const since = performance.now() - WINDOW_MS;
    this.#gone = this.#gone.filter((at) => at > since);
    const gone = this.#gone.length + 1;
    const before = total + this.#gone.length;
    if (gone <= FEW || gone <= before * SHARE) return null;
    return `${gone} of ${before} profiles have disappeared within a minute`;
  }

  #definitionIsThere(): Promise<boolean> {
    if (this.#definition === null || performance.now() - this.#definition.at > DEFINITION_MS) {
      this.#definition = { at: performance.now(), isThere: this.#readDefinition() };
    }
    return this.#definition.isThere;
  }

  /** One that is being deleted counts as gone: its profiles go first. */
  async #readDefinition(): Promise<boolean> {
    const { connection, log } = this.#options;
    try {
      const path = objectPath(DEFINITIONS, undefined, DEFINITION);
      const { metadata } = (await connection.request("GET", path)) as KubeObject;
      return metadata.deletionTimestamp === undefined;
    } catch (cause) {
      if (isNotFound(cause)) return false;
      log.warn({}, `cannot see whether the definition of profiles is there; it counts as there: ${causeText(cause)}`);
      return true;
    }
  }
}
