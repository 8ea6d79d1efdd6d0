/** What an agent holds: bindings, and the tables that they lead to. Used by the agent, and by whatever stands in for one. */
import { causeText, PortcullisError } from "../api/errors.ts";
import type { Binding, Ruleset, State } from "../gen/agent_pb.js";
import { applyRulesetDelta } from "../policy/serialize/ruleset-delta.ts";
import { parseRuleset, parseSkeleton, rulesetsOf, type SharedRuleset } from "../policy/serialize/serialize-parts.ts";
import type { RuleTable } from "../policy/table/tables.ts";
import { type Bindings, stateHash } from "./bindings.ts";
import { StateError } from "./errors.ts";

/** One whole state. Never changed: `applied` gives a new one, so that a state that cannot be taken harms nothing. */
export class HeldState {
  readonly bindings: Bindings;
  readonly tables: ReadonlyMap<string, RuleTable>;
  readonly rulesets: ReadonlyMap<string, SharedRuleset>;
  readonly hash: string;
  /** Namespaces that have an enforcing profile, as sent last; null: nobody has sent any. */
  readonly enforcing: readonly string[] | null;

  /** Tables that no binding leads to, and rule sets that no table has, are left out. */
  constructor(bindings: Bindings, tables: ReadonlyMap<string, RuleTable>, enforcing: readonly string[] | null = null) {
    this.enforcing = enforcing;
    this.bindings = bindings;
    this.hash = bindings.size === 0 ? "" : stateHash(bindings);
    const used = new Map<string, RuleTable>();
    const rulesets = new Map<string, SharedRuleset>();
    for (const { tableHash } of bindings.values()) {
      if (tableHash === "" || used.has(tableHash)) continue;
      const table = tables.get(tableHash);
      if (table === undefined) throw missing(`table ${tableHash}`);
      used.set(tableHash, table);
      for (const [hash, ruleset] of rulesetsOf(table)) rulesets.set(hash, ruleset);
    }
    this.tables = used;
    this.rulesets = rulesets;
  }

  static readonly EMPTY = new HeldState(new Map(), new Map());

  /**
   * The state after a revision.
   * @param parts all messages of the revision, in order
   * @throws StateError if they cannot be applied: PC_STATE_FORMAT, or PC_STATE_HASH if what comes out is not what was meant
   */
  applied(parts: readonly State[]): HeldState {
    const last = parts.at(-1);
    if (last === undefined) return this;
    const rulesets = new Map(this.rulesets);
    const tables = new Map(this.tables);
    for (const part of parts) {
      for (const ruleset of part.rulesets) rulesets.set(ruleset.hash, readRuleset(ruleset, rulesets));
      for (const { hash, content } of part.tables) {
        const text = Buffer.from(content).toString();
        const table = reading(`table ${hash}`, () => parseSkeleton(text, (key) => rulesets.get(key)));
        tables.set(table.hash, table);
      }
    }
    const enforcing = parts.find((part) => part.enforcing !== undefined)?.enforcing?.names ?? this.enforcing;
    const state = new HeldState(appliedBindings(this.bindings, parts), tables, enforcing);
    if (state.hash === last.stateHash) return state;
    throw new StateError(
      "PC_STATE_HASH",
      `revision ${last.revision} comes to state ${state.hash || "(empty)"} here, and to ${last.stateHash || "(empty)"} at the operator; a full state is needed`,
    );
  }
}

/** Collects the messages of a revision. */
export class StateParts {
  #parts: State[] = [];

  /** All messages of the revision if this was the last one, else null. A new revision takes the place of an unfinished one. */
  add(part: State): State[] | null {
    if (this.#parts.some(({ revision }) => revision !== part.revision)) this.#parts = [];
    this.#parts.push(part);
    if (part.more) return null;
    const parts = this.#parts;
    this.#parts = [];
    return parts;
  }
}

function appliedBindings(before: Bindings, parts: readonly State[]): Bindings {
  const bindings = new Map<string, Binding>(parts.some(({ full }) => full) ? [] : before);
  for (const part of parts) {
    for (const uid of part.removed) bindings.delete(uid);
    for (const binding of part.bindings) bindings.set(binding.podUid, binding);
  }
  return bindings;
}

function readRuleset({ hash, baseHash, content }: Ruleset, known: ReadonlyMap<string, SharedRuleset>): SharedRuleset {
  const text = Buffer.from(content).toString();
  return reading(`rule set ${hash}`, () => {
    if (baseHash === "") return parseRuleset(text, hash);
    const base = known.get(baseHash);
    if (base === undefined) throw missing(`rule set ${baseHash}`);
    return applyRulesetDelta(base, text, hash);
  });
}

/** The same failure as one of the state. */
function reading<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof StateError || !(cause instanceof PortcullisError)) throw cause;
    throw new StateError("PC_STATE_FORMAT", `${what} cannot be read: ${causeText(cause)}`, { cause });
  }
}

function missing(what: string): StateError {
  return new StateError("PC_STATE_FORMAT", `${what} is referred to and neither held nor sent; a full state is needed`);
}
