/**
 * A block: records that were kept together, a second of them as a rule. On disk it is a skippable frame of zstd (RFC 8878, section 3.1.2)
 * that says what is in the block, and frames with the records as JSON lines. So `zstdcat` of a segment prints its records.
 *
 *     skippable frame: magic u32, size u32, { "PCR1", CRC-32 u32 of all that follows, length of the zstd frames u32, index as JSON }
 *     zstd frames: the records' lines, those of a workload next to each other; few workloads share a frame, so that a reader who wants
 *     one decompresses little else
 *
 * Numbers are little endian.
 */
import { readSync } from "node:fs";
import { constants, crc32, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { causeText } from "../../api/errors.ts";

/** Of which workload records are; both empty: of none. */
export interface WorkloadName {
  namespace: string;
  name: string;
}

/** Records of one workload, which stand together: a reader decodes those that it wants. */
export interface Section extends WorkloadName {
  /** Of its lines, newlines included. */
  bytes: number;
}

export interface BlockIndex {
  /** Times of the records in it, in milliseconds since 1970. */
  first: number;
  last: number;
  /** How many events are missing, as its `lost` records say. */
  lost: number;
  /** Workloads whose records of these times were removed to make room. */
  forgotten?: WorkloadName[];
  frames: FrameIndex[];
}

interface FrameIndex {
  /** Of the frame. */
  bytes: number;
  sections: Section[];
}

export interface Block {
  index: BlockIndex;
  /** The zstd frames. */
  frames: Buffer;
  /** Where the block ends in its segment. */
  end: number;
}

/** Bytes that are no block, or not the ones that were written. */
export class DamagedBlockError extends Error {}

const SKIPPABLE = 0x184d2a50;
const MAGIC = 0x31524350;
const MAGIC_TEXT = "PCR1";
const MAGIC_OFFSET = 8;
/** Of the skippable frame up to the index. */
const HEAD = 20;
const LEVEL = { params: { [constants.ZSTD_c_compressionLevel]: 3 } };
/** Text of a frame, as far as its last workload does not have more. */
const FRAME_CHARACTERS = 64 * 1024;
/** More than a block ever has (see writer.ts): damaged bytes cannot ask for more memory. */
const FRAME_BYTES_MAX = 64 * 1024 * 1024;
/** More than the index of a block ever has: 4,096 workloads (bpf/include/memory/maps.h) with some 600 bytes each. */
const INDEX_BYTES_MAX = 4 * 1024 * 1024;

/** A workload's lines, each with its newline. */
export interface SectionText extends WorkloadName {
  text: string;
}

export function encodeBlock(times: Omit<BlockIndex, "frames">, sections: readonly SectionText[]): Buffer {
  const groups = inGroups(sections).map((group) => ({
    frame: zstdCompressSync(group.map(({ text }) => text).join(""), LEVEL),
    sections: group.map(({ namespace, name, text }) => ({ namespace, name, bytes: Buffer.byteLength(text) })),
  }));
  const frames = groups.map(({ frame, sections: inFrame }) => ({ bytes: frame.length, sections: inFrame }));
  const indexBytes = Buffer.from(JSON.stringify({ ...times, frames } satisfies BlockIndex));
  const frame = Buffer.concat(groups.map((group) => group.frame));
  const head = Buffer.alloc(HEAD);
  head.writeUInt32LE(SKIPPABLE, 0);
  head.writeUInt32LE(HEAD - 8 + indexBytes.length, 4);
  head.writeUInt32LE(MAGIC, MAGIC_OFFSET);
  head.writeUInt32LE(frame.length, 16);
  head.writeUInt32LE(checksum(head.subarray(16), indexBytes, frame), 12);
  return Buffer.concat([head, indexBytes, frame]);
}

/** The blocks of a segment. */
export interface SegmentBlocks {
  blocks: Block[];
  /** Bytes between blocks that are none, or not the ones that were written. */
  isDamaged: boolean;
  /** Where the last block ends. What comes behind it was being written when the writer was killed. */
  end: number;
}

/** All blocks that can be read: behind a damaged one it goes on with the next that is whole. */
export function blocksIn(bytes: Buffer): SegmentBlocks {
  const result: SegmentBlocks = { blocks: [], isDamaged: false, end: 0 };
  for (let offset = 0; offset >= 0; ) {
    const block = wholeBlockAt(bytes, offset);
    if (block === null) {
      const magic = bytes.indexOf(MAGIC_TEXT, offset + MAGIC_OFFSET + 1);
      offset = magic < 0 ? -1 : magic - MAGIC_OFFSET;
    } else {
      if (offset > result.end) result.isDamaged = true;
      result.blocks.push(block);
      result.end = offset = block.end;
    }
  }
  return result;
}

function wholeBlockAt(bytes: Buffer, offset: number): Block | null {
  try {
    return blockAt(bytes, offset);
  } catch (cause) {
    if (cause instanceof DamagedBlockError) return null;
    throw cause;
  }
}

/**
 * The block at an offset; null: there is none, or not all of it, as where the writer was killed.
 * @throws DamagedBlockError
 */
function blockAt(bytes: Buffer, offset: number): Block | null {
  if (bytes.length - offset < HEAD) return null;
  const indexLength = bytes.readUInt32LE(offset + 4) - (HEAD - 8);
  if (
    bytes.readUInt32LE(offset) !== SKIPPABLE ||
    bytes.readUInt32LE(offset + MAGIC_OFFSET) !== MAGIC ||
    indexLength < 0
  ) {
    throw new DamagedBlockError(`no block begins at byte ${offset}`);
  }
  const frameStart = offset + HEAD + indexLength;
  const end = frameStart + bytes.readUInt32LE(offset + 16);
  if (end > bytes.length) return null;
  const [index, frame] = [bytes.subarray(offset + HEAD, frameStart), bytes.subarray(frameStart, end)];
  if (checksum(bytes.subarray(offset + 16, offset + HEAD), index, frame) !== bytes.readUInt32LE(offset + 12)) {
    throw new DamagedBlockError(`the block at byte ${offset} has another checksum`);
  }
  return { index: JSON.parse(index.toString()) as BlockIndex, frames: frame, end };
}

/** What the blocks of a segment have, up to the first whose index cannot be read. Nothing else of the segment is read. */
export function indexesOf(descriptor: number): BlockIndex[] {
  const indexes: BlockIndex[] = [];
  const head = Buffer.alloc(HEAD);
  for (let offset = 0; readSync(descriptor, head, 0, HEAD, offset) === HEAD; ) {
    const length = head.readUInt32LE(4) - (HEAD - 8);
    const isBlock = head.readUInt32LE(0) === SKIPPABLE && head.readUInt32LE(MAGIC_OFFSET) === MAGIC;
    if (!isBlock || length < 0 || length > INDEX_BYTES_MAX) break;
    const text = Buffer.alloc(length);
    readSync(descriptor, text, 0, length, offset + HEAD);
    const index = parsedIndex(text);
    if (index === null) break;
    indexes.push(index);
    offset += HEAD + length + head.readUInt32LE(16);
  }
  return indexes;
}

function parsedIndex(text: Buffer): BlockIndex | null {
  try {
    return JSON.parse(text.toString()) as BlockIndex;
  } catch (cause) {
    if (cause instanceof SyntaxError) return null;
    throw cause;
  }
}

/** How much is which workload's: bytes of records, by `workloadKey`. */
export type Contents = ReadonlyMap<string, number>;

export function workloadKey({ namespace, name }: WorkloadName): string {
  return `${namespace}/${name}`;
}

/** By what blocks say of themselves; a frame that several workloads share is divided by their text. */
export function contentsOf(indexes: readonly BlockIndex[]): Contents {
  const contents = new Map<string, number>();
  for (const { bytes, sections } of indexes.flatMap(({ frames }) => frames)) {
    const text = sections.reduce((sum, section) => sum + section.bytes, 0);
    for (const section of sections) {
      const key = workloadKey(section);
      contents.set(key, (contents.get(key) ?? 0) + (bytes * section.bytes) / text);
    }
  }
  return contents;
}

/** Sections that share a frame: as many as have so much text. */
function inGroups(sections: readonly SectionText[]): SectionText[][] {
  const groups: SectionText[][] = [];
  let characters = FRAME_CHARACTERS;
  for (const section of sections) {
    if (characters >= FRAME_CHARACTERS) {
      groups.push([]);
      characters = 0;
    }
    groups.at(-1)?.push(section);
    characters += section.text.length;
  }
  return groups;
}

/** Lines of the sections that are wanted. @throws DamagedBlockError */
export function linesOf({ index, frames }: Block, isWanted: (section: Section) => boolean): string[] {
  let offset = 0;
  return index.frames.flatMap(({ bytes, sections }) => {
    const start = offset;
    offset += bytes;
    return sections.some(isWanted) ? linesOfFrame(frames.subarray(start, offset), sections, isWanted) : [];
  });
}

function linesOfFrame(frame: Buffer, sections: readonly Section[], isWanted: (section: Section) => boolean): string[] {
  const text = decompressed(
    frame,
    sections.reduce((sum, { bytes }) => sum + bytes, 0),
  );
  let offset = 0;
  return sections.flatMap((section) => {
    const start = offset;
    offset += section.bytes;
    // Each line ends with a newline, the last one too.
    return isWanted(section) ? text.toString("utf8", start, offset - 1).split("\n") : [];
  });
}

function decompressed(frame: Buffer, bytes: number): Buffer {
  try {
    // In one piece: in Node's small ones it takes twice as long.
    return zstdDecompressSync(frame, {
      chunkSize: Math.min(bytes + 1024, FRAME_BYTES_MAX),
      maxOutputLength: FRAME_BYTES_MAX,
    });
  } catch (cause) {
    throw new DamagedBlockError(causeText(cause), { cause });
  }
}

function checksum(...parts: readonly Buffer[]): number {
  return parts.reduce((sum, part) => crc32(part, sum), 0);
}
