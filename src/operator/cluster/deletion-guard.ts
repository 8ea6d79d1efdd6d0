/**
 * Profiles that disappear in numbers, or with their definition, are more likely a mistake than a wish, and what they had kept shut would
 * be open within seconds. They are held: what they say stays in force, loudly, until they are back. One that is deleted, or a few, go at once.
 */
import { causeText } from "../../api/errors.ts";
import type { KubeConnection } from "../../kube/connection.ts";
import { isNotFound } from "../../kube/errors.ts";
import { type KubeObject, objectPath, splitKey } from "../../kube/resources.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { DEFINITION, DEFINITIONS } from "./kinds.ts";

export interface DeletionGuardOptions {
  connection: KubeConnection;
  /** Profiles are held for the first time since there was none, or all that were are back. */
  onHeld: (key: string, why: string) => void;
  log: Logger;
}

/** So many may go within the window, whatever share of all they are. */
const FEW = 10;
/** More than this share is a mistake: of their namespace's, and, where those of many namespaces go, of all. */
const SHARE = 0.5;
/** Among those of many namespaces one counts for so many at most: whoever has one cannot hold up what others delete. */
const OF_ONE_NAMESPACE = 5;
const WINDOW_MS = 60_000;
/** What was found out of the definition holds for this long. */
const DEFINITION_MS = 500;

export class DeletionGuard {
  readonly #options: DeletionGuardOptions;
  readonly #held = new Set<string>();
  /** When profiles were let go, in milliseconds, by namespace and key. */
  readonly #gone = new Map<string, Map<string, number>>();
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
   * @param sizes how many there were by namespace, this one among them
   */
  async holds(key: string, sizes: ReadonlyMap<string, number>): Promise<boolean> {
    if (this.#held.has(key)) return true;
    const { namespace } = splitKey(key);
    const why = await this.#reason(namespace, sizes);
    if (why === null) {
      this.#goneOf(namespace).set(key, performance.now());
      return false;
    }
    this.#held.add(key);
    this.#options.onHeld(key, why);
    return true;
  }

  /** The profile is there (again). */
  back(key: string): void {
    this.#held.delete(key);
    this.#gone.get(splitKey(key).namespace)?.delete(key);
  }

  async #reason(namespace: string, sizes: ReadonlyMap<string, number>): Promise<string | null> {
    if (!(await this.#definitionIsThere())) return `the definition of ${DEFINITION} is deleted`;
    this.#forgetOld();
    const before = this.#goneOf(namespace).size;
    const own = { gone: before + 1, of: (sizes.get(namespace) ?? 1) + before };
    if (own.gone <= own.of * SHARE) return null;
    if (own.gone > FEW) {
      return `${own.gone} of ${own.of} profiles of namespace ${namespace} have disappeared within a minute`;
    }
    const all = { gone: 0, of: 0 };
    for (const name of new Set([...sizes.keys(), ...this.#gone.keys()])) {
      const others = this.#gone.get(name)?.size ?? 0;
      const gone = name === namespace ? own.gone : others;
      all.gone += Math.min(OF_ONE_NAMESPACE, gone);
      all.of += Math.min(OF_ONE_NAMESPACE, (sizes.get(name) ?? 0) + others);
    }
    if (all.gone <= FEW || all.gone <= all.of * SHARE) return null;
    return "most profiles of many namespaces have disappeared within a minute";
  }

  #goneOf(namespace: string): Map<string, number> {
    const gone = this.#gone.get(namespace) ?? new Map<string, number>();
    this.#gone.set(namespace, gone);
    return gone;
  }

  #forgetOld(): void {
    const since = performance.now() - WINDOW_MS;
    for (const [namespace, gone] of this.#gone) {
      for (const [key, at] of gone) if (at <= since) gone.delete(key);
      if (gone.size === 0) this.#gone.delete(namespace);
    }
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
