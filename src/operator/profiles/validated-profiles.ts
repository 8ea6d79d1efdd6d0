/**
 * Profiles in their own thread: reads and validates what has changed, and keeps the last revision of each that is valid and that its
 * namespace's budget has room for. What is kept is text, which takes a fifth of what it takes as objects.
 */
import type { SecurityProfile } from "../../api/types.ts";
import { validateProfile } from "../../api/validation/validate.ts";
import { type KubeObject, splitKey } from "../../kube/resources.ts";
import { type Budgets, costOf } from "./budget.ts";
import { isSameRevision, type ProfileDraft, type ProfileMetadata, profileDraft } from "./draft.ts";
import { type Judgement, judged, type StoredProfile, UNJUDGED } from "./stored-profile.ts";

/** A valid revision as text. */
interface KeptRevision {
  digest: string;
  /** Normalised. */
  text: Buffer;
}

interface Known {
  metadata: ProfileMetadata;
  /** It has disappeared, and may be held: what it says can be compiled, and counts for its namespace's budget, until it is let go. */
  isGone: boolean;
  /** Of the revision read last, be it taken or not; 0: it was not read, for want of room. */
  bytes: number;
  kept: KeptRevision | null;
  stored: StoredProfile;
}

export interface ValidatedProfilesOptions {
  budgets: Budgets;
  /** Look at this profile soon, or after so many milliseconds. */
  enqueue: (key: string, after?: number) => void;
  /** The profile is another, or (null) gone. */
  onProfile: (key: string, profile: StoredProfile | null) => void;
  /** The object as it is now; null if it is gone. */
  read: (key: string) => Promise<KubeObject | null>;
}

/** Edits beyond the budget are looked at again after this long. */
const EDIT_WAIT_MS = 1_000;
/** Parsed profiles are kept up to so many bytes of text. */
const PARSED_BYTES = 8 * 1024 * 1024;

export class ValidatedProfiles {
  readonly #options: ValidatedProfilesOptions;
  /** As watched. */
  readonly #metadata = new Map<string, ProfileMetadata>();
  readonly #known = new Map<string, Known>();
  /** Keys of profiles that there was no room for, by namespace. */
  readonly #refused = new Map<string, Set<string>>();
  /** Those of them that there may be room for now. */
  readonly #again = new Set<string>();
  /** By key and digest, the one used last at the end. */
  readonly #parsed = new Map<string, { profile: SecurityProfile; bytes: number }>();
  #parsedBytes = 0;

  constructor(options: ValidatedProfilesOptions) {
    this.#options = options;
  }

  /** There is such a revision, or (null) the profile is gone. */
  changed(key: string, metadata: ProfileMetadata | null): void {
    if (metadata === null) this.#metadata.delete(key);
    else this.#metadata.set(key, metadata);
    this.#options.enqueue(key);
  }

