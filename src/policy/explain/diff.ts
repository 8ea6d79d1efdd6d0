/** What changes from one rule table to the next, for `revision` events and dry runs. */
import { DIRECTIONS } from "../../api/reasons.ts";
import type { EphemeralMode } from "../../api/types.ts";
import { type RuleEntry, ruleEntries } from "../table/entries.ts";
import { compareText } from "../table/names.ts";
import type { Ruleset, RuleTable } from "../table/tables.ts";

export type Change = "added" | "removed" | "changed";

/** What came, and what went, of a set. */
export interface SetChange {
  added: string[];
  removed: string[];
}

/** An entry that is allowed now, is no longer, or is so on other profiles' word. */
export interface EntryChange extends Omit<RuleEntry, "profiles"> {
  change: Change;
  /** Profiles behind it before, and after; empty if it was, or is, not there. */
  before: string[];
  after: string[];
}

/** What changes for one process, or (path null) for `default`. */
export interface ProcessChange {
  path: string | null;
  container: string | null;
  change: Change;
  entries: EntryChange[];
}

export interface TableDiff {
  /** Nothing changes, not even the profile that allows it. */
  identical: boolean;
  profiles: SetChange;
  actions: SetChange;
  attacks: SetChange;
  ephemeralContainers: { before: EphemeralMode; after: EphemeralMode };
  /** Only those that change; `default` first, then by path and container. */
  processes: ProcessChange[];
}

interface Sides {
  path: string | null;
  container: string | null;
  rules: { egress: Ruleset; ingress: Ruleset };
}

/** Compares two tables of one workload; `before` is null for the first one. */
export function diffTables(before: RuleTable | null, after: RuleTable): TableDiff {
  const old = sidesOf(before);
  const fresh = sidesOf(after);
  const keys = [...new Set([...old.keys(), ...fresh.keys()])].sort(compareText);
  return {
    identical: before?.hash === after.hash,
    profiles: diffSets(before?.profiles ?? [], after.profiles),
    actions: diffSets(before?.actions ?? [], after.actions),
    attacks: diffSets(before?.attacks ?? [], after.attacks),
    ephemeralContainers: { before: before?.ephemeralContainers ?? "Include", after: after.ephemeralContainers },
    processes: keys
      .map((key) => diffProcess(old.get(key), fresh.get(key)))
      .filter((change): change is ProcessChange => change !== null),
  };
}

/** The changes in words, one line each: whole processes first by themselves, then what is different about others. */
export function describeDiff(diff: TableDiff): string[] {
  const lines = [
    ...describeSet("profile", diff.profiles),
    ...describeSet("action", diff.actions),
    ...describeSet("attack", diff.attacks),
    ...describeEphemeral(diff.ephemeralContainers),
    ...diff.processes.flatMap(describeProcess),
  ];
  if (lines.length > 0) return lines;
  return [diff.identical ? "no change" : "no change of what is allowed; rules have moved within their profiles"];
}

function describeEphemeral({ before, after }: TableDiff["ephemeralContainers"]): string[] {
  return before === after ? [] : [`ephemeral containers: ${before} becomes ${after}`];
}

function sidesOf(table: RuleTable | null): Map<string, Sides> {
  const sides = new Map<string, Sides>();
  if (table?.default) sides.set("", { path: null, container: null, rules: table.default });
  for (const { path, container, egress, ingress } of table?.binaries ?? []) {
    sides.set(`${path} ${container ?? ""}`, { path, container, rules: { egress, ingress } });
  }
  return sides;
}

function diffProcess(before: Sides | undefined, after: Sides | undefined): ProcessChange | null {
  const some = after ?? before;
  if (some === undefined) return null;
  const entries = diffEntries(entriesOf(before), entriesOf(after));
  const change = before === undefined ? "added" : after === undefined ? "removed" : "changed";
  if (change === "changed" && entries.length === 0) return null;
  return { path: some.path, container: some.container, change, entries };
}

function entriesOf(sides: Sides | undefined): Map<string, RuleEntry> {
  if (sides === undefined) return new Map();
  const entries = DIRECTIONS.flatMap((direction) => ruleEntries(sides.rules[direction], direction));
  return new Map(entries.map((entry) => [`${entry.direction} ${entry.field} ${entry.value}`, entry]));
}

function diffEntries(before: Map<string, RuleEntry>, after: Map<string, RuleEntry>): EntryChange[] {
  const changes: EntryChange[] = [];
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    const old = before.get(key);
    const fresh = after.get(key);
    const entry = fresh ?? old;
    if (entry === undefined || old?.profiles.join() === fresh?.profiles.join()) continue;
    const change = old === undefined ? "added" : fresh === undefined ? "removed" : "changed";
    const { direction, field, value } = entry;
    changes.push({ direction, field, value, change, before: old?.profiles ?? [], after: fresh?.profiles ?? [] });
  }
  return changes;
}

function diffSets(before: string[], after: string[]): SetChange {
  return {
    added: after.filter((item) => !before.includes(item)),
    removed: before.filter((item) => !after.includes(item)),
  };
}

function describeSet(what: string, change: SetChange): string[] {
  return [...change.added.map((item) => `+ ${what} ${item}`), ...change.removed.map((item) => `- ${what} ${item}`)];
}

const SIGNS = { added: "+", removed: "-", changed: "~" } as const satisfies Record<Change, string>;

function describeProcess({ path, container, change, entries }: ProcessChange): string[] {
  const subject =
    path === null ? "default" : `process ${path}${container === null ? "" : ` in container ${container}`}`;
  const whole = change === "changed" ? [] : [`${SIGNS[change]} ${subject}`];
  // What a removed process was allowed goes with it.
  if (change === "removed") return whole;
  return [...whole, ...entries.map((entry) => `${SIGNS[entry.change]} ${subject}: ${describeEntry(entry)}`)];
}

function describeEntry(entry: EntryChange): string {
  const what = `${entry.direction} ${entry.field} ${entry.value}`;
  if (entry.change === "changed") return `${what} (by ${entry.after.join(", ")}; was by ${entry.before.join(", ")})`;
  return `${what} (by ${[...entry.before, ...entry.after].join(", ")})`;
}
