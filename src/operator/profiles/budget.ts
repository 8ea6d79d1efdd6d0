/**
 * What one namespace may make the operator do. A budget keeps one tenant from taking memory and time that the others need; no honest
 * user is meant to meet it. What is over it is not taken: the revision before stays in force.
 */
import type { SecurityProfile } from "../../api/types.ts";
import { TokenBucket } from "../../timing/token-bucket.ts";

/** Of one namespace. */
export interface BudgetLimits {
  profiles: number;
  /** Of what users have written, as JSON, be it taken or not. */
  bytes: number;
  /** Prefixes, names, ports and peers. */
  rules: number;
  /** Peers that are selected by labels. */
  selectors: number;
  /** Taken in the long run; a hundred times as many at once. */
  editsPerSecond: number;
}

export const DEFAULT_BUDGET: BudgetLimits = {
  profiles: 1_000,
  bytes: 16 * 1024 * 1024,
  rules: 200_000,
  selectors: 1_000,
  editsPerSecond: 5,
};

/** Edits at once, in seconds of the rate: a roll-out may change all profiles of a namespace. */
const BURST_SECONDS = 100;

/** What one profile takes of its namespace's budget. */
export interface ProfileCost {
  bytes: number;
  rules: number;
  selectors: number;
}

/** Counts a normalised profile. */
export function costOf({ spec }: SecurityProfile, bytes: number): ProfileCost {
  const cost: ProfileCost = { bytes, rules: 0, selectors: 0 };
  for (const network of [spec.default, ...(spec.processes ?? []).map((process) => process.network)]) {
    const { egress, ingress } = network ?? {};
    const lists = [egress, ingress].flatMap((rules) => [
      rules?.cidr4,
      rules?.cidr6,
      rules?.l4?.protocolPorts,
      rules?.pods,
    ]);
    const named = [egress?.fqdns, egress?.l7?.dns, egress?.services, egress?.peers];
    cost.rules += [...lists, ...named].reduce((sum, list) => sum + (list?.length ?? 0), 0);
    cost.selectors += (egress?.pods?.length ?? 0) + (ingress?.pods?.length ?? 0);
  }
  return cost;
}

const NOTHING: ProfileCost = { bytes: 0, rules: 0, selectors: 0 };

interface Account {
  costs: Map<string, ProfileCost>;
  sum: ProfileCost;
  edits: TokenBucket;
}

export class Budgets {
  readonly #limits: BudgetLimits;
  readonly #accounts = new Map<string, Account>();

  constructor(limits: BudgetLimits) {
    this.#limits = limits;
  }

  get limits(): BudgetLimits {
    return this.#limits;
  }

  /** Counts an edit; false if the namespace has made too many, and this one has to wait. */
  takeEdit(namespace: string): boolean {
    return this.#account(namespace).edits.take();
  }

  /** Why there is no room for a profile of so many bytes (0: not known), whatever it says; null: there may be. */
  room(namespace: string, key: string, bytes: number): string | null {
    const account = this.#account(namespace);
    const before = account.costs.get(key);
    const profiles = account.costs.size + (before === undefined ? 1 : 0);
    // At least one more byte.
    const sum = account.sum.bytes - (before?.bytes ?? 0) + Math.max(bytes, 1);
    return this.#over(namespace, { ...NOTHING, profiles, bytes: sum });
  }

  /** Counts what was read of a profile that is not taken: it costs as much time as one that is. */
  chargeReading(namespace: string, key: string, bytes: number): void {
    const account = this.#account(namespace);
    const before = account.costs.get(key) ?? NOTHING;
    const cost = { ...before, bytes };
    account.costs.set(key, cost);
    account.sum = added(account.sum, cost, before);
  }

  /**
   * Counts the profile with this cost, in the place of what it cost before.
   * @returns why not, in words, with nothing changed; null if there was room
   */
  charge(namespace: string, key: string, cost: ProfileCost): string | null {
    const account = this.#account(namespace);
    const before = account.costs.get(key) ?? NOTHING;
    const profiles = account.costs.size + (account.costs.has(key) ? 0 : 1);
    const wanted = { profiles, ...added(account.sum, cost, before) };
    const over = this.#over(namespace, wanted);
    if (over !== null) return over;
    account.costs.set(key, cost);
    account.sum = added(account.sum, cost, before);
    return null;
  }

  /** The profile is gone. Returns whether it had cost something. */
  release(namespace: string, key: string): boolean {
    const account = this.#accounts.get(namespace);
    const cost = account?.costs.get(key);
    if (account === undefined || cost === undefined) return false;
    account.costs.delete(key);
    account.sum = added(account.sum, NOTHING, cost);
    return true;
  }

  /** Namespaces that have nothing and have done nothing for long are forgotten. */
  sweep(): void {
    for (const [namespace, { costs, edits }] of this.#accounts) {
      if (costs.size === 0 && edits.isFull()) this.#accounts.delete(namespace);
    }
  }

  #over(namespace: string, wanted: Record<keyof ProfileCost | "profiles", number>): string | null {
    for (const what of ["profiles", "bytes", "rules", "selectors"] as const) {
      const limit = this.#limits[what];
      if (wanted[what] <= limit) continue;
      return `with it namespace ${namespace} would have ${wanted[what]} ${WORDS[what]}, and may have ${limit}`;
    }
    return null;
  }

  #account(namespace: string): Account {
    const known = this.#accounts.get(namespace);
    if (known !== undefined) return known;
    const { editsPerSecond } = this.#limits;
    const account: Account = {
      costs: new Map(),
      sum: NOTHING,
      edits: new TokenBucket(Math.max(1, editsPerSecond * BURST_SECONDS), editsPerSecond),
    };
    this.#accounts.set(namespace, account);
    return account;
  }
}

const WORDS = {
  profiles: "profiles",
  bytes: "bytes of profiles",
  rules: "rules in its profiles",
  selectors: "selectors of pods in its profiles",
} as const;

function added(sum: ProfileCost, plus: ProfileCost, minus: ProfileCost): ProfileCost {
  return {
    bytes: sum.bytes + plus.bytes - minus.bytes,
    rules: sum.rules + plus.rules - minus.rules,
    selectors: sum.selectors + plus.selectors - minus.selectors,
  };
}
