/** Profiles that select one workload -> its rule table. */
import { DEFAULT_NAMESPACE } from "../../api/normalize.ts";
import { DIRECTIONS, type Direction } from "../../api/reasons.ts";
import {
  ACTIONS,
  ATTACKS,
  type BinaryMode,
  type Network,
  type ProcessRules,
  type SecurityProfile,
} from "../../api/types.ts";
import {
  type Block,
  type BlockContext,
  blockOf,
  type Conditions,
  isConditional,
  NO_CONDITIONS,
  rulesOf,
} from "../table/blocks.ts";
import { CompileError } from "../table/errors.ts";
import { compareText } from "../table/names.ts";
import type { PeerResolver } from "../table/peers.ts";
import { buildRuleset } from "../table/rulesets.ts";
import { tableHash } from "../table/table-hash.ts";
import type { BinaryRules, Ruleset, RuleTable } from "../table/tables.ts";
import type { CompileMemory } from "./compile-memory.ts";

/** Longest executable path in bytes: `PATH_TEXT_MAX` of the kernel without its terminating zero. */
export const PATH_MAX = 255;

export interface CompileOptions {
  /** Search list of the workload's resolv.conf; names expanded by it may be asked too. */
  searchDomains: string[];
  /** Addresses of the name servers in the workload's resolv.conf, which the peer `resolver` means; none where absent. */
  resolvers?: readonly string[];
  /** Further paths that a listed one stands for: the file that it leads to where it is a link. None where absent. */
  files?: (path: string) => readonly string[];
  /** Addresses of selected peers; absent where there is no cluster, and such peers are refused then. */
  peers?: PeerResolver;
  /**
   * How many rules the table may have, each counted for every executable and container that it is written for or holds in, with
   * what a resolver makes of a name and all addresses of a selected peer; any number where absent.
   */
  maxRules?: number;
  /** What an earlier compilation of the same workload's table has left: only what differs from it is compiled again. */
  memory?: CompileMemory;
}

/** One entry that gives rights: a process of a profile, or (path null) its `default`. */
export interface Entry {
  profile: string;
  /** Namespace of the profile. */
  namespace: string;
  field: string;
  path: string | null;
  container: string | null;
  binary: BinaryMode;
  conditions: Conditions;
  network: Network | undefined;
}

/** What rules depend on beside themselves. */
interface Surroundings extends Pick<BlockContext, "searchDomains" | "resolvers" | "peers" | "maxRules"> {
  memory: CompileMemory | undefined;
}

/** Blocks to be united into one rule set. */
interface Union {
  /** For messages: the executable, or `default`. */
  subject: string;
  blocks: Record<Direction, Block[]>;
}

/** `namespace/name`; profiles without a namespace live in `default`, as kubectl has it. */
export function profileName(profile: SecurityProfile): string {
  return `${namespaceOf(profile)}/${profile.metadata.name}`;
}

function namespaceOf(profile: SecurityProfile): string {
  return profile.metadata.namespace ?? DEFAULT_NAMESPACE;
}

/**
 * Unites normalised profiles into the table of a workload that all of them select. The same profiles give the same
 * table and hash, in whatever order they and their lists come.
 * @throws CompileError if they cannot be united, come to too many rules, or one name is given twice.
 */
