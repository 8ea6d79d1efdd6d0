/**
 * Rule tables in the kernel. A table is written whole, under a number that nothing refers to yet, and taken away when
 * nothing refers to it any more: what judges packets never changes under them.
 */

import { InternalError } from "../../../api/errors.ts";
import type { BinaryKey } from "../../../gen/abi.gen.ts";
import type { Ruleset, RuleTable } from "../../../policy/table/tables.ts";
import { steadyNow } from "../../../timing/steady-time.ts";
import { ERRNO, isKernelError } from "../../ffi/errno.ts";
import { CapacityError } from "../errors.ts";
import type { TableState } from "../state/state.ts";
import type { ContainerIds } from "./container-ids.ts";
import { type RulesetEntries, rulesetEntries } from "./entries.ts";
import { Identifiers } from "./identifiers.ts";
import type { PathNames } from "./path-names.ts";
import type { RuleMap, RuleMaps } from "./rule-maps.ts";
import { RuleShares } from "./rule-shares.ts";

/** The number of the rule set that allows nothing; never stored. */
const EMPTY_RULESET_ID = 0;
const EMPTY_HASH = "";

/** `struct name_key` has 16 bits for the rule set's number. */
const LAST_RULESET_ID = 0xffff;

/** A table in the kernel, with how many workloads it is in force for. */
interface HeldTable extends TableState {
  holders: number;
}

export class RuleStore {
  readonly #maps: RuleMaps;
  readonly #paths: PathNames;
  readonly #containerIds: ContainerIds;
  readonly #rulesets = new Identifiers({ name: "rulesets", first: 1, last: LAST_RULESET_ID });
  readonly #tables = new Map<number, HeldTable>();
  readonly #byHash = new Map<string, HeldTable>();
  readonly #retired = new Map<number, number>();
  readonly #shares: RuleShares;
  #nextTableId: number;

  constructor(maps: RuleMaps, paths: PathNames, containerIds: ContainerIds, nextTableId = 1) {
    this.#maps = maps;
    this.#paths = paths;
    this.#containerIds = containerIds;
    this.#nextTableId = nextTableId;
    this.#shares = new RuleShares((map) => (map === "paths" ? paths.capacity : maps[map].maxEntries));
    for (const [{ tableId }] of maps.binaries.entries()) this.reserveTableId(tableId);
    for (const [id] of maps.rulesets.entries()) this.#rulesets.reserve(id);
  }

