/** Compiles tables in the profiles' thread, each upon what was compiled for its policy before. */
import type { SecurityProfile } from "../../api/types.ts";
import { compileTable } from "../../policy/compile/compile.ts";
import { CompileMemory } from "../../policy/compile/compile-memory.ts";
import { serializeRulesetDelta } from "../../policy/serialize/ruleset-delta.ts";
import {
  rulesetsOf,
  type SharedRuleset,
  serializeRuleset,
  serializeSkeleton,
} from "../../policy/serialize/serialize-parts.ts";
import { CompileError } from "../../policy/table/errors.ts";
import type { PeerPrefixes, PeerResolver } from "../../policy/table/peers.ts";
import type { RuleTable } from "../../policy/table/tables.ts";
import { prefixesOf } from "../cluster/addresses.ts";
import { podSetKey, serviceOf, serviceSetKey } from "../cluster/peer-sets.ts";
import type { CompiledContent, CompiledRuleset, CompileOrder, CompileResult } from "./messages.ts";

interface Remembered {
  memory: CompileMemory;
  table: RuleTable | null;
  prefixes: Map<string, { text: string; prefixes: PeerPrefixes }>;
  weight: number;
}

/** Rules of tables that are remembered; about 200 bytes each. */
const REMEMBERED_RULES = 400_000;
/** Of one table, before any are united. That takes a second or so to compile: more would keep all others waiting. */
const MAX_TABLE_RULES = 400_000;

export class Compiler {
  readonly #accepted: (key: string) => { profile: SecurityProfile; digest: string } | null;
  /** By policy, the one compiled last at the end. */
  readonly #remembered = new Map<string, Remembered>();
  #weight = 0;

  /** @param accepted the last valid revision of a profile; null if none is known */
  constructor(accepted: (key: string) => { profile: SecurityProfile; digest: string } | null) {
    this.#accepted = accepted;
  }

  compile(order: CompileOrder): CompileResult {
    const start = performance.now();
    const revisions = order.profiles.map((key) => this.#accepted(key));
    const digests = revisions.map((revision) => revision?.digest ?? "");
    const result = (table: CompiledContent | null, error: CompileResult["error"]) => ({
      digests,
      table,
      error,
      seconds: (performance.now() - start) / 1000,
    });
    if (!revisions.every((revision) => revision !== null)) return result(null, null);
    const before = this.#remembered.get(order.policy) ?? fresh();
    try {
      const table = compileTable(
        revisions.map(({ profile }) => profile),
        {
          searchDomains: [...order.searchDomains],
          peers: resolverOf(order.peers, before.prefixes),
          memory: before.memory,
          maxRules: MAX_TABLE_RULES,
        },
      );
      const content = contentOf(table, before.table, new Set(order.held));
      this.#remember(order, { ...before, table, weight: weightOf(table) });
      return result(content, null);
    } catch (cause) {
      if (!(cause instanceof CompileError)) throw cause;
      return result(null, { code: cause.code, message: cause.message });
    }
  }

  /** Nobody has the policy any more. */
  forget(policy: string): void {
    this.#weight -= this.#remembered.get(policy)?.weight ?? 0;
    this.#remembered.delete(policy);
  }

  #remember({ policy, peers }: CompileOrder, remembered: Remembered): void {
    this.forget(policy);
    for (const key of remembered.prefixes.keys()) if (!peers.has(key)) remembered.prefixes.delete(key);
    this.#remembered.set(policy, remembered);
    this.#weight += remembered.weight;
    for (const oldest of this.#remembered.keys()) {
      if (this.#weight <= REMEMBERED_RULES || oldest === policy) break;
      this.forget(oldest);
    }
  }
}

function fresh(): Remembered {
  return { memory: new CompileMemory(), table: null, prefixes: new Map(), weight: 0 };
}

/** Gives the same object for the same addresses, so that nothing is compiled again for them. */
function resolverOf(peers: ReadonlyMap<string, string>, known: Remembered["prefixes"]): PeerResolver {
  const find = (key: string): PeerPrefixes => {
    const text = peers.get(key) ?? "";
    const before = known.get(key);
    if (before?.text === text) return before.prefixes;
    const prefixes = prefixesOf(text === "" ? [] : text.split(" "));
    known.set(key, { text, prefixes });
    return prefixes;
  };
  return {
    pods: (peer, namespace) => find(podSetKey(peer, namespace)),
    service: (peer, namespace) => find(serviceSetKey(serviceOf(peer, namespace))),
  };
}

function contentOf(table: RuleTable, before: RuleTable | null, held: ReadonlySet<string>): CompiledContent {
  const old = before === null ? null : oldRulesets(before, table);
  const containers = table.binaries.flatMap(({ container }) => container ?? []);
  return {
    hash: table.hash,
    profiles: table.profiles,
    actions: table.actions,
    containers: [...new Set(containers)],
    content: bytesOf(serializeSkeleton(table)),
    rulesets: Array.from(rulesetsOf(table).values(), (ruleset) => rulesetContent(ruleset, old, held)),
  };
}

function rulesetContent(
  ruleset: SharedRuleset,
  old: ReadonlyMap<string, SharedRuleset> | null,
  held: ReadonlySet<string>,
): CompiledRuleset {
  const { hash } = ruleset;
  if (held.has(hash)) return { hash, content: null, delta: null };
  const base = old?.get(hash);
  const delta = base === undefined ? null : serializeRulesetDelta(base, ruleset);
  return {
    hash,
    content: bytesOf(serializeRuleset(ruleset)),
    delta: base === undefined || delta === null ? null : { baseHash: base.hash, content: bytesOf(delta) },
  };
}

/** By the hash of each new rule set, the one in whose place it comes: of the same binary and direction. */
function oldRulesets(before: RuleTable, after: RuleTable): Map<string, SharedRuleset> {
  const rulesets = rulesetsOf(before);
  const sides = new Map(before.binaries.map((binary) => [`${binary.path} ${binary.container ?? ""}`, binary]));
  const old = new Map<string, SharedRuleset>();
  for (const binary of after.binaries) {
    const same = sides.get(`${binary.path} ${binary.container ?? ""}`);
    for (const direction of ["egress", "ingress"] as const) {
      const base = rulesets.get(same?.[direction].hash ?? "");
      if (base !== undefined && base.hash !== binary[direction].hash) old.set(binary[direction].hash, base);
    }
  }
  return old;
}

/** In memory of its own, which can be handed to another thread. */
function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function weightOf(table: RuleTable): number {
  let weight = table.binaries.length;
  for (const { peers4, peers6, names, ports } of rulesetsOf(table).values()) {
    weight += peers4.length + peers6.length + names.length + ports.length;
  }
  return weight;
}
