/** Turns well-formed frames into others. */
import { ETHERTYPES } from "../../src/policy/packet/packet.ts";
import type { Random } from "../../src/policy/testing/random.ts";

const ETHERNET_LENGTH = 14;
const FRAME_MAX = 1600;
/** Offsets of fields that parsers go by, from the Ethernet header on: lengths, versions, protocols, fragment fields, ports. */
const FIELDS = [12, 13, 14, 16, 17, 18, 19, 20, 21, 23, 26, 34, 35, 36, 37, 38, 39, 46, 47, 54, 55, 58, 59, 66, 67];

export function mutate(random: Random, frame: Buffer): Buffer {
  let result: Buffer = Buffer.from(frame);
  for (let count = 1 + random.below(3); count > 0; count -= 1) result = once(random, result);
  return padded(result.subarray(0, FRAME_MAX));
}

/** Long enough to be run. */
export function padded(frame: Buffer): Buffer {
  const missing = runnableLength(frame) - frame.length;
  return missing > 0 ? Buffer.concat([frame, Buffer.alloc(missing)]) : frame;
}

function once(random: Random, frame: Buffer): Buffer {
  const at = random.below(frame.length);
  switch (random.below(7)) {
    case 0:
      return frame.subarray(0, ETHERNET_LENGTH + random.below(frame.length - ETHERNET_LENGTH + 1));
    case 1:
      return Buffer.concat([frame, Buffer.alloc(random.below(40), random.below(256))]);
    case 2:
      frame[at] = (frame[at] as number) ^ (1 << random.below(8));
      return frame;
    case 3:
      frame[at] = random.pick([0, 1, 2, 4, 5, 8, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff, random.below(256)]);
      return frame;
    case 4:
      return setField(random, frame);
    case 5:
      return withoutSome(random, frame, at);
    default:
      return Buffer.concat([frame.subarray(0, at), Buffer.from([random.below(256)]), frame.subarray(at)]);
  }
}

function setField(random: Random, frame: Buffer): Buffer {
  const field = random.pick(FIELDS);
  if (field >= frame.length) return frame;
  const before = frame[field] as number;
  frame[field] = random.pick([before + 1, before - 1, 0, 0xff, random.below(256)]) & 0xff;
  return frame;
}

function withoutSome(random: Random, frame: Buffer, at: number): Buffer {
  const shorter = Buffer.concat([frame.subarray(0, at), frame.subarray(at + 1 + random.below(8))]);
  return shorter.length >= ETHERNET_LENGTH ? shorter : frame;
}

/** The kernel runs no test packet that is shorter than the header that its EtherType promises. */
export function runnableLength(frame: Uint8Array): number {
  switch (((frame[12] ?? 0) << 8) | (frame[13] ?? 0)) {
    case ETHERTYPES.ipv4:
      return ETHERNET_LENGTH + 20;
    case ETHERTYPES.ipv6:
      return ETHERNET_LENGTH + 40;
    default:
      return ETHERNET_LENGTH;
  }
}
