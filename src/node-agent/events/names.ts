/** Names as the kernel side keeps them: reversed, lower case, one dot before each label (bpf/include/abi/rules.h). */

import { NAME_DOT_IN_LABEL, NAME_ZERO } from "../../gen/abi.gen.ts";
import { labelByte } from "../../policy/reference/dns/dns.ts";

const U64 = 64;
const DOT = 0x2e;

/**
 * A name from its form in the kernel: "moc.elpmaxe.www." is "www.example.com", "" is the root. Bytes that would be taken
 * for something else, by people or terminals, are `\\DDD`.
 */
export function nameFromReversed(text: Uint8Array): string {
  return [...text]
    .reverse()
    .slice(1)
    .map((byte) => (byte === DOT ? "." : labelByte(wireByte(byte))))
    .join("");
}

/** What stood in the label: bpf/include/dns/name.h, `fold`. */
function wireByte(byte: number): number {
  if (byte === NAME_DOT_IN_LABEL) return DOT;
  return byte === NAME_ZERO ? 0 : byte;
}

/** The hash under which the kernel keeps a name: h = h * P + byte over the reversed text, 64 bits. */
export function nameHash(reversed: Uint8Array, multiplier: bigint): bigint {
  let hash = 0n;
  for (const byte of reversed) hash = BigInt.asUintN(U64, hash * multiplier + BigInt(byte));
  return hash;
}
