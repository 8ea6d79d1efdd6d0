/**
 * What the tables of each namespace take of the kernel's maps, which all workloads of a node have together: nobody's rules fill them
 * for the others. A namespace may take as much of a map as it leaves free, so that one alone comes to a half, two to a third each,
 * and there is always as much left for one more.
 */
import type { Ruleset, RuleTable } from "../../../policy/table/tables.ts";
import { CapacityError } from "../errors.ts";

/** Maps that rules are written to; `paths` are the numbers of executables. */
export const SHARED_MAPS = [
  "rulesets",
  "peers4",
  "peers6",
  "ports",
  "names",
  "conditions",
  "binaries",
  "paths",
] as const;
export type SharedMap = (typeof SHARED_MAPS)[number];

type Entries = Partial<Record<SharedMap, number>>;

/** A part of a table, which other tables may have, too. */
interface Part {
  key: string;
  entries: Entries;
}

export class RuleShares {
  readonly #sizeOf: (map: SharedMap) => number;
  readonly #all = new Account();
  readonly #namespaces = new Map<string, Account>();

  /** @param sizeOf how many entries a map holds */
  constructor(sizeOf: (map: SharedMap) => number) {
    this.#sizeOf = sizeOf;
  }

  /** @throws CapacityError where the table's namespace would take more of a map than it leaves free */
  check(table: RuleTable): void {
    const parts = partsOf(table);
    const namespace = namespaceOf(table);
    const own = this.#namespaces.get(namespace) ?? new Account();
    for (const map of SHARED_MAPS) {
      const share = own.with(parts, map);
      const free = Math.max(this.#sizeOf(map) - this.#all.with(parts, map), 0);
      if (share === own.taken(map) || share <= free) continue;
      const needed =
        `the tables of namespace ${namespace} would have ${share} entries on this node and leave ${free} free, ` +
        "where a namespace may have as many as it leaves";
      throw new CapacityError(map, needed, this.#sizeOf(map));
    }
  }

  add(table: RuleTable): void {
    const namespace = namespaceOf(table);
    const account = this.#namespaces.get(namespace) ?? new Account();
    this.#namespaces.set(namespace, account);
    for (const one of [this.#all, account]) one.add(partsOf(table));
  }

  remove(table: RuleTable): void {
    const namespace = namespaceOf(table);
    const account = this.#namespaces.get(namespace);
    this.#all.remove(partsOf(table));
    account?.remove(partsOf(table));
    if (account?.isEmpty) this.#namespaces.delete(namespace);
  }
}

/** Parts, each counted once however many tables have it. */
class Account {
  readonly #uses = new Map<string, number>();
  readonly #taken = { rulesets: 0, peers4: 0, peers6: 0, ports: 0, names: 0, conditions: 0, binaries: 0, paths: 0 };

  get isEmpty(): boolean {
    return this.#uses.size === 0;
  }

  taken(map: SharedMap): number {
    return this.#taken[map];
  }

  /** Entries of a map with these parts, too. */
  with(parts: readonly Part[], map: SharedMap): number {
    const fresh = parts.filter(({ key }) => !this.#uses.has(key));
    return this.#taken[map] + fresh.reduce((sum, { entries }) => sum + (entries[map] ?? 0), 0);
  }

  add(parts: readonly Part[]): void {
    for (const { key, entries } of parts) {
      const uses = this.#uses.get(key) ?? 0;
      this.#uses.set(key, uses + 1);
      if (uses === 0) this.#count(entries, 1);
    }
  }

  remove(parts: readonly Part[]): void {
    for (const { key, entries } of parts) {
      const uses = this.#uses.get(key) ?? 0;
      if (uses > 1) this.#uses.set(key, uses - 1);
      else if (this.#uses.delete(key)) this.#count(entries, -1);
    }
  }

  #count(entries: Entries, sign: 1 | -1): void {
    for (const map of SHARED_MAPS) this.#taken[map] += sign * (entries[map] ?? 0);
  }
}

function partsOf(table: RuleTable): Part[] {
  const parts = new Map<string, Entries>([[`table ${table.hash}`, { binaries: table.binaries.length }]]);
  for (const { path } of table.binaries) parts.set(`path ${path}`, { paths: 1 });
  for (const pair of [...(table.default === null ? [] : [table.default]), ...table.binaries]) {
    for (const rules of [pair.egress, pair.ingress]) {
      if (rules.hash !== "") parts.set(rules.hash, entriesOf(rules));
      for (const { path } of rules.ancestors) parts.set(`path ${path}`, { paths: 1 });
    }
  }
  return Array.from(parts, ([key, entries]) => ({ key, entries }));
}

function entriesOf({ peers4, peers6, ports, names, ancestors, users }: Ruleset): Entries {
  const conditions = ancestors.length + users.length;
  const lists = { peers4: peers4.length, peers6: peers6.length, ports: ports.length, names: names.length };
  return { rulesets: 1, ...lists, conditions };
}

/** Profiles of a table are of one namespace, and their names begin with it. */
function namespaceOf(table: RuleTable): string {
  return table.profiles[0]?.split("/")[0] ?? "";
}
