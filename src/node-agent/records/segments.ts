/**
 * The folder of segments: files of blocks, numbered in the order in which they were written. One is open and grows; when it is full it is
 * sealed: its blocks are joined to fewer, and its name says of which times its records are.
 *
 *     0000000012.open.zst                              being written, or left by an agent that was killed
 *     0000000011-1796035170123-1796035270123.zst       sealed: number, first and last time in milliseconds
 *     0000000010-...-....damaged.zst                   a part of it cannot be read; what can is
 */
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { causeCode } from "../../api/errors.ts";
import {
  type Block,
  blocksIn,
  type Contents,
  contentsOf,
  encodeBlock,
  indexesOf,
  linesOf,
  type WorkloadName,
  workloadKey,
} from "./block.ts";
import { lineOf } from "./messages.ts";
import { PendingBlock } from "./pending-block.ts";

export interface Segment {
  id: number;
  file: string;
  bytes: number;
  /** Of its records, in milliseconds since 1970; everything where it is not known. */
  first: number;
  last: number;
  isDamaged: boolean;
}

const NAME = /^(\d{10})(?:\.open|-(\d+)-(\d+)(\.damaged)?)\.zst$/;
const HALF_WRITTEN = "segment.tmp";
/** Blocks of less than this are joined. */
const JOINED_CHARACTERS = 1024 * 1024;
/** Where blocks are on average as big as this, joining them spares nothing. */
const BIG_BLOCK_BYTES = 32 * 1024;

/** The segments of a folder, of which this process is the only writer. */
export class Segments {
  readonly folder: string;
  /** Of sealed segments, as far as they were asked for. */
  readonly #contents = new Map<number, Contents>();
  #sealed: Segment[];
  #lastId: number;

  /** Makes the folder. What an agent that was killed has left open is sealed. @throws Error of the file system */
  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    rmSync(join(folder, HALF_WRITTEN), { force: true });
    const found = readdirSync(folder)
      .sort()
      .flatMap((file) => segmentOf(folder, file));
    this.#lastId = found.at(-1)?.id ?? 0;
    this.#sealed = found.filter(({ file }) => !file.includes(".open."));
    for (const { id, file } of found.filter((segment) => segment.file.includes(".open."))) {
      // Sealed already: the agent was killed before it could remove the open one.
      if (this.#sealed.some((segment) => segment.id === id)) rmSync(join(folder, file));
      else this.seal(id);
    }
  }

  /** The oldest first. */
  get sealed(): readonly Segment[] {
    return this.#sealed;
  }

