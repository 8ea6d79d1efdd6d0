/** Calls of the bpf system call on file descriptors: maps, pins, links, programs. Thin: one function, one command. */
import koffi from "koffi";
import { checkResult, ERRNO, KernelError } from "./errno.ts";
import { libbpf } from "./libbpf-library.ts";

type BatchWrite = (fd: number, keys: Uint8Array, values: Uint8Array, count: Uint8Array, options: Uint8Array) => number;
type BatchRead = (
  fd: number,
  from: Uint8Array | null,
  next: Uint8Array,
  keys: Uint8Array,
  values: Uint8Array,
  count: Uint8Array,
  options: Uint8Array,
) => number;

/** The first part of struct bpf_prog_info (linux/bpf.h), up to where its instructions are to be put. */
const PROGRAM_DUMP = "PcProgDump";
koffi.struct(PROGRAM_DUMP, {
  type: "uint32_t",
  id: "uint32_t",
  tag: "uint64_t",
  jited_prog_len: "uint32_t",
  xlated_prog_len: "uint32_t",
  jited_prog_insns: "void *",
  xlated_prog_insns: "void *",
});

const native = {
  update: libbpf.declare<(fd: number, key: Uint8Array, value: Uint8Array, flags: number) => number>(
    "int bpf_map_update_elem(int fd, const void *key, const void *value, uint64_t flags)",
  ),
  lookup: libbpf.declare<(fd: number, key: Uint8Array, value: Uint8Array) => number>(
    "int bpf_map_lookup_elem(int fd, const void *key, void *value)",
  ),
  delete: libbpf.declare<(fd: number, key: Uint8Array) => number>("int bpf_map_delete_elem(int fd, const void *key)"),
  nextKey: libbpf.declare<(fd: number, key: Uint8Array | null, next: Uint8Array) => number>(
    "int bpf_map_get_next_key(int fd, const void *key, void *next)",
  ),
  updateBatch: libbpf.declare<BatchWrite>(
    "int bpf_map_update_batch(int fd, const void *keys, const void *values, void *count, const void *opts)",
  ),
  deleteBatch: libbpf.declare<(fd: number, keys: Uint8Array, count: Uint8Array, options: Uint8Array) => number>(
    "int bpf_map_delete_batch(int fd, const void *keys, void *count, const void *opts)",
  ),
  lookupBatch: libbpf.declare<BatchRead>(
    "int bpf_map_lookup_batch(int fd, void *from, void *next, void *keys, void *values, void *count, const void *opts)",
  ),
  mapCreate: libbpf.declare<
    (t: number, name: string, key: number, value: number, entries: number, options: Uint8Array) => number
  >("int bpf_map_create(int type, const char *name, uint32_t key, uint32_t value, uint32_t entries, const void *opts)"),
  pin: libbpf.declare<(fd: number, path: string) => number>("int bpf_obj_pin(int fd, const char *path)"),
  get: libbpf.declare<(path: string) => number>("int bpf_obj_get(const char *path)"),
  linkCreate: libbpf.declare<(program: number, target: number, type: number, options: Uint8Array) => number>(
    "int bpf_link_create(int program, int target, int type, const void *opts)",
  ),
  linkUpdate: libbpf.declare<(link: number, program: number, options: null) => number>(
    "int bpf_link_update(int link, int program, const void *opts)",
  ),
  linkDetach: libbpf.declare<(link: number) => number>("int bpf_link_detach(int link)"),
  iterCreate: libbpf.declare<(link: number) => number>("int bpf_iter_create(int link)"),
  rawTracepoint: libbpf.declare<(name: string | null, program: number) => number>(
    "int bpf_raw_tracepoint_open(const char *name, int program)",
  ),
  info: libbpf.declare<(fd: number, info: Uint8Array, length: Uint8Array) => number>(
    "int bpf_obj_get_info_by_fd(int fd, void *info, void *length)",
  ),
  query: libbpf.declare<
    (target: number, type: number, flags: number, attached: null, ids: Uint8Array, count: Uint8Array) => number
  >("int bpf_prog_query(int target, int type, uint32_t flags, void *attached, void *ids, void *count)"),
  nextProgram: libbpf.declare<(id: number, next: Uint8Array) => number>(
    "int bpf_prog_get_next_id(uint32_t id, void *next)",
  ),
  programById: libbpf.declare<(id: number) => number>("int bpf_prog_get_fd_by_id(uint32_t id)"),
  instructions: libbpf.declare<(fd: number, info: Record<string, unknown>, length: Uint8Array) => number>(
    `int bpf_obj_get_info_by_fd(int fd, _Inout_ ${PROGRAM_DUMP} *info, void *length)`,
  ),
  enableStats: libbpf.declare<(type: number) => number>("int bpf_enable_stats(int type)"),
  possibleCpus: libbpf.declare<() => number>("int libbpf_num_possible_cpus()"),
};