export function compileTable(profiles: SecurityProfile[], options: CompileOptions): RuleTable {
  const names = profiles.map(profileName).sort(compareText);
  const twice = names.find((name, index) => name === names[index + 1]);
  if (twice !== undefined) throw new CompileError(`profile ${twice} is given twice; rename one of the two`);
  const context = contextOf(options);
  const { memory } = options;
  memory?.begin(context);
  const entriesOf = memory === undefined ? entriesOfProfile : memory.entries(entriesOfProfile);
  const entries = profiles.flatMap(entriesOf);
  const defaults = entries.filter(({ path }) => path === null);
  const fallback = defaults.length === 0 ? null : unionOf(defaults, "default", context);
  const listed = entries.filter(({ path }) => path !== null);
  const binaries = unionsOfBinaries(withFiles(listed, options), context);
  // Before any of them is united: that takes the most time, and memory.
  checkSize([...(fallback === null ? [] : [fallback]), ...binaries.map(({ union }) => union)], options.maxRules);
  const content: Omit<RuleTable, "hash"> = {
    profiles: names,
    actions: ACTIONS.filter((action) => profiles.some((profile) => profile.spec.actions?.includes(action))),
    attacks: ATTACKS.filter((attack) => profiles.some((profile) => profile.spec.attacks?.includes(attack))),
    ephemeralContainers: profiles.some(({ spec }) => spec.ephemeralContainers === "Exclude") ? "Exclude" : "Include",
    default: fallback && unite(fallback, memory),
    binaries: binaries.map(({ path, container, union }) => ({ path, container, ...unite(union, memory) })),
  };
  memory?.end();
  return { hash: tableHash(content), ...content };
}

/**
 * The blocks that `compileTable` unites for a binary of the table, or (null) for `default`, in no particular order.
 * @param binary path and container of its entry in the table; a listed link's file has the blocks of the link.
 */
export function blocksOf(
  profiles: SecurityProfile[],
  binary: { path: string; container: string | null } | null,
  direction: Direction,
  options: CompileOptions,
): Block[] {
  const entries = binary
    ? applyingEntries(withFiles(profiles.flatMap(processEntries), options), binary.path, binary.container)
    : profiles.filter((profile) => profile.spec.default !== undefined).map(defaultEntry);
  const context = contextOf(options);
  return entries.map((entry) => entryBlock(entry, direction, context)).filter((block) => block !== null);
}

function unionsOfBinaries(
  entries: Entry[],
  context: Surroundings,
): (Pick<BinaryRules, "path" | "container"> & { union: Union })[] {
  const groups = Map.groupBy(entries, (entry) => entry.path as string);
  return [...groups.keys()].sort(compareText).flatMap((path) => {
    const ofPath = groups.get(path) as Entry[];
    const containers = [...new Set(ofPath.map((entry) => entry.container))].sort(compareContainers);
    return containers.map((container) => {
      const applying = applyingEntries(ofPath, path, container);
      return { path, container, union: unionOf(applying, path, context) };
    });
  });
}

/** @throws CompileError where all of them together are more than so many rules */
function checkSize(unions: readonly Union[], maxRules = Number.POSITIVE_INFINITY): void {
  const blocks = unions.flatMap((union) => DIRECTIONS.flatMap((direction) => union.blocks[direction]));
  const rules = blocks.reduce((sum, block) => sum + rulesOf(block), 0);
  if (rules <= maxRules) return;
  throw new CompileError(
    `the rules of this workload come to ${rules}, each counted for every executable and container in which it holds, and at most ` +
      `${maxRules} can be compiled; list fewer prefixes and names, or list them for fewer executables and containers`,
  );
}

/** What holds in any container holds in a named one too. */
function applyingEntries(entries: Entry[], path: string, container: string | null): Entry[] {
  const applying = entries.filter(
    (one) => one.path === path && (one.container === container || one.container === null),
  );
  return applying.some(({ conditions }) => isConditional(conditions)) ? applying.map(withBothDirections) : applying;
}

/** Whom no entry's conditions fit is judged by `default`: of a direction that an entry says nothing of, it has to say so. */
function withBothDirections(entry: Entry): Entry {
  return { ...entry, network: { egress: {}, ingress: {}, ...entry.network } };
}

function unionOf(entries: Entry[], subject: string, context: Surroundings): Union {
  const blocksIn = (direction: Direction) =>
    entries.map((entry) => entryBlock(entry, direction, context)).filter((block) => block !== null);
  return { subject, blocks: { egress: blocksIn("egress"), ingress: blocksIn("ingress") } };
}

