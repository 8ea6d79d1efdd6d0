/** A profile as the operator's main thread knows it: all but its rules, which may be megabytes and stay in the profiles' own thread. */
import { fieldErrorText } from "../../api/fields.ts";
import type { Action, LabelSelector, PodPeer, SecurityProfile, ServicePeer } from "../../api/types.ts";
import type { ValidationResult } from "../../api/validation/validate.ts";
import { CLUSTER_DNS } from "../../policy/table/peers.ts";
import { effectiveSelector } from "../../policy/table/selection.ts";
import type { ProfileDraft } from "./draft.ts";
import type { ProfileStatus } from "./profile-status.ts";

/** Findings of which the words are kept. */
const MAX_TEXTS = 5;
/** Processes that a status has room for. */
export const MAX_LISTED = 256;

/** Words of findings, and how many there are. */
export interface Findings {
  texts: string[];
  count: number;
}

/** What the main thread needs of a valid revision. */
export interface AcceptedRevision {
  generation: number;
  /** Equal for what is compiled to the same. */
  digest: string;
  /** In force; null where the profile has no usable label. */
  selector: LabelSelector | null;
  actions: Action[];
  /** The first processes. */
  listed: { path: string; container?: string }[];
  /** Peers that it selects, each once. */
  pods: PodPeer[];
  services: ServicePeer[];
}

export interface StoredProfile {
  key: string;
  namespace: string;
  name: string;
  uid: string;
  generation: number;
  /** The last valid revision that the namespace's budget had room for; null if none is known. */
  accepted: AcceptedRevision | null;
  /** What is wrong with this generation. */
  errors: Findings;
  warnings: Findings;
  /** Why this generation is not taken although it may be valid, in words; null: there is room for it. */
  overBudget: string | null;
  /** What this generation, valid or not, selects as far as that can be said; null: perhaps every pod of its namespace. */
  meant: LabelSelector | "nothing" | null;
  /** When this generation was first seen, in milliseconds since 1970. */
  seenAt: number;
  status: Partial<ProfileStatus>;
}

/** What comes of validating a draft. */
export interface Judgement extends Pick<StoredProfile, "accepted" | "errors" | "warnings" | "meant"> {
  /** Normalised; null where it is not valid. */
  profile: SecurityProfile | null;
}

const NONE: Findings = { texts: [], count: 0 };
/** Of a revision that nobody has looked into. */
export const UNJUDGED: Judgement = { profile: null, accepted: null, errors: NONE, warnings: NONE, meant: null };

export function judged(
  { profile, errors, warnings }: ValidationResult,
  written: object,
  { generation, digest }: Pick<ProfileDraft, "generation" | "digest">,
): Judgement {
  const isUnclear = errors.some(({ field }) => /^(spec$|spec\.labelSelector|metadata\.labels)/.test(field));
  return {
    profile,
    accepted: profile === null ? null : acceptedRevision(profile, generation, digest),
    errors: findings(errors),
    warnings: findings(warnings),
    meant: isUnclear ? null : (effectiveSelector(written as SecurityProfile) ?? "nothing"),
  };
}

function findings(all: ValidationResult["errors"]): Findings {
  return { texts: all.slice(0, MAX_TEXTS).map(fieldErrorText), count: all.length };
}

function acceptedRevision(profile: SecurityProfile, generation: number, digest: string): AcceptedRevision {
  const { processes = [], actions = [] } = profile.spec;
  const pods = new Map<string, PodPeer>();
  const services = new Map<string, ServicePeer>();
  for (const network of [profile.spec.default, ...processes.map((process) => process.network)]) {
    for (const rules of [network?.egress, network?.ingress]) {
      for (const peer of rules?.pods ?? []) pods.set(JSON.stringify(peer), peer);
    }
    const { services: listedServices = [], peers = [] } = network?.egress ?? {};
    const named = peers.length > 0 ? [CLUSTER_DNS] : [];
    for (const peer of [...listedServices, ...named]) services.set(JSON.stringify(peer), peer);
  }
  return {
    generation,
    digest,
    selector: effectiveSelector(profile),
    actions,
    listed: processes
      .slice(0, MAX_LISTED)
      .map(({ path, container }) => ({ path, ...(container === undefined ? {} : { container }) })),
    pods: [...pods.values()],
    services: [...services.values()],
  };
}