/** Flags of an update (linux/bpf.h): create or replace, only create, only replace. */
export const UPDATE = { ANY: 0, NOEXIST: 1, EXIST: 2 } as const;
export type UpdateFlag = (typeof UPDATE)[keyof typeof UPDATE];

/** Writes one element. The sizes of key and value are the map's; the caller has checked them. */
export function mapUpdate(fd: number, key: Uint8Array, value: Uint8Array, flags: UpdateFlag): number {
  return native.update(fd, key, value, flags);
}

/** Reads one element into `value`; the result is 0 or -errno. */
export function mapLookup(fd: number, key: Uint8Array, value: Uint8Array): number {
  return native.lookup(fd, key, value);
}

/** Deletes one element; the result is 0 or -errno. */
export function mapDelete(fd: number, key: Uint8Array): number {
  return native.delete(fd, key);
}

/** The key after `key` (the first one for null) into `next`; the result is 0 or -errno, ENOENT at the end. */
export function mapNextKey(fd: number, key: Uint8Array | null, next: Uint8Array): number {
  return native.nextKey(fd, key, next);
}

/** What became of a batch: 0 or -errno, and how many elements were done before that. */
export interface BatchResult {
  result: number;
  count: number;
}

/** struct bpf_map_batch_opts: sz, elem_flags, flags; 8 bytes each. */
function batchOptions(): Buffer {
  const options = Buffer.alloc(24);
  options.writeUInt32LE(options.length, 0);
  return options;
}

/** A `__u32 *` for a call to read and write. */
function counterAt(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
}

/** Creates or replaces `count` elements; keys and values lie one after the other. */
export function mapUpdateBatch(fd: number, keys: Uint8Array, values: Uint8Array, count: number): BatchResult {
  const done = counterAt(count);
  const result = native.updateBatch(fd, keys, values, done, batchOptions());
  return { result, count: done.readUInt32LE() };
}

/** Deletes `count` elements. */
export function mapDeleteBatch(fd: number, keys: Uint8Array, count: number): BatchResult {
  const done = counterAt(count);
  const result = native.deleteBatch(fd, keys, done, batchOptions());
  return { result, count: done.readUInt32LE() };
}

/** Reads up to `count` elements from position `from` (null: the start); `next` gets the position after them. */
export function mapLookupBatch(
  fd: number,
  position: { from: Uint8Array | null; next: Uint8Array },
  keys: Uint8Array,
  values: Uint8Array,
  count: number,
): BatchResult {
  const done = counterAt(count);
  const result = native.lookupBatch(fd, position.from, position.next, keys, values, done, batchOptions());
  return { result, count: done.readUInt32LE() };
}

/** Sizes and kind of a map to create. `type` and `flags` are those of linux/bpf.h. */
export interface MapSpecification {
  name: string;
  type: number;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  flags?: number;
}

/** sizeof(struct bpf_map_create_opts) in libbpf 1.1, map_flags at 28. */
const MAP_CREATE_OPTIONS_SIZE = 48;

/** Creates a map and returns its file descriptor. */
export function mapCreate(map: MapSpecification): number {
  const options = Buffer.alloc(MAP_CREATE_OPTIONS_SIZE);
  options.writeUInt32LE(options.length, 0);
  options.writeUInt32LE(map.flags ?? 0, 28);
  const result = native.mapCreate(map.type, map.name, map.keySize, map.valueSize, map.maxEntries, options);
  return checkResult(result, "create", `map ${map.name}`);
}

/** Pins a map, program or link at a path in a BPF file system. */
export function pinObject(fd: number, path: string): void {
  checkResult(native.pin(fd, path), "pin", path);
}

/** Opens a pin; the result is a new file descriptor. */
export function openPin(path: string): number {
  return checkResult(native.get(path), "open", `pin ${path}`);
}

/** Like `openPin`; null if there is nothing at the path. */
export function openPinIfThere(path: string): number | null {
  const result = native.get(path);
  return result === -ERRNO.ENOENT ? null : checkResult(result, "open", `pin ${path}`);
}

/** sizeof(struct bpf_link_create_opts) in libbpf 1.1; flags at 8, zero from 12 on. */
const LINK_CREATE_OPTIONS_SIZE = 64;

