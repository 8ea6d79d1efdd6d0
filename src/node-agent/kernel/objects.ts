/** BPF object files: open, configure, load. Maps that are pinned by name are shared through the pin root. */

import { PortcullisError } from "../../api/errors.ts";
import type { MapPointer, ObjectPointer, ProgramDescription, ProgramPointer } from "../ffi/libbpf.ts";
import {
  closeObject,
  describeProgram,
  initialValue,
  listMaps,
  listPrograms,
  loadObject,
  mapFd,
  mapName,
  objectBtf,
  openObject,
  programFd,
  setAutoload,
  setInitialValue,
  setMaxEntries,
  setUnpinned,
} from "../ffi/libbpf.ts";
import type { BtfType } from "./btf.ts";
import { BtfError, parseBtf, sectionVariables } from "./btf.ts";
import type { ProgramInfo } from "./program-info.ts";
import { programInfo } from "./program-info.ts";

/** The object has no program, map or variable of this name, or is not in the state for what was asked. */
export class ObjectError extends PortcullisError {
  constructor(message: string) {
    super("PC_BPF_OBJECT", `${message}. Build the objects of this version (make build)`);
  }
}

/** What may be set before an object is loaded. */
export interface ObjectOptions {
  /** Folder in a BPF file system (see bpffs.ts) where the pinned maps are found or made; none: nothing is pinned. */
  pinRoot?: string;
  /** `const volatile` globals by name. */
  constants?: Readonly<Record<string, number | bigint | Uint8Array>>;
  /** Sizes of maps by name, for maps that are not pinned yet. Maps that the object does not have are skipped. */
  maxEntries?: Readonly<Record<string, number>>;
  /** Programs not to load, because the kernel lacks what they need. */
  without?: Iterable<string>;
}

/** A program in the kernel. Its file descriptor belongs to the object. */
export interface LoadedProgram extends ProgramDescription {
  fd: number;
}

const RODATA = ".rodata";

/** A loaded object file. Closing it frees its file descriptors; what is attached or pinned stays in the kernel. */
export class BpfObject implements Disposable {
  readonly path: string;
  #object: ObjectPointer | null;

  private constructor(path: string, object: ObjectPointer) {
    this.path = path;
    this.#object = object;
  }

  /**
   * Opens, configures and loads.
   *
   * @throws LoadError with the verifier's log; ObjectError for unknown programs and constants
   */
  static load(path: string, options: ObjectOptions = {}): BpfObject {
    const object = new BpfObject(path, openObject(path, options.pinRoot ?? null));
    try {
      object.#configure(options);
      loadObject(object.#handle, path);
      return object;
    } catch (error) {
      object.close();
      throw error;
    }
  }

  /** The programs that were loaded. */
  programs(): LoadedProgram[] {
    return listPrograms(this.#handle).flatMap((program) => {
      const fd = programFd(program);
      return fd === null ? [] : [{ ...describeProgram(program), fd }];
    });
  }

  /** A loaded program. @throws ObjectError */
  program(name: string): LoadedProgram {
    const program = this.programs().find((candidate) => candidate.name === name);
    if (program === undefined) throw new ObjectError(`${this.path} has no loaded program ${name}`);
    return program;
  }

  /** Names of the maps, internal ones such as .rodata included. */
  mapNames(): string[] {
    return listMaps(this.#handle).map(mapName);
  }

  /** File descriptor of a map, valid until the object is closed. @throws ObjectError */
  mapFd(name: string): number {
    const fd = mapFd(this.#map(name));
    if (fd === null) throw new ObjectError(`map ${name} of ${this.path} was not created`);
    return fd;
  }

  /** What the kernel says of each loaded program: instruction counts and sizes. */
  infos(): ProgramInfo[] {
    // The kernel cuts names to 15 bytes; the object knows them whole.
    return this.programs().map(({ fd, name }) => ({ ...programInfo(fd, name), name }));
  }

  close(): void {
    if (this.#object === null) return;
    closeObject(this.#object);
    this.#object = null;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  get #handle(): ObjectPointer {
    if (this.#object === null) throw new ObjectError(`${this.path} is closed`);
    return this.#object;
  }

  #map(name: string): MapPointer {
    const map = this.#findMap(name);
    if (map === undefined) throw new ObjectError(`${this.path} has no map ${name}`);
    return map;
  }

  #findMap(name: string): MapPointer | undefined {
    return listMaps(this.#handle).find((candidate) => mapName(candidate) === name);
  }

  #configure(options: ObjectOptions): void {
    // Without a root libbpf would take /sys/fs/bpf.
    if (options.pinRoot === undefined) listMaps(this.#handle).forEach(setUnpinned);
    for (const [name, entries] of Object.entries(options.maxEntries ?? {})) {
      const map = this.#findMap(name);
      if (map !== undefined) setMaxEntries(map, entries);
    }
    for (const name of options.without ?? []) setAutoload(this.#program(name), false);
    const constants = Object.entries(options.constants ?? {});
    if (constants.length > 0) this.#setConstants(constants);
  }

  #program(name: string): ProgramPointer {
    const found = listPrograms(this.#handle).find((program) => describeProgram(program).name === name);
    if (found === undefined) throw new ObjectError(`${this.path} has no program ${name}`);
    return found;
  }

  #setConstants(constants: [string, number | bigint | Uint8Array][]): void {
    const map = listMaps(this.#handle).find((candidate) => mapName(candidate).endsWith(RODATA));
    if (map === undefined) throw new ObjectError(`${this.path} has no constants`);
    const data = initialValue(map);
    const variables = sectionVariables(typesOf(this.#handle, this.path), RODATA);
    for (const [name, value] of constants) {
      const variable = variables.get(name);
      if (variable === undefined) throw new ObjectError(`${this.path} has no constant ${name}`);
      data.set(constantBytes(name, value, variable.size), variable.offset);
    }
    setInitialValue(map, data);
  }
}

/** Little-endian bytes of a constant; a value that does not fit its variable is refused. */
function constantBytes(name: string, value: number | bigint | Uint8Array, size: number): Uint8Array {
  if (value instanceof Uint8Array) {
    if (value.length === size) return value;
    throw new ObjectError(`constant ${name} has ${size} bytes, not ${value.length}`);
  }
  const bits = BigInt(size * 8);
  const number = BigInt(value);
  if (size > 8 || number >= 1n << bits || number < -(1n << (bits - 1n))) {
    throw new ObjectError(`constant ${name} has ${size} bytes, in which ${value} does not fit`);
  }
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, number));
  return bytes.subarray(0, size);
}

function typesOf(object: ObjectPointer, path: string): BtfType[] {
  const raw = objectBtf(object);
  if (raw === null) throw new BtfError(`${path} has no BTF`);
  return parseBtf(raw);
}

/** Names of the programs in an object file, which is not loaded for it. */
export function readObjectPrograms(path: string): string[] {
  const object = openObject(path, null);
  try {
    return listPrograms(object).map((program) => describeProgram(program).name);
  } finally {
    closeObject(object);
  }
}

/** The types in an object file, which is not loaded for it. */
export function readObjectTypes(path: string): BtfType[] {
  const object = openObject(path, null);
  try {
    return typesOf(object, path);
  } finally {
    closeObject(object);
  }
}
