/** Names as the kernel side keeps them: reversed, lower case, one dot before each label (bpf/include/abi.h). */

const U64 = 64;

/** A name from its form in the kernel: "moc.elpmaxe.www." is "www.example.com", "" is the root. */
export function nameFromReversed(text: string): string {
  return [...text].reverse().join("").replace(/^\./, "");
}

/** The hash under which the kernel keeps a name: h = h * P + byte over the reversed text, 64 bits. */
export function nameHash(reversed: string, multiplier: bigint): bigint {
  let hash = 0n;
  for (const byte of Buffer.from(reversed, "latin1")) hash = BigInt.asUintN(U64, hash * multiplier + BigInt(byte));
  return hash;
}
