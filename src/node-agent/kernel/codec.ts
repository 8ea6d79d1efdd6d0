/** What the generated codecs (abi.gen.ts) are made of: values to bytes as the kernel has them, and back. */
import { isUtf8 } from "node:buffer";
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

/** Writes a text of readText, padded with NULs; one that fills the whole place has none. @throws LayoutError if it is longer */
export function writeText(buffer: Buffer, value: string, offset: number, length: number, field: string): void {
  const text = value.isWellFormed() ? Buffer.from(value, "utf8") : bytesOfText(value);
  if (text.length > length) {
    throw new LayoutError(`${field} holds at most ${length} bytes, and "${value}" has ${text.length}: shorten it`);
  }
  buffer.set(text, offset);
  buffer.fill(0, offset + text.length, offset + length);
}

/**
 * Reads UTF-8 up to the first NUL, or all of it. File names are bytes: each one that is no UTF-8 becomes the lone surrogate
 * U+DC00 + byte (as Python's PEP 383 has it), so that no two names are the same text, and writeText gives the bytes back.
 */
export function readText(buffer: Buffer, offset: number, length: number): string {
  const end = buffer.indexOf(0, offset);
  const text = buffer.subarray(offset, end < 0 || end > offset + length ? offset + length : end);
  return isUtf8(text) ? text.toString("utf8") : textOfBytes(text);
}

const SURROGATE = 0xdc00;

function textOfBytes(bytes: Buffer): string {
  let text = "";
  for (let from = 0; from < bytes.length; ) {
    const size = characterSize(bytes, from);
    const byte = bytes[from] ?? 0;
    text += size > 0 ? bytes.toString("utf8", from, from + size) : String.fromCharCode(SURROGATE + byte);
    from += Math.max(size, 1);
  }
  return text;
}

/** Bytes of the UTF-8 character at `from`, 0 if there is none. */
function characterSize(bytes: Buffer, from: number): number {
  return [1, 2, 3, 4].find((size) => from + size <= bytes.length && isUtf8(bytes.subarray(from, from + size))) ?? 0;
}

function bytesOfText(text: string): Buffer {
  const parts = [...text].map((character) => {
    const code = character.charCodeAt(0);
    const isByte = character.length === 1 && code > SURROGATE && code <= SURROGATE + 0xff;
    return isByte ? Buffer.from([code - SURROGATE]) : Buffer.from(character, "utf8");
  });
  return Buffer.concat(parts);
}