  /** Looks at one profile. Not more than once at a time. */
  async reconcile(key: string): Promise<void> {
    const metadata = this.#metadata.get(key);
    const known = this.#known.get(key) ?? null;
    if (metadata === undefined) {
      this.#disappeared(key, known);
      return;
    }
    const isThere = known !== null && !known.isGone;
    const isEdit = isThere && !isSameRevision(known.metadata, metadata);
    if (isThere && !isEdit && !this.#again.delete(key)) return;
    const { budgets } = this.#options;
    const { namespace } = splitKey(key);
    // What is there at the start, and what is tried again, are no edits of a user.
    if (isEdit && !budgets.takeEdit(namespace)) {
      this.#options.enqueue(key, EDIT_WAIT_MS);
      this.#notifyWaiting(namespace, metadata, known);
      return;
    }
    const full = budgets.room(namespace, key, isEdit ? 0 : (known?.bytes ?? 0));
    if (full !== null) this.#refuse(key, metadata, null, UNJUDGED, known, full);
    else await this.#read(key, known);
  }

  /** The profile's last valid revision with its digest; null if none is known. Equal revisions are the same object, for a while. */
  accepted(key: string): { profile: SecurityProfile; digest: string } | null {
    const kept = this.#known.get(key)?.kept ?? null;
    if (kept === null) return null;
    const name = `${key} ${kept.digest}`;
    const parsed = this.#parsed.get(name);
    const profile = parsed?.profile ?? (JSON.parse(kept.text.toString()) as SecurityProfile);
    this.#remember(name, profile, kept.text.length);
    return { profile, digest: kept.digest };
  }

  /** What a profile said that is gone is not needed any more. */
  letGo(key: string): void {
    if (this.#known.get(key)?.isGone !== true) return;
    const { namespace } = splitKey(key);
    this.#known.delete(key);
    if (this.#options.budgets.release(namespace, key)) this.#retryRefused(namespace);
  }

  async #read(key: string, before: Known | null): Promise<void> {
    const object = await this.#options.read(key);
    // The watch tells that it is gone.
    if (object === null) return;
    const draft = profileDraft(object);
    const { namespace } = draft;
    const { budgets } = this.#options;
    // Another object of the same name is not a revision of it.
    const known = before?.metadata.uid === draft.uid ? before : null;
    if (known === null && before !== null) budgets.release(namespace, key);
    const judgement = judged(validateProfile(draft.manifest), draft.manifest, draft);
    const { profile } = judgement;
    if (profile === null) {
      budgets.chargeReading(namespace, key, draft.bytes);
      this.#settle(key, draft, draft, judgement, known, null);
      return;
    }
    const over = budgets.charge(namespace, key, costOf(profile, draft.bytes));
    if (over !== null) {
      budgets.chargeReading(namespace, key, draft.bytes);
      this.#refuse(key, draft, draft, judgement, known, over);
      return;
    }
    this.#refused.get(namespace)?.delete(key);
    const text = Buffer.from(JSON.stringify(profile));
    this.#remember(`${key} ${draft.digest}`, profile, text.length);
    this.#settle(key, draft, draft, judgement, { ...known, kept: { digest: draft.digest, text } }, null);
    if ((known?.bytes ?? 0) > draft.bytes) this.#retryRefused(namespace);
  }

  #refuse(
    key: string,
    metadata: ProfileMetadata,
    draft: ProfileDraft | null,
    judgement: Judgement,
    known: Known | null,
    over: string,
  ): void {
    const { namespace } = splitKey(key);
    const refused = this.#refused.get(namespace) ?? new Set<string>();
    this.#refused.set(namespace, refused.add(key));
    this.#settle(key, metadata, draft, judgement, known, over);
  }

  /** @param before what was known, with the revision to keep from now on */
  #settle(
    key: string,
    metadata: ProfileMetadata,
    draft: ProfileDraft | null,
    judgement: Judgement,
    before: (Partial<Known> & Pick<Known, "kept">) | null,
    overBudget: string | null,
  ): void {
    const { namespace, name } = splitKey(key);
    const { uid, generation, labels } = metadata;
    const isTaken = judgement.accepted !== null && overBudget === null;
    const stored: StoredProfile = {
      ...{ key, namespace, name, uid, generation, overBudget },
      accepted: isTaken ? judgement.accepted : (before?.stored?.accepted ?? null),
      errors: judgement.errors,
      warnings: judgement.warnings,
      meant: judgement.meant,
      seenAt: before?.stored?.generation === generation ? before.stored.seenAt : Date.now(),
      status: draft?.status ?? before?.stored?.status ?? {},
    };
    const bytes = draft?.bytes ?? before?.bytes ?? 0;
    this.#notify({ metadata: { uid, generation, labels }, isGone: false, bytes, kept: before?.kept ?? null, stored });
  }

  /** An edit has to wait: what is in force stays so, and that is reported once. */
  #notifyWaiting(namespace: string, { generation }: ProfileMetadata, known: Known): void {
    if (known.stored.generation === generation && known.stored.overBudget !== null) return;
    const { editsPerSecond } = this.#options.budgets.limits;
    const overBudget = `namespace ${namespace} has made more edits than ${editsPerSecond} a second; this one waits for its turn`;
    const stored = { ...known.stored, generation, overBudget, seenAt: Date.now() };
    // The revision that is known stays the one before, so that this one is read when its turn has come.
    this.#notify({ ...known, stored });
  }

  #notify(known: Known): void {
    this.#known.set(known.stored.key, known);
    this.#options.onProfile(known.stored.key, known.stored);
  }

  #disappeared(key: string, known: Known | null): void {
    this.#refused.get(splitKey(key).namespace)?.delete(key);
    this.#again.delete(key);
    if (known === null || known.isGone) return;
    known.isGone = true;
    this.#options.onProfile(key, null);
  }

  #retryRefused(namespace: string): void {
    for (const key of this.#refused.get(namespace) ?? []) {
      this.#again.add(key);
      this.#options.enqueue(key);
    }
  }

  #remember(name: string, profile: SecurityProfile, bytes: number): void {
    this.#parsedBytes += bytes - (this.#parsed.get(name)?.bytes ?? 0);
    this.#parsed.delete(name);
    this.#parsed.set(name, { profile, bytes });
    for (const [oldest, { bytes: freed }] of this.#parsed) {
      if (this.#parsedBytes <= PARSED_BYTES || oldest === name) break;
      this.#parsed.delete(oldest);
      this.#parsedBytes -= freed;
    }
  }
}
