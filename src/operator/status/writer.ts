/**
 * Writes profiles' status: soon after something changed, at most once in five seconds for one profile, and only if it says something
 * else than before. Packets that are allowed are counted all the time: where nothing else is new, that waits for a minute. What nodes report costs the API server nothing by itself.
 */
import { PortcullisError } from "../../api/errors.ts";
import type { Weakness } from "../../api/pods/weaknesses.ts";
import { applyStatus } from "../../kube/apply.ts";
import type { KubeConnection } from "../../kube/connection.ts";
import { Controller, type ControllerMeter } from "../../kube/controller.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { steadyNow } from "../../timing/steady-time.ts";
import { TokenBucket } from "../../timing/token-bucket.ts";
import { SECURITY_PROFILES } from "../cluster/kinds.ts";
import type { ProfileIndex } from "../cluster/profile-index.ts";
import type { AgentRecords } from "../distribution/agent-records.ts";
import type { Planner } from "../plan/planner.ts";
import type { ReadStatus } from "../profiles/messages.ts";
import type { ProfileStatus } from "../profiles/profile-status.ts";
import type { StoredProfile } from "../profiles/stored-profile.ts";
import { buildStatus } from "./build.ts";
import { type Folded, foldPods } from "./fold.ts";
import { SERVING_GRACE_MS } from "./pod-verdicts.ts";
import { writeWhatIsTaken } from "./refused-parts.ts";
import type { ProfileTotals } from "./totals.ts";

export const FIELD_MANAGER = "portcullis-operator";

export interface StatusWriterOptions {
  connection: KubeConnection;
  profiles: ProfileIndex;
  planner: Planner;
  records: AgentRecords;
  totals: ProfileTotals;
  /** What the API server has at this moment; null if the profile is gone. */
  readStatus: (key: string) => Promise<ReadStatus | null>;
  /** Since when this operator serves agents, in milliseconds since 1970; null: it does not, and writes nothing. */
  servingSince: () => number | null;
  /** When the certificate that agents are shown ends, in milliseconds since 1970; null: there is none. */
  certificateExpiresAt?: () => number | null;
  onWritten?: (failed: boolean) => void;
  /** What a pod has beyond its need. */
  weaknessesOf: (pod: string) => readonly Weakness[];
  /** Pods of the profile that nothing is known to judge; at every look. */
  onUnjudged?: (pods: Folded["unjudged"]) => void;
  /** The first time that a generation is in force everywhere. */
  onEnforced?: (seconds: number) => void;
  meter?: ControllerMeter;
  log: Logger;
}

/** For one profile. */
const INTERVAL_MS = 5_000;
/** Where only more packets were allowed. */
const COUNTS_MS = 60_000;
/** A profile of which there was nothing new is looked at again after this long, however much is reported. */
const LOOK_MS = 1_000;
/** Agents that are quick have answered by then, and one write tells it all. */
const SETTLE_MS = 250;
/** For all profiles together. */
const WRITES_PER_SECOND = 50;
const WRITES_BURST = 100;
const WORKERS = 4;
/** Agents that have not connected yet, and room for a write, are waited for in steps of this. */
const LATER_MS = 1_000;
/** Should something have been missed, it is seen after this long. */
const RESYNC_MS = 60_000;

/** The API server has a profile and takes no status of it. Code PC_STATUS_UNWRITABLE. */
class StatusUnwritableError extends PortcullisError {
  constructor(profile: string) {
    const why = "the definition of SecurityProfiles has no `subresources.status` any more";
    super(
      "PC_STATUS_UNWRITABLE",
      `the status of ${profile} cannot be written, and stays as it was: ${why}; install it again`,
    );
  }
}

export class StatusWriter {
  readonly controller: Controller;
  readonly #options: StatusWriterOptions;
  readonly #bucket = new TokenBucket(WRITES_BURST, WRITES_PER_SECOND);
  /** What the API server had when this replica began to lead, or when the profile was new. */
  readonly #found = new Map<string, ReadStatus>();
  readonly #written = new Map<string, { uid: string; at: number; status: ProfileStatus; text: string }>();
  /** When a profile may be looked at again. */
  readonly #again = new Map<string, number>();
  readonly #enforced = new Map<string, string>();
  readonly #resync: NodeJS.Timeout;

