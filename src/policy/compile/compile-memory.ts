/**
 * What one compilation leaves for the next of the same workload's table: of three hundred profiles one was edited, or the addresses
 * of one peer are others, and only what that concerns is worked out again. Things are compared by identity: a profile that was not
 * edited has to be the same object, and a resolver has to give the same object for a peer whose addresses are the same.
 */
import type { Direction } from "../../api/reasons.ts";
import type { SecurityProfile } from "../../api/types.ts";
import type { Block } from "../table/blocks.ts";
import type { PeerPrefixes, PeerResolver } from "../table/peers.ts";
import type { Ruleset } from "../table/tables.ts";
import type { Entry } from "./compile.ts";

interface KnownBlock {
  block: Block | null;
  /** What its peers were resolved to, in the order of asking. */
  resolved: readonly PeerPrefixes[];
  /** Asks for its peers again, in the same order. */
  ask: readonly ((peers: PeerResolver) => PeerPrefixes)[];
}

type KnownBlocks = Partial<Record<Direction, KnownBlock>>;

/** Entries of profiles, for all workloads: they depend on the profile alone. */
const entriesByProfile = new WeakMap<SecurityProfile, Entry[]>();

export class CompileMemory {
  #resolving = "";
  #blocks = new WeakMap<Entry, KnownBlocks>();
  /** By the first of their blocks: no two rule sets of a table have it in common, but for those of several containers. */
  #rulesets = new Map<Block, { blocks: readonly Block[]; ruleset: Ruleset }[]>();
  #next = new Map<Block, { blocks: readonly Block[]; ruleset: Ruleset }[]>();

  /** Another way to resolve names makes all blocks other ones. */
  begin({ searchDomains, resolvers }: { searchDomains: readonly string[]; resolvers: readonly string[] }): void {
    const resolving = JSON.stringify([searchDomains, resolvers]);
    if (resolving !== this.#resolving) this.#blocks = new WeakMap();
    this.#resolving = resolving;
    this.#next = new Map();
  }

  /** What the finished table does not have is forgotten. */
  end(): void {
    this.#rulesets = this.#next;
  }

  entries(make: (profile: SecurityProfile) => Entry[]): (profile: SecurityProfile) => Entry[] {
    return (profile) => {
      const entries = entriesByProfile.get(profile) ?? make(profile);
      entriesByProfile.set(profile, entries);
      return entries;
    };
  }

  /** The block as it was made before, unless one of its peers has other addresses now. */
  block(
    entry: Entry,
    direction: Direction,
    peers: PeerResolver | undefined,
    make: (peers: PeerResolver | undefined) => Block | null,
  ): Block | null {
    const ofEntry = this.#blocks.get(entry) ?? {};
    const known = ofEntry[direction];
    // All are asked for, also where the first differs: the resolver notes what was asked.
    const now = known?.ask.map((ask) => (peers === undefined ? null : ask(peers)));
    if (known?.resolved.every((prefixes, index) => prefixes === now?.[index])) return known.block;
    const resolved: PeerPrefixes[] = [];
    const ask: ((peers: PeerResolver) => PeerPrefixes)[] = [];
    const block = make(peers && noting(peers, resolved, ask));
    this.#blocks.set(entry, { ...ofEntry, [direction]: { block, resolved, ask } });
    return block;
  }

  /** The rule set of the very same blocks, if the table before had it. */
  ruleset(blocks: readonly Block[], build: () => Ruleset): Ruleset {
    const [first] = blocks;
    if (first === undefined) return build();
    const known = this.#rulesets.get(first)?.find((one) => isSameList(one.blocks, blocks));
    const kept = known ?? { blocks, ruleset: build() };
    const rulesets = this.#next.get(first);
    if (rulesets === undefined) this.#next.set(first, [kept]);
    else rulesets.push(kept);
    return kept.ruleset;
  }
}

function noting(
  peers: PeerResolver,
  resolved: PeerPrefixes[],
  ask: ((peers: PeerResolver) => PeerPrefixes)[],
): PeerResolver {
  const note = (question: (resolver: PeerResolver) => PeerPrefixes) => {
    const answer = question(peers);
    resolved.push(answer);
    ask.push(question);
    return answer;
  };
  return {
    pods: (peer, namespace) => note((resolver) => resolver.pods(peer, namespace)),
    service: (peer, namespace) => note((resolver) => resolver.service(peer, namespace)),
  };
}

function isSameList(left: readonly Block[], right: readonly Block[]): boolean {
  return left.length === right.length && left.every((block, index) => block === right[index]);
}
