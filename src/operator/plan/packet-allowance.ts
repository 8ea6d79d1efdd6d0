/**
 * How many packets a node can have seen, so that a counter that has gone wrong on one node does not drown the counts of all others. No
 * node forwards more than this many a second; an agent that comes back after an outage reports what it has counted meanwhile.
 */

/** More than a port of 100 Gb/s carries, of the smallest frames (148.8 million a second; IEEE 802.3: 64 octets, preamble and gap of 20). */
const PACKETS_PER_SECOND = 200_000_000;
/** What may have gathered before we heard of the node, in seconds. */
const GATHERED_SECONDS = 24 * 60 * 60;
const CAPACITY = PACKETS_PER_SECOND * GATHERED_SECONDS;

interface Allowance {
  packets: number;
  at: number;
}

export class PacketAllowance {
  readonly #nodes = new Map<string, Allowance>();

  /** As many of the packets that a node reports as can be. */
  take(node: string, packets: bigint): number {
    const now = performance.now();
    const known = this.#nodes.get(node) ?? { packets: CAPACITY, at: now };
    const left = Math.min(CAPACITY, known.packets + ((now - known.at) / 1000) * PACKETS_PER_SECOND);
    const taken = Math.min(Number(packets), Math.floor(left));
    this.#nodes.set(node, { packets: left - taken, at: now });
    return taken;
  }

  forget(node: string): void {
    this.#nodes.delete(node);
  }
}