function unite({ subject, blocks }: Union, memory: CompileMemory | undefined): Record<Direction, Ruleset> {
  const [egress, ingress] = DIRECTIONS.map((direction) => {
    const united = blocks[direction];
    const build = () => buildRuleset(united, `${direction} of ${subject}`);
    return memory === undefined ? build() : memory.ruleset(united, build);
  }) as [Ruleset, Ruleset];
  return { egress, ingress };
}

function entryBlock(entry: Entry, direction: Direction, context: Surroundings): Block | null {
  const { memory } = context;
  if (memory === undefined) return freshBlock(entry, direction, context);
  return memory.block(entry, direction, context.peers, (peers) => freshBlock(entry, direction, { ...context, peers }));
}

function freshBlock(entry: Entry, direction: Direction, context: Surroundings): Block | null {
  return blockOf(entry.network, direction, {
    profile: entry.profile,
    namespace: entry.namespace,
    field: entry.field,
    anyBinary: entry.binary === "Any",
    conditions: entry.conditions,
    searchDomains: context.searchDomains,
    resolvers: context.resolvers,
    peers: context.peers,
    maxRules: context.maxRules,
  });
}

/** All that a profile gives: its `default` first, if it has one. */
function entriesOfProfile(profile: SecurityProfile): Entry[] {
  return [...(profile.spec.default === undefined ? [] : [defaultEntry(profile)]), ...processEntries(profile)];
}

function defaultEntry(profile: SecurityProfile): Entry {
  return {
    profile: profileName(profile),
    namespace: namespaceOf(profile),
    field: "spec.default",
    path: null,
    container: null,
    binary: "Image",
    conditions: NO_CONDITIONS,
    network: profile.spec.default,
  };
}

function processEntries(profile: SecurityProfile): Entry[] {
  return (profile.spec.processes ?? []).map((process, index) => {
    const field = `spec.processes[${index}]`;
    if (Buffer.byteLength(process.path) > PATH_MAX) {
      throw new CompileError(
        `${profileName(profile)}: ${field}.path is longer than ${PATH_MAX} bytes; use a shorter path`,
      );
    }
    return {
      profile: profileName(profile),
      namespace: namespaceOf(profile),
      field: `${field}.network`,
      path: process.path,
      container: process.container ?? null,
      binary: process.binary ?? "Image",
      conditions: conditionsOf(process),
      network: process.network,
    };
  });
}

/** Each entry once for every path that it stands for. Paths that lead to one file meet there: their rights are united. */
function withFiles(entries: Entry[], { files }: CompileOptions): Entry[] {
  if (files === undefined) return entries;
  const withOwnFiles = (paths: readonly string[]) =>
    [...new Set(paths.flatMap((path) => [path, ...files(path)]))].sort(compareText);
  return entries.flatMap((entry) => {
    const path = entry.path as string;
    const { users, ...paths } = entry.conditions;
    const conditions = {
      ancestors: withOwnFiles(paths.ancestors),
      notAncestors: withOwnFiles(paths.notAncestors),
      users,
    };
    return [...new Set([path, ...files(path)])].map((file) => ({ ...entry, path: file, conditions }));
  });
}

function conditionsOf({ ancestors = [], notAncestors = [], users = [] }: ProcessRules): Conditions {
  return {
    ancestors: [...new Set(ancestors)].sort(compareText),
    notAncestors: [...new Set(notAncestors)].sort(compareText),
    users: [...new Set(users)].sort((left, right) => left - right),
  };
}

function contextOf({ searchDomains, resolvers = [], peers, maxRules, memory }: CompileOptions): Surroundings {
  return { searchDomains: normalizeDomains(searchDomains), resolvers, peers, maxRules, memory };
}

/** Lower case, without trailing dot, each once; the root, which expands nothing, left out. */
function normalizeDomains(domains: string[]): string[] {
  const normalized = domains.map((domain) => domain.toLowerCase().replace(/\.$/, ""));
  return [...new Set(normalized)].filter((domain) => domain !== "");
}

/** Null (any container) before the named ones. */
function compareContainers(left: string | null, right: string | null): number {
  if (left === null || right === null) return Number(left !== null) - Number(right !== null);
  return compareText(left, right);
}
