/** A rule set as a list of words: what each layer allows, and which profile says so. For diffs and for people. */
import type { Direction } from "../../api/reasons.ts";
import { formatPeer, originsOf } from "./lookup.ts";
import { restoreName } from "./names.ts";
import { protocolName } from "./ports.ts";
import type { BlockMask, NameRule, PortRule, Ruleset } from "./tables.ts";

/** Fields of a profile's rules, in their order there. */
export const ENTRY_FIELDS = ["binary", "l3", "peer", "l4", "l7", "ask", "connect"] as const;
export type EntryField = (typeof ENTRY_FIELDS)[number];

/** One thing that is allowed. */
export interface RuleEntry {
  direction: Direction;
  field: EntryField;
  /** E.g. `10.0.0.0/8`, `tcp 80-95`, `*.example.com`. */
  value: string;
  /** Profiles that allow it, sorted. */
  profiles: string[];
}

/** The entries of a rule set, in the order of its layers. */
export function ruleEntries(ruleset: Ruleset, direction: Direction): RuleEntry[] {
  const entries: RuleEntry[] = [];
  const add = (field: EntryField, value: string, mask: BlockMask) => {
    if (mask !== 0n) entries.push({ direction, field, value, profiles: profilesOf(ruleset, mask) });
  };
  add("binary", "Any", ruleset.anyBinary);
  for (const [family, mask] of Object.entries(ruleset.ethertype)) add("l3", family, mask);
  for (const rule of [...ruleset.peers4, ...ruleset.peers6]) add("peer", formatPeer(rule), rule.mask);
  for (const rule of ruleset.ports) add("l4", formatPorts(rule), rule.mask);
  add("l7", "any", ruleset.anyApplication);
  for (const [application, mask] of Object.entries(ruleset.application)) add("l7", application, mask);
  if (direction === "egress") {
    add("ask", "any name", ruleset.askAny);
    addNames(ruleset.names, add);
  }
  return entries;
}

/** A port rule as profiles would write it: `any`, `icmp`, `tcp 80`, `udp 1024-2047`. */
export function formatPorts(rule: PortRule): string {
  if (rule.protocol === null) return "any";
  const name = protocolName(rule.protocol);
  if (rule.portPrefix === 0) return name;
  const last = rule.port + 2 ** (16 - rule.portPrefix) - 1;
  return last === rule.port ? `${name} ${rule.port}` : `${name} ${rule.port}-${last}`;
}

/** The names of the profiles behind a mask, sorted. */
export function profilesOf(ruleset: Ruleset, mask: BlockMask): string[] {
  return [...new Set(originsOf(ruleset, mask).map((origin) => origin.profile))];
}

/** Flattened rules repeat what stands above them; here each is listed once, where it was written. */
function addNames(rules: NameRule[], add: (field: EntryField, value: string, mask: BlockMask) => void): void {
  const above: NameRule[] = [];
  for (const rule of rules) {
    while (above.length > 0 && !rule.text.startsWith((above.at(-1) as NameRule).text)) above.pop();
    const parent = above.at(-1);
    const wildcard = rule.text === "" ? "*" : `*.${restoreName(rule.text)}`;
    if (rule.belowAsk !== (parent?.belowAsk ?? 0n)) add("ask", wildcard, rule.belowAsk);
    if (rule.belowConnect !== (parent?.belowConnect ?? 0n)) add("connect", wildcard, rule.belowConnect);
    if (rule.text !== "") {
      if (rule.exactAsk !== (parent?.belowAsk ?? 0n)) add("ask", restoreName(rule.text), rule.exactAsk);
      if (rule.exactConnect !== (parent?.belowConnect ?? 0n)) add("connect", restoreName(rule.text), rule.exactConnect);
    }
    above.push(rule);
  }
}
