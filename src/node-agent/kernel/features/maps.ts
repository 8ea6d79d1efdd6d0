/** Probes of map types: each creates a map for a moment. */
import { mapCreate, mapLookupBatch } from "../../ffi/bpf.ts";
import { ERRNO, errnoName } from "../../ffi/errno.ts";
import { closeFd } from "../../ffi/libc.ts";
import { MAP_TYPE } from "../maps.ts";
import { type Finding, isRefusal, kernelProbe, missing, supported, unknown } from "./finding.ts";

const NO_PREALLOC = 1;
/** A multiple of any page size. */
const RING_SIZE = 65536;

type MapSize = Pick<Parameters<typeof mapCreate>[0], "type" | "keySize" | "valueSize" | "maxEntries" | "flags">;

const PREFIXES: MapSize = { type: MAP_TYPE.LPM_TRIE, keySize: 8, valueSize: 8, maxEntries: 1, flags: NO_PREALLOC };

/** @throws KernelError where there is no such map */
function createMap(size: MapSize): Finding {
  closeFd(mapCreate({ name: "pc_probe", ...size }));
  return supported("created for a moment");
}

export const probeRingBuffer = kernelProbe("5.8", () =>
  createMap({ type: MAP_TYPE.RINGBUF, keySize: 0, valueSize: 0, maxEntries: RING_SIZE, flags: 0 }),
);

export const probeLongestPrefixMaps = kernelProbe("4.11", () => createMap(PREFIXES));

export const probeLruMaps = kernelProbe("4.10", () =>
  createMap({ type: MAP_TYPE.LRU_HASH, keySize: 8, valueSize: 8, maxEntries: 64, flags: 0 }),
);

/** Longest-prefix maps were the last ones that could be read and written in batches. */
export const probeBatches = kernelProbe("5.15", () => {
  const fd = mapCreate({ name: "pc_probe", ...PREFIXES });
  try {
    const position = { from: null, next: Buffer.alloc(8) };
    const { result } = mapLookupBatch(fd, position, Buffer.alloc(8), Buffer.alloc(8), 1);
    // The map is empty: a kernel that has batches finds no entry.
    if (result === 0 || result === -ERRNO.ENOENT) return supported("for all maps");
    const detail = `not for all maps: ${errnoName(-result)}`;
    return isRefusal(-result) ? missing(detail) : unknown(detail);
  } finally {
    closeFd(fd);
  }
});
