/** How full the kernel's maps are. */
import { MAP_TYPE } from "../../kernel/maps.ts";
import { MAP_NAMES, type MapName, type Maps, pinName } from "../../kernel/typed-maps.ts";
import { SHARES } from "./shares.ts";

export interface MapFill {
  /** Name in the kernel. */
  name: string;
  entries: number;
  maxEntries: number;
}

/** In arrays, every entry is always there. */
const COUNTED_TYPES: readonly number[] = [
  MAP_TYPE.HASH,
  MAP_TYPE.LRU_HASH,
  MAP_TYPE.PERCPU_HASH,
  MAP_TYPE.LRU_PERCPU_HASH,
  MAP_TYPE.LPM_TRIE,
];

/**
 * Entries of every map. Maps that traffic fills are not counted through, for the traffic of a flood is more than there is
 * time for: the places that workloads' shares have taken stand for their entries, which are as many or fewer.
 */
export function mapFills(maps: Maps): MapFill[] {
  const taken = placesTaken(maps);
  return MAP_NAMES.filter((name) => COUNTED_TYPES.includes(maps[name].info.type)).map((name) => ({
    name: pinName(name),
    entries: taken.get(name) ?? maps[name].count(),
    maxEntries: maps[name].maxEntries,
  }));
}

function placesTaken(maps: Maps): Map<MapName, number> {
  const taken = new Map<MapName, number>([["places", 0], ...SHARES.map(({ map }): [MapName, number] => [map, 0])]);
  for (const [{ kind }, { used }] of maps.shares.entries()) {
    const share = SHARES.find((candidate) => candidate.kind === kind);
    if (share === undefined) continue;
    taken.set(share.map, (taken.get(share.map) ?? 0) + used);
    if (share.evicts) taken.set("places", (taken.get("places") ?? 0) + used);
  }
  // Counters that stand in for others are not of any share, and there are few counters.
  taken.delete("counters");
  return taken;
}
