/** Decompression by magic number, for what kernels are packed with. */
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { runForBytes } from "../commands.ts";
import { MatrixError } from "../errors.ts";

const ELF = "7f454c46";
const METHODS: Record<string, (data: Buffer) => Buffer> = {
  [ELF]: (data) => data,
  "1f8b": (data) => gunzipSync(data),
  "28b52ffd": (data) => zstdDecompressSync(data),
  "02214c18": (data) => runForBytes("lz4", ["-d", "-c"], { input: data }),
  fd377a58: (data) => runForBytes("xz", ["--decompress", "--stdout"], { input: data }),
};

/**
 * The ELF file in `data`, which is one or has been packed by gzip, lz4, xz or zstd.
 * @throws MatrixError for other packings
 */
export function unpackElf(data: Buffer, label: string): Buffer {
  const start = data.toString("hex", 0, 4);
  const method = Object.entries(METHODS).find(([magic]) => start.startsWith(magic))?.[1];
  const unpacked = method?.(data);
  if (unpacked?.toString("hex", 0, 4) === ELF) return unpacked;
  throw new MatrixError(`${label} is packed in an unknown way (it starts with ${start})`);
}

/**
 * The kernel inside a bzImage (Documentation/arch/x86/boot.rst: setup_sects at 0x1f1, payload_offset and
 * payload_length at 0x248). QEMU starts it by PVH, so the slow guest need not unpack it.
 */
export function unpackKernel(image: Buffer, label: string): Buffer {
  const setupSectors = image.readUInt8(0x1f1) || 4;
  const start = (setupSectors + 1) * 512 + image.readUInt32LE(0x248);
  // The payload's last four bytes are the unpacked size.
  return unpackElf(image.subarray(start, start + image.readUInt32LE(0x24c) - 4), label);
}
