/** Domain name patterns: the reversed form that the kernel matches by longest prefix, and its flattening. */
import type { BlockMask, NameRule } from "./tables.ts";

/** Longest name, in bytes of text without the trailing dot. */
export const NAME_MAX = 253;

/** What one block says about one pattern. */
export interface NameGrant {
  /** A name, `*.suffix` or `*`; lower case, without trailing dot. */
  pattern: string;
  mask: BlockMask;
  /** The name may be asked. */
  ask: boolean;
  /** Addresses that it resolves to may be connected to. */
  connect: boolean;
}

/**
 * The text under which a name is stored: reversed, with a dot before each label; "www.example.com" becomes
 * "moc.elpmaxe.www.", so that a suffix becomes a prefix that ends at a label. The root is "".
 */
export function reverseName(name: string): string {
  return name === "" ? "" : `${[...name].reverse().join("")}.`;
}

/** The stored text's name, for people: "moc.elpmaxe." is "example.com" and "" is ".". */
export function restoreName(text: string): string {
  return text === "" ? "." : [...text.slice(0, -1)].reverse().join("");
}

/** A pattern's stored text, and whether it means the names below that text rather than the name itself. */
export function splitPattern(pattern: string): { text: string; below: boolean } {
  if (pattern === "*") return { text: "", below: true };
  if (pattern.startsWith("*.")) return { text: reverseName(pattern.slice(2)), below: true };
  return { text: reverseName(pattern), below: false };
}

/** Whether one pattern matches a name: the plain statement that the flattened lookup has to agree with. */
export function matchesPattern(pattern: string, name: string): boolean {
  if (pattern === "*") return true;
  if (pattern.startsWith("*.")) return name.endsWith(pattern.slice(1)) && name.length >= pattern.length;
  return pattern === name;
}

/**
 * What else a resolver asks for, with its search list, by somebody who means the pattern: `pattern.domain` before, or after, the
 * name itself. And the pattern may have been said for short: `pong.web` becomes `pong.web.svc.cluster.local` only after
 * `pong.web.web.svc.cluster.local` has been asked for in vain. Names over 253 bytes cannot be asked and are left out, and
 * `*` covers everything already.
 */
export function expandPattern(pattern: string, searchDomains: string[]): string[] {
  if (pattern === "*") return [];
  const short = searchDomains
    .filter((domain) => pattern.endsWith(`.${domain}`))
    .map((domain) => pattern.slice(0, -domain.length - 1))
    // What stands for any name must not stand for any name elsewhere.
    .filter((start) => start !== "*");
  const searched = [pattern, ...short].flatMap((start) => searchDomains.map((domain) => `${start}.${domain}`));
  // Nor any name below what may be somebody's domain outside: a namespace may be called `com`.
  const asked = new Set([...searched, ...short.filter((start) => !start.startsWith("*"))]);
  asked.delete(pattern);
  return [...asked].filter((expanded) => expanded.length <= NAME_MAX);
}

/**
 * One rule per distinct text, each with the masks of the wildcards above it, sorted by text. The longest match
 * alone then tells all blocks: its exact masks for a name of just this text, its below masks for a longer one.
 */
export function flattenNames(grants: NameGrant[]): NameRule[] {
  const rules = new Map<string, NameRule>();
  for (const grant of grants) addGrant(rules, grant);
  const sorted = [...rules.values()].sort((left, right) => compareText(left.text, right.text));
  const above: NameRule[] = [];
  for (const rule of sorted) {
    while (above.length > 0 && !rule.text.startsWith((above.at(-1) as NameRule).text)) above.pop();
    inherit(rule, above.at(-1));
    above.push(rule);
  }
  return sorted;
}

/** Order by code units, the same on every machine. */
export function compareText(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

function addGrant(rules: Map<string, NameRule>, grant: NameGrant): void {
  const { text, below } = splitPattern(grant.pattern);
  let rule = rules.get(text);
  if (rule === undefined) {
    rule = { text, exactAsk: 0n, exactConnect: 0n, belowAsk: 0n, belowConnect: 0n };
    rules.set(text, rule);
  }
  const ask = grant.ask ? grant.mask : 0n;
  const connect = grant.connect ? grant.mask : 0n;
  if (below) {
    rule.belowAsk |= ask;
    rule.belowConnect |= connect;
  }
  // "*" alone is every name, the root included.
  if (!below || text === "") {
    rule.exactAsk |= ask;
    rule.exactConnect |= connect;
  }
}

function inherit(rule: NameRule, above: NameRule | undefined): void {
  if (above === undefined) return;
  rule.exactAsk |= above.belowAsk;
  rule.exactConnect |= above.belowConnect;
  rule.belowAsk |= above.belowAsk;
  rule.belowConnect |= above.belowConnect;
}
