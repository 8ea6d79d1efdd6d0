/** Addresses and ports as the kernel side keeps them: 16 bytes, IPv4 as ::ffff:a.b.c.d (bpf/include/abi.h). */

const MAPPED_PREFIX_LENGTH = 12;

/** Canonical text of 16 address bytes (RFC 5952 for IPv6). */
export function addressText(bytes: Uint8Array): string {
  return isMapped(bytes) ? bytes.subarray(MAPPED_PREFIX_LENGTH, 16).join(".") : ipv6Text(bytes);
}

function isMapped(bytes: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}

function ipv6Text(bytes: Uint8Array): string {
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0));
  const { start, length } = longestZeroRun(groups);
  if (length < 2) return groups.map((group) => group.toString(16)).join(":");
  const text = (part: number[]) => part.map((group) => group.toString(16)).join(":");
  return `${text(groups.slice(0, start))}::${text(groups.slice(start + length))}`;
}

function longestZeroRun(groups: number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (let i = 0; i <= groups.length; i++) {
    if (i < groups.length && groups[i] === 0) continue;
    if (i - start > best.length) best = { start, length: i - start };
    start = i + 1;
  }
  return best;
}

/** Ports are in network byte order in the kernel's records; the codecs read them as the machine does. */
export function hostOrder(port: number): number {
  return ((port & 0xff) << 8) | (port >> 8);
}
