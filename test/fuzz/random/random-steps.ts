/** What random packets have in common. */
import type { Direction } from "../../../src/api/reasons.ts";
import type { Ancestry } from "../../../src/policy/table/subject.ts";
import type { Random } from "../../../src/policy/testing/random.ts";
import { EPHEMERAL_CONTAINER } from "../../harness/classifier-harness.ts";
import { BROADCAST_MAC, HOST_MAC, WORKLOAD_MAC } from "../../packets/ethernet.ts";
import type { PacketStep } from "../case.ts";
import { padded } from "../mutate.ts";
import { ANCESTORS, PATHS, STRANGER, USERS } from "../world.ts";

/** Whose a packet is, and what its socket tells. */
export type Owner = Pick<
  PacketStep,
  | "process"
  | "creator"
  | "former"
  | "container"
  | "socketId"
  | "accepted"
  | "connected"
  | "spoken"
  | "connectedFor"
  | "kernel"
  | "socketless"
>;

/** A packet that was sent, for errors about it. */
export interface Sent {
  direction: Direction;
  packet: number[];
}

export function packetStep(
  direction: Direction,
  bytes: Buffer,
  facts: Omit<PacketStep, "kind" | "direction" | "frame">,
): PacketStep {
  return { kind: "packet", direction, frame: padded(bytes).toString("hex"), ...facts };
}

export function opposite(direction: Direction): Direction {
  return direction === "egress" ? "ingress" : "egress";
}

export function randomDirection(random: Random): Direction {
  return random.chance(0.6) ? "egress" : "ingress";
}

export function randomOwner(random: Random): Owner {
  if (random.chance(0.1)) return {};
  const process = () => ({
    path: random.chance(0.08) ? STRANGER : random.pick(PATHS),
    ...(random.chance(0.1) ? { modified: true } : {}),
    ...(random.chance(0.7) ? { ancestry: randomAncestry(random) } : {}),
    ...(random.chance(0.7) ? { user: random.pick(USERS) } : {}),
  });
  return {
    process: process(),
    ...(random.chance(0.12) ? { creator: process() } : {}),
    ...(random.chance(0.08) ? { former: process() } : {}),
    ...(random.chance(0.3) ? { container: random.pick(["app", "sidecar", EPHEMERAL_CONTAINER]) } : {}),
    ...(random.chance(0.1) ? { socketId: random.below(3) } : {}),
    ...(random.chance(0.1) ? { accepted: true } : {}),
    ...(random.chance(0.3) ? { connected: true } : {}),
    ...(random.chance(0.1) ? { spoken: true } : {}),
    ...(random.chance(0.05) ? { connectedFor: random.pick([1, 20, 100, 400]) + random.below(1000) / 1000 } : {}),
  };
}

function randomAncestry(random: Random): Ancestry | null {
  if (random.chance(0.05)) return null;
  const paths = ANCESTORS.filter(() => random.chance(0.4));
  const executables = paths.map((path) => ({ path, modified: random.chance(0.1) }));
  return { executables, incomplete: executables.length > 0 && random.chance(0.05) };
}

/** From and to. */
export function endsOf(own: string, peer: string, direction: Direction): [string, string] {
  return direction === "egress" ? [own, peer] : [peer, own];
}

/** Of the Ethernet header. */
export function macsOf(direction: Direction, toEverybody = false): { source: string; destination: string } {
  const [source, station] = direction === "egress" ? [WORKLOAD_MAC, HOST_MAC] : [HOST_MAC, WORKLOAD_MAC];
  return { source, destination: toEverybody ? BROADCAST_MAC : station };
}