  get bytes(): number {
    return this.#sealed.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Records have been dropped because they were the oldest ones. */
  get hasForgotten(): boolean {
    return (this.#sealed[0]?.id ?? 1) > 1;
  }

  /** A new segment, to be written to. @throws Error of the file system */
  begin(): { id: number; descriptor: number } {
    // Somebody may have removed the folder, to begin anew.
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
    const id = this.#lastId + 1;
    const descriptor = openSync(this.openPath(id), "ax", 0o600);
    this.#lastId = id;
    return { id, descriptor };
  }

  pathOf({ file }: Pick<Segment, "file">): string {
    return join(this.folder, file);
  }

  openPath(id: number): string {
    return join(this.folder, `${String(id).padStart(10, "0")}.open.zst`);
  }

  /** Closes the open segment of this number. @throws Error of the file system: it stays open then, and is sealed at the next start */
  seal(id: number): void {
    const open = this.openPath(id);
    const bytes = readFileSync(open);
    const { blocks, isDamaged, end } = blocksIn(bytes);
    if (blocks.length === 0) {
      rmSync(open);
      return;
    }
    const [first, last] = [min(blocks.map(({ index }) => index.first)), max(blocks.map(({ index }) => index.last))];
    const file = `${String(id).padStart(10, "0")}-${first}-${last}${isDamaged ? ".damaged" : ""}.zst`;
    const isJoined = !isDamaged && end / blocks.length < BIG_BLOCK_BYTES && this.#write(file, joined(blocks));
    if (isJoined) {
      rmSync(open);
    } else {
      // The beginning of a block whose writer was killed.
      truncateSync(open, end);
      renameSync(open, join(this.folder, file));
    }
    const { size } = statSync(join(this.folder, file));
    this.#sealed.push({ id, file, bytes: size, first, last, isDamaged });
    this.#sealed.sort((a, b) => a.id - b.id);
  }

  /** All or nothing; false: the disk has no room for it. */
  #write(file: string, content: Buffer): boolean {
    const temporary = join(this.folder, HALF_WRITTEN);
    try {
      writeFileSync(temporary, content, { mode: 0o600 });
    } catch (cause) {
      if (causeCode(cause) !== "ENOSPC") throw cause;
      rmSync(temporary, { force: true });
      return false;
    }
    renameSync(temporary, join(this.folder, file));
    return true;
  }

  /** How much of a sealed segment is whose; nothing of one that cannot be read to its end. @throws Error of the file system */
  contents(segment: Segment): Contents {
    const known = this.#contents.get(segment.id);
    if (known !== undefined) return known;
    const contents = segment.isDamaged ? new Map<string, number>() : readContents(this.pathOf(segment));
    this.#contents.set(segment.id, contents);
    return contents;
  }

  /** Removes the oldest. @throws Error of the file system */
  forgetOldest(): void {
    const [oldest] = this.#sealed;
    if (oldest === undefined) return;
    rmSync(this.pathOf(oldest), { force: true });
    this.#contents.delete(oldest.id);
    this.#sealed = this.#sealed.slice(1);
  }

  /**
   * Removes the records of some workloads from a segment.
   * @param workloads by `workloadKey`
   * @returns false: the disk has no room for what is left of it, which stays as it is
   * @throws Error of the file system
   */
  forgetWorkloads(segment: Segment, workloads: ReadonlySet<string>): boolean {
    const { blocks, isDamaged } = blocksIn(readFileSync(this.pathOf(segment)));
    // It goes as a whole, when it is the oldest; who reads it finds and reports the damage.
    if (isDamaged) {
      this.#contents.set(segment.id, new Map());
      return true;
    }
    if (!this.#write(segment.file, withoutRecordsOf(blocks, workloads))) return false;
    this.#contents.delete(segment.id);
    segment.bytes = statSync(this.pathOf(segment)).size;
    return true;
  }

  /** Sets a segment aside that cannot be read to its end; false: that had been done. */
  setAside({ id }: Segment): boolean {
    const segment = this.#sealed.find((one) => one.id === id);
    if (segment === undefined || segment.isDamaged) return false;
    const file = segment.file.replace(/\.zst$/, ".damaged.zst");
    renameSync(this.pathOf(segment), join(this.folder, file));
    Object.assign(segment, { file, isDamaged: true });
    return true;
  }
}

function segmentOf(folder: string, file: string): Segment[] {
  const match = NAME.exec(file);
  if (match === null) return [];
  const [, id = "", first = "0", last = "0", damaged] = match;
  const { size } = statSync(join(folder, file));
  return [
    { id: Number(id), file, bytes: size, first: Number(first), last: Number(last), isDamaged: damaged !== undefined },
  ];
}

function readContents(path: string): Contents {
  const descriptor = openSync(path, "r");
  try {
    return contentsOf(indexesOf(descriptor));
  } finally {
    closeSync(descriptor);
  }
}

/** The records of many small blocks in a few. */
function joined(blocks: readonly Block[]): Buffer {
  return written(blocks, () => true);
}

/** The same records but for those of some workloads. A block of its own, the first, says whose are gone. @param without workloads by `workloadKey` */
function withoutRecordsOf(blocks: readonly Block[], without: ReadonlySet<string>): Buffer {
  const times = {
    first: min(blocks.map(({ index }) => index.first)),
    last: max(blocks.map(({ index }) => index.last)),
  };
  const named = blocks.flatMap(({ index }) => [
    ...(index.forgotten ?? []),
    ...index.frames.flatMap(({ sections }) => sections),
  ]);
  const before = new Set(blocks.flatMap(({ index }) => index.forgotten ?? []).map(workloadKey));
  const forgotten = new Map<string, WorkloadName>();
  for (const { namespace, name } of named) {
    const key = workloadKey({ namespace, name });
    if (without.has(key) || before.has(key)) forgotten.set(key, { namespace, name });
  }
  const mark = encodeBlock({ ...times, lost: 0, forgotten: [...forgotten.values()] }, []);
  return Buffer.concat([mark, written(blocks, (workload) => !without.has(workloadKey(workload)))]);
}

function written(blocks: readonly Block[], isKept: (workload: WorkloadName) => boolean): Buffer {
  const parts: Buffer[] = [];
  let pending = new PendingBlock();
  for (const block of blocks) {
    for (const line of linesOf(block, isKept)) pending.add(lineOf(line));
    if (pending.characters < JOINED_CHARACTERS) continue;
    parts.push(pending.encode());
    pending = new PendingBlock();
  }
  return Buffer.concat([...parts, pending.encode()]);
}

function min(values: readonly number[]): number {
  return values.reduce((one, other) => Math.min(one, other), Number.POSITIVE_INFINITY);
}

function max(values: readonly number[]): number {
  return values.reduce((one, other) => Math.max(one, other), 0);
}
