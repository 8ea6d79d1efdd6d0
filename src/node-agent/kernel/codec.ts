/** What the generated codecs (abi.gen.ts) are made of: values to bytes as the kernel has them, and back. */
import { PortcullisError } from "../../api/errors.ts";

/** A value does not fit its place in a struct that the kernel shares. */
export class LayoutError extends PortcullisError {
  constructor(message: string) {
    super("PC_LAYOUT", message);
  }
}

/** Between a value and its bytes in the kernel. */
export interface Codec<T> {
  /** Bytes, padding included. */
  readonly SIZE: number;
  /** Writes to `buffer` (a new, zeroed one unless given) at `offset`, padding as zeros. Returns the buffer. */
  encode(value: T, buffer?: Buffer, offset?: number): Buffer;
  /** Reads from `buffer` at `offset`. The value shares no memory with the buffer. */
  decode(buffer: Buffer, offset?: number): T;
}

function scalar<T>(
  size: number,
  write: (buffer: Buffer, value: T, offset: number) => void,
  read: (buffer: Buffer, offset: number) => T,
): Codec<T> {
  return {
    SIZE: size,
    encode(value, buffer = Buffer.alloc(size), offset = 0) {
      write(buffer, value, offset);
      return buffer;
    },
    decode: (buffer, offset = 0) => read(buffer, offset),
  };
}

export const u8: Codec<number> = scalar(
  1,
  (buffer, value, offset) => buffer.writeUInt8(value, offset),
  (buffer, offset) => buffer.readUInt8(offset),
);

export const u32: Codec<number> = scalar(
  4,
  (buffer, value, offset) => buffer.writeUInt32LE(value, offset),
  (buffer, offset) => buffer.readUInt32LE(offset),
);

export const s32: Codec<number> = scalar(
  4,
  (buffer, value, offset) => buffer.writeInt32LE(value, offset),
  (buffer, offset) => buffer.readInt32LE(offset),
);

export const u64: Codec<bigint> = scalar(
  8,
  (buffer, value, offset) => buffer.writeBigUInt64LE(value, offset),
  (buffer, offset) => buffer.readBigUInt64LE(offset),
);

/** Bytes as they are: for maps whose contents are nobody's business here. */
export function bytes(size: number): Codec<Buffer> {
  return scalar(
    size,
    (buffer, value, offset) => writeBytes(buffer, value, offset, size, "bytes"),
    (buffer, offset) => readBytes(buffer, offset, size),
  );
}

/** Writes an array of bytes. @throws LayoutError unless it has just this length */
export function writeBytes(buffer: Buffer, value: Uint8Array, offset: number, length: number, field: string): void {
  if (value.length !== length) {
    throw new LayoutError(`${field} takes ${length} bytes, not ${value.length}: check what fills it in`);
  }
  buffer.set(value, offset);
}

/** A copy: the buffer may be kernel memory that changes. */
export function readBytes(buffer: Buffer, offset: number, length: number): Buffer {
  return Buffer.from(buffer.subarray(offset, offset + length));
}

/** Writes UTF-8, padded with NULs; a text that fills the whole place has none. @throws LayoutError if it is longer */
export function writeText(buffer: Buffer, value: string, offset: number, length: number, field: string): void {
  const size = Buffer.byteLength(value, "utf8");
  if (size > length) {
    throw new LayoutError(`${field} holds at most ${length} bytes, and "${value}" has ${size}: shorten it`);
  }
  buffer.write(value, offset, "utf8");
  buffer.fill(0, offset + size, offset + length);
}

/** Reads UTF-8 up to the first NUL, or all of it. */
export function readText(buffer: Buffer, offset: number, length: number): string {
  const end = buffer.indexOf(0, offset);
  return buffer.toString("utf8", offset, end < 0 || end > offset + length ? offset + length : end);
}