  /** Takes over a table of an earlier agent; false if it is not (all) there. */
  adopt(state: TableState): boolean {
    for (const [hash, id] of Object.entries(state.rulesets)) {
      if (hash !== EMPTY_HASH && this.#maps.rulesets.get(id) === undefined) return false;
    }
    const keys = this.#binaryKeys(state.table, state.id);
    if (keys.some((key) => this.#maps.binaries.get(key) === undefined)) return false;
    for (const [hash, id] of Object.entries(state.rulesets)) this.#rulesets.adopt(hash, id);
    this.#remember({ ...state, holders: 0 });
    return true;
  }

  /** No table will have this number, or a lower one: something in the kernel has it. */
  reserveTableId(id: number): void {
    if (id >= this.#nextTableId) this.#nextTableId = id + 1;
  }

  /**
   * Makes sure that a table is in the kernel and stays there until `release`.
   * @throws CapacityError or KernelError; then nothing of it is left behind.
   */
  hold(table: RuleTable): TableState {
    const known = this.#byHash.get(table.hash) ?? this.#write(table);
    known.holders += 1;
    this.#retired.delete(known.id);
    return known;
  }

  /** Takes a hold on a table that was adopted. */
  holdAdopted(id: number): TableState | null {
    const table = this.#tables.get(id);
    if (table !== undefined) table.holders += 1;
    return table ?? null;
  }

  /** Gives a hold back. Without holders a table is collected once packets on their way are past it. */
  release(id: number, now = steadyNow()): void {
    const table = this.#tables.get(id);
    if (table === undefined) return;
    table.holders -= 1;
    if (table.holders <= 0) this.#retired.set(id, now);
  }

  /** Removes the tables without holders that have been so for `graceMs`. Returns how many are waiting still. */
  collect(graceMs: number, now = steadyNow()): number {
    for (const table of this.#tables.values()) {
      if (table.holders <= 0 && !this.#retired.has(table.id)) this.#retired.set(table.id, now);
    }
    for (const [id, since] of this.#retired) {
      if (now - since < graceMs) continue;
      this.#retired.delete(id);
      this.#remove(id);
    }
    return this.#retired.size;
  }

  /** Removes what no table of ours refers to: left by an agent that was stopped in the middle, or whose state is lost. */
  collectOrphans(): number {
    const binaries = [...this.#maps.binaries.entries()].filter(([key]) => !this.#tables.has(key.tableId));
    this.#maps.binaries.deleteAll(binaries.map(([key]) => key));
    const live = new Set([...this.#tables.values()].flatMap((table) => Object.values(table.rulesets)));
    const orphans = new Set([...this.#maps.rulesets.entries()].map(([id]) => id).filter((id) => !live.has(id)));
    // Each entry of the tries belongs to an element of `rulesets`, which is written first and removed last.
    if (orphans.size > 0) this.#removeRulesets(orphans);
    return binaries.length + orphans.size;
  }

  find(id: number): TableState | null {
    return this.#tables.get(id) ?? null;
  }

  /** Tables to be remembered from one start to the next. */
  states(): TableState[] {
    return [...this.#tables.values()].map(({ holders: _, ...state }) => state);
  }

  get nextTableId(): number {
    return this.#nextTableId;
  }

  #write(table: RuleTable): HeldTable {
    this.#shares.check(table);
    const id = this.#nextTableId++;
    const state: HeldTable = { id, table, rulesets: {}, holders: 0 };
    const fresh: number[] = [];
    try {
      for (const rules of distinctRulesets(table)) {
        const held = this.#rulesets.hold(rules.hash);
        state.rulesets[rules.hash] = held.id;
        if (!held.fresh) continue;
        fresh.push(held.id);
        this.#writeRuleset(this.#entriesOf(rules, held.id), held.id);
      }
      this.#writeBinaries(state);
    } catch (cause) {
      this.#undo(state, fresh);
      throw cause;
    }
    return this.#remember(state);
  }

  #writeRuleset(entries: RulesetEntries, id: number): void {
    fill(this.#maps.rulesets, [[id, entries.ruleset]]);
    fill(this.#maps.peers4, entries.peers4);
    fill(this.#maps.peers6, entries.peers6);
    fill(this.#maps.ports, entries.ports);
    fill(this.#maps.names, entries.names);
    fill(this.#maps.conditions, entries.conditions);
  }

  #writeBinaries({ id, table, rulesets }: TableState): void {
    const keys = this.#binaryKeys(table, id);
    fill(
      this.#maps.binaries,
      table.binaries.map((binary, index) => [
        keys[index] as BinaryKey,
        { id: index + 1, ruleset: [rulesetId(rulesets, binary.egress), rulesetId(rulesets, binary.ingress)] },
      ]),
    );
  }

  #undo(state: TableState, fresh: number[]): void {
    const written = [...this.#maps.binaries.entries()].filter(([key]) => key.tableId === state.id);
    this.#maps.binaries.deleteAll(written.map(([key]) => key));
    for (const hash of Object.keys(state.rulesets)) this.#rulesets.release(hash);
    if (fresh.length > 0) this.#removeRulesets(new Set(fresh));
  }

  #remove(id: number): void {
    const table = this.#tables.get(id);
    if (table === undefined) return;
    this.#maps.binaries.deleteAll(this.#binaryKeys(table.table, id));
    for (const rules of distinctRulesets(table.table)) {
      const unused = this.#rulesets.release(rules.hash);
      if (unused !== null) this.#removeRuleset(rules, unused);
    }
    this.#tables.delete(id);
    this.#shares.remove(table.table);
    if (this.#byHash.get(table.table.hash)?.id === id) this.#byHash.delete(table.table.hash);
  }

  #removeRuleset(rules: Ruleset, id: number): void {
    const entries = this.#entriesOf(rules, id);
    this.#maps.peers4.deleteAll(keysOf(entries.peers4));
    this.#maps.peers6.deleteAll(keysOf(entries.peers6));
    this.#maps.ports.deleteAll(keysOf(entries.ports));
    this.#maps.names.deleteAll(keysOf(entries.names));
    this.#maps.conditions.deleteAll(keysOf(entries.conditions));
    this.#maps.rulesets.delete(id);
    this.#rulesets.free(id);
  }

  /** Removes rule sets whose contents are not known, by looking through everything. */
  #removeRulesets(ids: ReadonlySet<number>): void {
    const { peers4, peers6, ports, names, conditions } = this.#maps;
    for (const map of [peers4, peers6, ports, names, conditions]) {
      removeOf(map as RuleMap<{ ruleset: number }, unknown>, ids);
    }
    for (const id of ids) {
      this.#maps.rulesets.delete(id);
      this.#rulesets.free(id);
    }
  }

  #binaryKeys(table: RuleTable, tableId: number): BinaryKey[] {
    return table.binaries.map(({ path, container }) => ({
      tableId,
      pathId: this.#paths.intern(path),
      containerId: this.#containerIds.of(container),
    }));
  }

  #entriesOf(rules: Ruleset, id: number): RulesetEntries {
    return rulesetEntries(rules, id, (path) => this.#paths.intern(path));
  }

  #remember(table: HeldTable): HeldTable {
    this.#tables.set(table.id, table);
    this.#shares.add(table.table);
    this.#byHash.set(table.table.hash, table);
    this.reserveTableId(table.id);
    return table;
  }
}

/** All paths that a table names. */
export function pathsOf(table: RuleTable): string[] {
  const ancestors = distinctRulesets(table).flatMap((rules) => rules.ancestors.map(({ path }) => path));
  return [...table.binaries.map(({ path }) => path), ...ancestors];
}

/** The number of a table's rule set; the empty one is 0. */
export function rulesetId(rulesets: Record<string, number>, rules: Ruleset): number {
  if (rules.hash === EMPTY_HASH) return EMPTY_RULESET_ID;
  const id = rulesets[rules.hash];
  if (id === undefined) throw new InternalError(`rule set ${rules.hash} has no number`);
  return id;
}

/** Each rule set of a table once, without the empty one. */
function distinctRulesets(table: RuleTable): Ruleset[] {
  const pairs = table.default === null ? table.binaries : [table.default, ...table.binaries];
  const all = pairs.flatMap((pair) => [pair.egress, pair.ingress]);
  return [...new Map(all.map((rules) => [rules.hash, rules])).values()].filter((rules) => rules.hash !== EMPTY_HASH);
}

/** Writes, with "full" said in the user's terms. */
function fill<K, V>(map: RuleMap<K, V>, entries: readonly (readonly [K, V])[]): void {
  try {
    map.setAll(entries);
  } catch (cause) {
    if (!isKernelError(cause, ERRNO.ENOSPC, ERRNO.E2BIG)) throw cause;
    throw new CapacityError(map.name, `one rule set has ${entries.length} entries for it`, map.maxEntries, { cause });
  }
}

function removeOf(map: RuleMap<{ ruleset: number }, unknown>, ids: ReadonlySet<number>): void {
  const keys = [...map.entries()].map(([key]) => key).filter((key) => ids.has(key.ruleset));
  map.deleteAll(keys);
}

function keysOf<K>(entries: readonly (readonly [K, unknown])[]): K[] {
  return entries.map(([key]) => key);
}