  constructor(options: StatusWriterOptions) {
    this.#options = options;
    this.controller = new Controller({
      name: "status",
      workers: WORKERS,
      log: options.log,
      ...(options.meter ? { meter: options.meter } : {}),
      reconcile: (key) => this.#reconcile(key),
    });
    this.#resync = setInterval(() => this.enqueueAll(), RESYNC_MS);
    this.#resync.unref();
  }

  /** Something about the profile may be different. */
  enqueue(profile: string): void {
    if (this.#options.servingSince() !== null) this.controller.queue.addAfter(profile, SETTLE_MS);
  }

  enqueueAll(): void {
    for (const { key } of this.#options.profiles.all()) this.enqueue(key);
  }

  start(): void {
    this.controller.start();
  }

  /** Begins to lead: another may have written since, so that what is known of statuses counts no more. */
  lead(): void {
    this.#options.totals.clear();
    this.#found.clear();
    this.#written.clear();
    this.enqueueAll();
  }

  /** Writes what is not written yet, and ends. */
  async stop(): Promise<void> {
    clearInterval(this.#resync);
    await this.controller.stop();
    if (this.#options.servingSince() === null) return;
    for (const profile of this.#options.profiles.all()) {
      if (this.#found.get(profile.key)?.uid !== profile.uid) continue;
      try {
        await this.#write(profile, true);
      } catch (cause) {
        this.#options.log.warn({ err: cause, profile: profile.key }, "the last status could not be written");
        return;
      }
    }
  }

  async #reconcile(key: string): Promise<void> {
    const { profiles, servingSince, totals } = this.#options;
    const profile = profiles.get(key);
    if (profile === undefined) {
      this.#written.delete(key);
      this.#found.delete(key);
      this.#again.delete(key);
      this.#enforced.delete(key);
      totals.forget(key);
      return;
    }
    if (servingSince() === null) return;
    const written = (this.#written.get(key)?.at ?? 0) + INTERVAL_MS;
    const due = Math.max(written, this.#again.get(key) ?? 0) - steadyNow();
    if (due > 0 || !this.#bucket.has()) this.controller.queue.addAfter(key, Math.max(due, LATER_MS));
    else if (await this.#find(profile)) await this.#write(profile);
  }

  /** Reads the status once before the first write: what was counted and since when something holds goes on, and never back. */
  async #find({ key, uid }: StoredProfile): Promise<boolean> {
    if (this.#found.get(key)?.uid === uid) return true;
    const found = await this.#options.readStatus(key);
    // Gone, or made anew: that is reported, and looked at then.
    if (found?.uid !== uid) return false;
    this.#found.set(key, found);
    this.#options.totals.rebase({ key, ...found });
    return true;
  }

  async #write(profile: StoredProfile, isLast = false): Promise<void> {
    const { connection, log, onWritten } = this.#options;
    this.#again.set(profile.key, steadyNow() + LOOK_MS);
    const previous = this.#previous(profile);
    const status = this.#build(profile, previous);
    if (status === null) return;
    const text = canonical(status);
    const isDue = this.#isUnconfirmed(profile);
    if (!isDue && text === (this.#written.get(profile.key)?.text ?? canonical(previous))) return;
    if (!isDue && !isLast && this.#mayWait(profile, previous, status)) return;
    this.#bucket.take();
    try {
      const { refused } = await writeWhatIsTaken(status, async (part) => {
        const isThere = await applyStatus(connection, SECURITY_PROFILES, profile, part, FIELD_MANAGER);
        if (!isThere) await this.#lookForGone(profile);
      });
      onWritten?.(refused.length > 0);
      if (refused.length > 0) log.error({ profile: profile.key, refused }, "the API server refuses parts of a status");
    } catch (cause) {
      onWritten?.(true);
      throw cause;
    }
    this.#written.set(profile.key, { uid: profile.uid, at: steadyNow(), status, text });
  }

  /**
   * The API server does not find the status of a profile.
   * @throws StatusUnwritableError where it has the profile
   */
  async #lookForGone({ key, uid }: StoredProfile): Promise<void> {
    const found = await this.#options.readStatus(key);
    if (found?.uid === uid) throw new StatusUnwritableError(key);
    this.#options.log.debug({ profile: key }, "the profile is gone; its status is not needed");
  }

  /**
   * Each status is written once after the agents had time to connect, also if it says nothing new: the watchdog may have marked it as
   * Unknown just as this operator read it.
   */
  #isUnconfirmed({ key }: StoredProfile): boolean {
    const settled = (this.#options.servingSince() ?? steadyNow()) + SERVING_GRACE_MS;
    return steadyNow() > settled && (this.#written.get(key)?.at ?? 0) <= settled;
  }

  /** Only more packets were allowed since the last write, and that was not long ago: comes back later. */
  #mayWait({ key }: StoredProfile, previous: Partial<ProfileStatus>, status: ProfileStatus): boolean {
    if (canonical(withoutAllowed(previous)) !== canonical(withoutAllowed(status))) return false;
    const last = this.#written.get(key)?.at ?? this.#options.servingSince() ?? 0;
    const due = last + COUNTS_MS - steadyNow();
    if (due <= 0) return false;
    this.#again.set(key, steadyNow() + INTERVAL_MS);
    this.controller.queue.addAfter(key, due);
    return true;
  }

  #previous(profile: StoredProfile): Partial<ProfileStatus> {
    const written = this.#written.get(profile.key);
    if (written?.uid === profile.uid) return written.status;
    // Another object of that name, or the first look: what the API server has counts.
    this.#written.delete(profile.key);
    return this.#found.get(profile.key)?.status ?? profile.status;
  }

  /** Null: it is too early to say, because agents are still connecting. */
  #build(profile: StoredProfile, previous: Partial<ProfileStatus>): ProfileStatus | null {
    const { planner, records, totals, servingSince, weaknessesOf } = this.#options;
    const plans = planner.plansOf(profile.key);
    const now = steadyNow();
    const expiry = this.#options.certificateExpiresAt?.() ?? null;
    const certificateExpired = expiry !== null && expiry < Date.now() ? expiry : null;
    const clock = { now, servingSince: servingSince() ?? now, certificateExpired };
    const isEarly = clock.now - clock.servingSince < SERVING_GRACE_MS;
    const isKnown = previous.observedGeneration === profile.generation;
    if (isEarly && isKnown && plans.some(({ node }) => records.get(node)?.connected !== true)) {
      this.controller.queue.addAfter(profile.key, LATER_MS);
      return null;
    }
    const folded = foldPods(plans, (node) => records.get(node), clock, weaknessesOf);
    this.#options.onUnjudged?.(folded.unjudged);
    const { key, uid, status: known } = profile;
    const status = buildStatus(profile, folded, totals.of({ key, uid, status: known }), previous, new Date());
    this.#noteEnforced(profile, status, Date.now());
    return status;
  }

  #noteEnforced({ key, uid, generation, seenAt }: StoredProfile, status: ProfileStatus, now: number): void {
    const revision = `${uid} ${generation}`;
    const isEnforced = status.conditions.some(({ type, reason }) => type === "Enforced" && reason === "Enforced");
    if (!isEnforced || this.#enforced.get(key) === revision) return;
    this.#enforced.set(key, revision);
    this.#options.onEnforced?.((now - seenAt) / 1000);
  }
}

function withoutAllowed(status: Partial<ProfileStatus>): unknown {
  return { ...status, processes: status.processes?.map(({ allowed: _, ...rest }) => rest) };
}

/** The API server gives fields back in another order, and leaves empty lists as they are. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) => {
    if (typeof item !== "object" || item === null || Array.isArray(item)) return item;
    return Object.fromEntries(Object.entries(item).sort(([left], [right]) => (left < right ? -1 : 1)));
  });
}
