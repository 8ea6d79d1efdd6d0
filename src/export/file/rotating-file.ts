/**
 * A file of JSON lines. When it is full it becomes `PATH.1`, what was that `PATH.2`, and so on; the last one goes. Nothing here waits in the
 * event loop: a disk that hangs keeps a thread of Node's pool, and nobody else.
 */
import { createReadStream, createWriteStream } from "node:fs";
import { type FileHandle, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { causeCode, fileFault } from "../../api/errors.ts";
import type { Destination } from "../destination.ts";
import type { FileSettings } from "../settings.ts";

const NEWLINE = 0x0a;
/** A line is shorter than this. */
const TAIL_BYTES = 1024 * 1024;

export class RotatingFile implements Destination {
  readonly #settings: FileSettings;
  #handle: FileHandle | null = null;
  #size = 0;

  constructor(settings: FileSettings) {
    this.#settings = settings;
  }

  encode(_record: unknown, line: string): Uint8Array {
    return Buffer.from(`${line}\n`);
  }

  async send(items: readonly Uint8Array[]): Promise<number> {
    const bytes = Buffer.concat(items);
    try {
      let handle = await this.#current();
      if (this.#size > 0 && this.#size + bytes.length > this.#settings.maxSize) handle = await this.#rotate(handle);
      await this.#append(handle, bytes);
    } catch (cause) {
      await this.close();
      throw new Error(`${this.#settings.path} cannot be written: ${fileFault(cause)}`, { cause });
    }
    return 0;
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = null;
    await handle?.close();
  }

  /** The file as it is found at its path: somebody may have moved or removed the one that was written to. */
  async #current(): Promise<FileHandle> {
    const { path } = this.#settings;
    if (this.#handle !== null) {
      const [there, ours] = await Promise.all([found(path), this.#handle.stat()]);
      if (there?.ino === ours.ino && there.dev === ours.dev) return this.#handle;
      await this.close();
    }
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const handle = await open(path, "a+", 0o600);
    this.#handle = handle;
    this.#size = await wholeLines(handle);
    return handle;
  }

  async #append(handle: FileHandle, bytes: Buffer): Promise<void> {
    const before = this.#size;
    try {
      await handle.writeFile(bytes);
      this.#size += bytes.length;
    } catch (cause) {
      // All of them are written again.
      await handle.truncate(before);
      throw cause;
    }
  }

  async #rotate(handle: FileHandle): Promise<FileHandle> {
    const { path, maxFiles, compress } = this.#settings;
    await handle.close();
    this.#handle = null;
    for (const end of ["", ".gz"]) {
      await rm(`${path}.${maxFiles}${end}`, { force: true });
      for (let number = maxFiles - 1; number > 0; number -= 1) {
        await renameIfThere(`${path}.${number}${end}`, `${path}.${number + 1}${end}`);
      }
    }
    if (maxFiles === 0) await rm(path);
    else await rename(path, `${path}.1`);
    if (compress && maxFiles > 0) await compressed(`${path}.1`);
    return await this.#current();
  }
}

async function found(path: string): Promise<{ ino: number; dev: number } | null> {
  try {
    return await stat(path);
  } catch (cause) {
    if (causeCode(cause) === "ENOENT") return null;
    throw cause;
  }
}

async function renameIfThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (cause) {
    if (causeCode(cause) !== "ENOENT") throw cause;
  }
}

/** Size of a file, from which a line is taken that an agent which was killed has left half. */
async function wholeLines(handle: FileHandle): Promise<number> {
  const { size } = await handle.stat();
  const tail = Buffer.alloc(Math.min(size, TAIL_BYTES));
  await handle.read(tail, 0, tail.length, size - tail.length);
  if (tail.length === 0 || tail.at(-1) === NEWLINE) return size;
  const whole = size - tail.length + tail.lastIndexOf(NEWLINE) + 1;
  await handle.truncate(whole);
  return whole;
}

/** All or nothing: the file stays as it is where there is no room for another. */
async function compressed(path: string): Promise<void> {
  const temporary = `${path}.gz.tmp`;
  try {
    await pipeline(createReadStream(path), createGzip(), createWriteStream(temporary, { mode: 0o600 }));
    await rename(temporary, `${path}.gz`);
    await rm(path);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw cause;
  }
}