/**
 * Attaches a program and returns the link's file descriptor. Closing the last one, without a pin, detaches.
 *
 * @param target file descriptor of a cgroup, or index of an interface (TCX), or 0 (iterators)
 */
export function linkCreate(program: number, target: number, attachType: number, flags: number, object: string): number {
  const options = Buffer.alloc(LINK_CREATE_OPTIONS_SIZE);
  options.writeUInt32LE(options.length, 0);
  options.writeUInt32LE(flags, 8);
  return checkResult(native.linkCreate(program, target, attachType, options), "attach", object);
}

/** Puts another program behind a link, at one stroke. */
export function linkUpdate(link: number, program: number, object: string): void {
  checkResult(native.linkUpdate(link, program, null), "replace", object);
}

/** Detaches what is behind a link, even while others hold or pin it. */
export function linkDetach(link: number, object: string): void {
  const result = native.linkDetach(link);
  if (result === -ERRNO.ENOLINK) return;
  checkResult(result, "detach", object);
}

/** Starts one run of an iterator: reading the file descriptor to its end runs it. */
export function iteratorCreate(link: number, object: string): number {
  return checkResult(native.iterCreate(link), "start", object);
}

/** Attaches to a raw tracepoint; `name` is null for tp_btf programs, which carry theirs. Returns a link. */
export function rawTracepointOpen(name: string | null, program: number, object: string): number {
  return checkResult(native.rawTracepoint(name, program), "attach", object);
}

/** The first `size` bytes of a `bpf_{map,prog,link}_info` struct. Kernels that know less fill less; the rest is 0. */
export function objectInfo(fd: number, size: number, object: string): Buffer {
  const info = Buffer.alloc(size);
  checkResult(native.info(fd, info, counterAt(size)), "inspect", object);
  return info;
}

/** Ids of all programs that are loaded, of whatever type, whoever has loaded them. */
export function* programIds(): Generator<number> {
  const next = Buffer.alloc(4);
  for (let id = 0; ; id = next.readUInt32LE()) {
    const result = native.nextProgram(id, next);
    if (result === -ERRNO.ENOENT) return;
    checkResult(result, "list", "the loaded programs");
    yield next.readUInt32LE();
  }
}

/** Opens a loaded program; the result is a new file descriptor, or null if the program is gone. */
export function openProgram(id: number): number | null {
  const result = native.programById(id);
  return result === -ERRNO.ENOENT ? null : checkResult(result, "open", `program ${id}`);
}

/**
 * A program's instructions as the kernel runs them: calls have the place of what they call in place of its number. Zeros, or calls without a
 * place, where the kernel hides its addresses (kernel.kptr_restrict).
 * @param length bytes
 */
export function programInstructions(fd: number, length: number): Buffer {
  const instructions = Buffer.alloc(length);
  const info = {
    type: 0,
    id: 0,
    tag: 0,
    jited_prog_len: 0,
    xlated_prog_len: length,
    jited_prog_insns: null,
    xlated_prog_insns: instructions,
  };
  checkResult(native.instructions(fd, info, counterAt(koffi.sizeof(PROGRAM_DUMP))), "read", `program ${fd}`);
  return instructions;
}

/** As many programs as the kernel allows at one hook (BPF_MPROG_MAX, BPF_CGROUP_MAX_PROGS: 64). */
const QUERY_MAX = 64;

/**
 * Ids of the programs at a hook, in the order in which they run.
 * @param target index of an interface (TCX) or file descriptor of a cgroup
 */
export function queryPrograms(target: number, attachType: number, object: string): number[] {
  const ids = Buffer.alloc(4 * QUERY_MAX);
  const count = counterAt(QUERY_MAX);
  checkResult(native.query(target, attachType, 0, null, ids, count), "list the programs of", object);
  return Array.from({ length: count.readUInt32LE() }, (_, n) => ids.readUInt32LE(4 * n));
}

/** Makes the kernel measure the run time of all programs until the file descriptor is closed. */
export function enableRunTimeStatistics(): number {
  return checkResult(native.enableStats(0), "enable", "run-time statistics");
}

let cpus = 0;

/** Number of CPUs that a per-CPU map has values for. */
export function possibleCpus(): number {
  if (cpus === 0) cpus = checkResult(native.possibleCpus(), "count", "the CPUs");
  return cpus;
}

/** Throws a failed `result`; for the calls above that leave the decision to the caller. */
export function throwErrno(result: number, operation: string, object: string): never {
  throw new KernelError({ operation, object, errno: -result });
}
