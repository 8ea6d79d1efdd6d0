/** The messages that lead an agent from the state that it holds to another one. The operator sends them. */
import { create } from "@bufbuild/protobuf";
import {
  type Binding,
  NamespacesSchema,
  type Ruleset,
  RulesetSchema,
  type State,
  StateSchema,
  type Table,
  TableSchema,
} from "../gen/agent_pb.js";
import { rulesetsOf, serializeRuleset, serializeSkeleton } from "../policy/serialize/serialize-parts.ts";
import type { RuleTable } from "../policy/table/tables.ts";
import { type Bindings, bindingDigest, stateHash } from "./bindings.ts";
import { MAX_PART_BYTES } from "./service.ts";

/** What a node is to have. */
export interface NodeState {
  bindings: Bindings;
  /** At least those that the bindings lead to. */
  tables: ReadonlyMap<string, SentTable>;
  /** Namespaces that have an enforcing profile, sorted; null: not known. */
  enforcing: readonly string[] | null;
}

/** A table as it goes over the wire. */
export interface SentTable {
  hash: string;
  /** `serializeSkeleton`. */
  content: Uint8Array;
  /** Those that it refers to, by hash. */
  rulesets: ReadonlyMap<string, SentRuleset>;
}

export interface SentRuleset {
  hash: string;
  /** `serializeRuleset`. */
  content: Uint8Array;
  /** The same as a difference from the one that it took the place of; null where there is none. */
  delta: RulesetDelta | null;
}

export interface RulesetDelta {
  baseHash: string;
  /** `serializeRulesetDelta`. */
  content: Uint8Array;
}

/** What an agent is known to hold. */
export interface HeldHashes {
  /** Null: not known one by one, so that all of them have to be sent. */
  bindings: Bindings | null;
  tables: Hashes;
  rulesets: Hashes;
  /** Null: not known. */
  enforcing: readonly string[] | null;
}

/** A set of hashes, however it is kept. */
export interface Hashes {
  has(hash: string): boolean;
}

const sentByTable = new WeakMap<RuleTable, SentTable>();

/** A table's texts. Tables never change, so they are made once. */
export function sentTable(table: RuleTable): SentTable {
  const known = sentByTable.get(table) ?? makeSent(table);
  sentByTable.set(table, known);
  return known;
}

function makeSent(table: RuleTable): SentTable {
  const rulesets = new Map<string, SentRuleset>();
  for (const [hash, ruleset] of rulesetsOf(table)) {
    rulesets.set(hash, { hash, content: Buffer.from(serializeRuleset(ruleset)), delta: null });
  }
  return { hash: table.hash, content: Buffer.from(serializeSkeleton(table)), rulesets };
}

/** Tables' texts by hash. */
export function sentTables(tables: Iterable<RuleTable>): Map<string, SentTable> {
  return new Map(Array.from(tables, (table) => [table.hash, sentTable(table)]));
}

/** The messages of a revision, at least one. */
export function stateMessages(held: HeldHashes, next: NodeState, revision: bigint): State[] {
  const parts = new PartsBuilder(revision, held.bindings === null);
  const { enforcing } = next;
  if (enforcing !== null && enforcing.join() !== held.enforcing?.join()) parts.enforcing(enforcing);
  const sent = new Set<string>();
  for (const table of tablesOf(next).values()) {
    if (held.tables.has(table.hash)) continue;
    for (const [hash, ruleset] of table.rulesets) {
      if (sent.has(hash) || held.rulesets.has(hash)) continue;
      sent.add(hash);
      parts.ruleset(rulesetMessage(ruleset, held.rulesets));
    }
    parts.table(create(TableSchema, { hash: table.hash, content: table.content }));
  }
  const before = held.bindings ?? new Map<string, Binding>();
  for (const [uid, binding] of next.bindings) {
    const old = before.get(uid);
    if (old === binding || (old !== undefined && bindingDigest(old) === bindingDigest(binding))) continue;
    parts.binding(binding);
  }
  for (const uid of before.keys()) if (!next.bindings.has(uid)) parts.removed(uid);
  return parts.finish(next.bindings.size === 0 ? "" : stateHash(next.bindings));
}

/** The state with the tables that its bindings lead to, and no others. */
export function exactly(state: NodeState): NodeState {
  return { ...state, tables: tablesOf(state) };
}

/** What an agent holds that has acknowledged a state, which is `exactly` so. It is asked about few rule sets: none is gathered before. */
export function heldAfter({ bindings, tables, enforcing }: NodeState): HeldHashes {
  const hasRuleset = (hash: string) => {
    for (const table of tables.values()) if (table.rulesets.has(hash)) return true;
    return false;
  };
  return { bindings, tables, rulesets: { has: hasRuleset }, enforcing };
}

/** The tables that the bindings lead to. */
function tablesOf({ bindings, tables }: NodeState): Map<string, SentTable> {
  const used = new Map<string, SentTable>();
  for (const { tableHash } of bindings.values()) {
    const table = tableHash === "" ? undefined : tables.get(tableHash);
    if (table !== undefined) used.set(tableHash, table);
  }
  return used;
}

function rulesetMessage({ hash, content, delta }: SentRuleset, held: Hashes): Ruleset {
  if (delta !== null && held.has(delta.baseHash)) return create(RulesetSchema, { hash, ...delta });
  return create(RulesetSchema, { hash, content });
}

/** Roughly what a binding takes. */
const BINDING_BYTES = 512;
const UID_BYTES = 40;

class PartsBuilder {
  readonly #parts: State[] = [];
  readonly #revision: bigint;
  readonly #full: boolean;
  #part: State;
  #bytes = 0;

  constructor(revision: bigint, full: boolean) {
    this.#revision = revision;
    this.#full = full;
    this.#part = this.#newPart();
  }

  enforcing(names: readonly string[]): void {
    this.#room(names.reduce((sum, name) => sum + name.length + 2, 0)).enforcing = create(NamespacesSchema, {
      names: [...names],
    });
  }

  ruleset(ruleset: Ruleset): void {
    this.#room(ruleset.content.length).rulesets.push(ruleset);
  }

  table(table: Table): void {
    this.#room(table.content.length).tables.push(table);
  }

  binding(binding: Binding): void {
    this.#room(BINDING_BYTES).bindings.push(binding);
  }

  removed(uid: string): void {
    this.#room(UID_BYTES).removed.push(uid);
  }

  finish(hash: string): State[] {
    this.#part.stateHash = hash;
    return [...this.#parts, this.#part];
  }

  /** The part that has room for so many bytes; a thing larger than a part has one of its own. */
  #room(bytes: number): State {
    if (this.#bytes > 0 && this.#bytes + bytes > MAX_PART_BYTES) {
      this.#part.more = true;
      this.#parts.push(this.#part);
      this.#part = this.#newPart();
      this.#bytes = 0;
    }
    this.#bytes += bytes;
    return this.#part;
  }

  #newPart(): State {
    return create(StateSchema, { revision: this.#revision, full: this.#full });
  }
}
