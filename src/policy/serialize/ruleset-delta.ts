/**
 * The difference of two rule sets that differ in their peers only, which is what the coming and going of pods makes:
 * of five thousand addresses one changes, and one is sent.
 */

import { TableFormatError } from "../table/errors.ts";
import { type Family, parsePrefix } from "../table/prefixes.ts";
import { rulesetHash } from "../table/rulesets.ts";
import type { PeerRule } from "../table/tables.ts";
import { array, damaged, hexMasks, mask, number, parseJson, record, string } from "./serialize-fields.ts";
import { type RulesetContent, type SharedRuleset, serializeRuleset, TABLE_FORMAT } from "./serialize-parts.ts";

/** Changes of one list of peers. */
interface PeerChanges {
  /** `address/length` of those that are gone. */
  removed: string[];
  /** Those that are new, or have another mask. */
  set: PeerRule[];
}

/**
 * The delta as JSON text, null where there is none that would be worth it: the two differ in more than peers, or it
 * would be longer than half of what it stands for.
 */
export function serializeRulesetDelta(base: SharedRuleset, next: SharedRuleset): string | null {
  if (withoutPeers(base) !== withoutPeers(next)) return null;
  const peers4 = peerChanges(base.peers4, next.peers4);
  const peers6 = peerChanges(base.peers6, next.peers6);
  const changes = [peers4, peers6].reduce((sum, { removed, set }) => sum + removed.length + set.length, 0);
  if (changes * 2 > next.peers4.length + next.peers6.length) return null;
  return JSON.stringify({ format: TABLE_FORMAT, peers4, peers6 }, hexMasks);
}

/**
 * Applies a delta.
 * @throws TableFormatError if the text is none, or what comes out does not have the hash
 */
export function applyRulesetDelta(base: SharedRuleset, text: string, hash: string): SharedRuleset {
  const root = record(parseJson(text), "delta");
  if (root.format !== TABLE_FORMAT) {
    throw new TableFormatError(`delta has format ${String(root.format)}, this version reads ${TABLE_FORMAT}`);
  }
  const { hash: _, blockCount, ...content } = base;
  const next: RulesetContent = {
    ...content,
    peers4: changedPeers(base.peers4, parseChanges(root.peers4, "peers4"), "ipv4"),
    peers6: changedPeers(base.peers6, parseChanges(root.peers6, "peers6"), "ipv6"),
  };
  if (rulesetHash(next, blockCount) !== hash) throw damaged(`ruleset ${hash}`);
  return { hash, blockCount, ...next };
}

function withoutPeers(ruleset: SharedRuleset): string {
  return serializeRuleset({ ...ruleset, peers4: [], peers6: [] });
}

function keyOf({ address, prefixLength }: PeerRule): string {
  return `${address}/${prefixLength}`;
}

function peerChanges(base: readonly PeerRule[], next: readonly PeerRule[]): PeerChanges {
  const before = new Map(base.map((rule) => [keyOf(rule), rule.mask]));
  const set = next.filter((rule) => before.get(keyOf(rule)) !== rule.mask);
  const after = new Set(next.map(keyOf));
  return { removed: [...before.keys()].filter((key) => !after.has(key)), set };
}

function changedPeers(base: readonly PeerRule[], { removed, set }: PeerChanges, family: Family): PeerRule[] {
  const peers = new Map(base.map((rule) => [keyOf(rule), rule]));
  for (const key of removed) peers.delete(key);
  for (const rule of set) peers.set(keyOf(rule), rule);
  // The order of rule sets: by address, then length.
  const parsed = [...peers].map(([key, rule]) => ({ prefix: parsePrefix(key, family), rule }));
  parsed.sort(({ prefix: left }, { prefix: right }) => {
    if (left.address !== right.address) return left.address < right.address ? -1 : 1;
    return left.length - right.length;
  });
  return parsed.map(({ rule }) => rule);
}

function parseChanges(value: unknown, field: string): PeerChanges {
  const changes = record(value, field);
  return {
    removed: array(changes.removed, `${field}.removed`).map((key) => string(key, `${field}.removed`)),
    set: array(changes.set, `${field}.set`).map((item) => {
      const rule = record(item, `${field}.set`);
      return {
        address: string(rule.address, `${field}.set.address`),
        prefixLength: number(rule.prefixLength, `${field}.set.prefixLength`),
        mask: mask(rule.mask, `${field}.set.mask`),
      };
    }),
  };
}
