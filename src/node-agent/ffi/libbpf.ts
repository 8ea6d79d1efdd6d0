/** libbpf's object files: open, configure, load. `kernel/objects.ts` is the interface for the rest of the agent. */
import koffi from "koffi";
import { KernelError } from "./errno.ts";
import { captureLog, libbpf } from "./libbpf-library.ts";
import type { Pointer } from "./memory.ts";
import { readMemory } from "./memory.ts";

export type ObjectPointer = Pointer<"bpf_object">;
export type ProgramPointer = Pointer<"bpf_program">;
export type MapPointer = Pointer<"bpf_map">;

const OPEN_OPTIONS = "PcObjectOpenOptions";
koffi.struct(OPEN_OPTIONS, {
  sz: "size_t",
  object_name: "const char *",
  relaxed_maps: "bool",
  pin_root_path: "const char *",
  reserved: "uint32_t",
  kconfig: "const char *",
  btf_custom_path: "const char *",
  kernel_log_buf: "void *",
  kernel_log_size: "size_t",
  kernel_log_level: "uint32_t",
});

type OpenOptions = Record<string, string | number | boolean | null>;

const native = {
  open: libbpf.declare<(path: string, options: OpenOptions) => ObjectPointer | null>(
    `void *bpf_object__open_file(const char *path, const ${OPEN_OPTIONS} *opts)`,
  ),
  load: libbpf.declare<(object: ObjectPointer) => number>("int bpf_object__load(void *object)"),
  close: libbpf.declare<(object: ObjectPointer) => void>("void bpf_object__close(void *object)"),
  nextProgram: libbpf.declare<(object: ObjectPointer, previous: ProgramPointer | null) => ProgramPointer | null>(
    "void *bpf_object__next_program(void *object, void *previous)",
  ),
  nextMap: libbpf.declare<(object: ObjectPointer, previous: MapPointer | null) => MapPointer | null>(
    "void *bpf_object__next_map(void *object, void *previous)",
  ),
  programName: libbpf.declare<(p: ProgramPointer) => string>("const char *bpf_program__name(void *program)"),
  sectionName: libbpf.declare<(p: ProgramPointer) => string>("const char *bpf_program__section_name(void *program)"),
  programFd: libbpf.declare<(p: ProgramPointer) => number>("int bpf_program__fd(void *program)"),
  programType: libbpf.declare<(p: ProgramPointer) => number>("int bpf_program__type(void *program)"),
  attachType: libbpf.declare<(p: ProgramPointer) => number>("int bpf_program__expected_attach_type(void *program)"),
  autoload: libbpf.declare<(p: ProgramPointer) => boolean>("bool bpf_program__autoload(void *program)"),
  setAutoload: libbpf.declare<(p: ProgramPointer, on: boolean) => number>(
    "int bpf_program__set_autoload(void *program, bool on)",
  ),
  mapName: libbpf.declare<(m: MapPointer) => string>("const char *bpf_map__name(void *map)"),
  mapFd: libbpf.declare<(m: MapPointer) => number>("int bpf_map__fd(void *map)"),
  setMaxEntries: libbpf.declare<(m: MapPointer, entries: number) => number>(
    "int bpf_map__set_max_entries(void *map, uint32_t entries)",
  ),
  setPinPath: libbpf.declare<(m: MapPointer, path: string | null) => number>(
    "int bpf_map__set_pin_path(void *map, const char *path)",
  ),
  initialValue: libbpf.declare<(m: MapPointer, size: Uint8Array) => Pointer | null>(
    "void *bpf_map__initial_value(void *map, void *size)",
  ),
  setInitialValue: libbpf.declare<(m: MapPointer, data: Uint8Array, size: number) => number>(
    "int bpf_map__set_initial_value(void *map, const void *data, size_t size)",
  ),
  objectBtf: libbpf.declare<(object: ObjectPointer) => Pointer<"btf"> | null>("void *bpf_object__btf(void *object)"),
  rawBtf: libbpf.declare<(btf: Pointer<"btf">, size: Uint8Array) => Pointer | null>(
    "void *btf__raw_data(void *btf, void *size)",
  ),
  findKernelType: libbpf.declare<(name: string, attachType: number) => number>(
    "int libbpf_find_vmlinux_btf_id(const char *name, int attach_type)",
  ),
};

/** Lines at the end of libbpf's log that go into an error's message; the whole log is `LoadError.log`. */
const MESSAGE_LINES = 40;

/** An object file could not be opened or loaded; `log` is all that libbpf and the verifier said. */
export class LoadError extends KernelError {
  readonly log: string;

  constructor(operation: string, object: string, errno: number, log: string) {
    const detail = log === "" ? "" : `\n${logEnd(log)}\n`;
    super({ operation, object, errno, detail, code: "PC_BPF_LOAD" });
    this.log = log;
  }
}

/** The last lines of a log, and how many before them are left out: the verifier says at the end what it refuses. */
export function logEnd(log: string): string {
  const lines = log.trimEnd().split("\n");
  const omitted = lines.length - MESSAGE_LINES;
  if (omitted <= 0) return lines.join("\n");
  return [`[${omitted} ${omitted === 1 ? "line" : "lines"} left out]`, ...lines.slice(-MESSAGE_LINES)].join("\n");
}

/** Runs a libbpf call that returns 0 or -errno, and throws what it printed if it failed. */
function run(operation: string, object: string, call: () => number): void {
  const { result, log } = captureLog(call);
  if (result < 0) throw new LoadError(operation, object, -result, log);
}

/**
 * Opens an object file.
 *
 * @param pinRoot folder in a BPF file system where maps declared LIBBPF_PIN_BY_NAME are found or pinned
 * @throws LoadError
 */
export function openObject(path: string, pinRoot: string | null): ObjectPointer {
  const options: OpenOptions = {
    sz: koffi.sizeof(OPEN_OPTIONS),
    object_name: null,
    relaxed_maps: false,
    pin_root_path: pinRoot,
    reserved: 0,
    kconfig: null,
    btf_custom_path: null,
    kernel_log_buf: null,
    kernel_log_size: 0,
    kernel_log_level: 0,
  };
  let errno = 0;
  const { result, log } = captureLog(() => {
    const object = native.open(path, options);
    errno = koffi.errno();
    return object;
  });
  if (result === null) throw new LoadError("open", `BPF object ${path}`, errno, log);
  return result;
}

/** Creates the maps and loads the programs. @throws LoadError with the verifier's log */
export function loadObject(object: ObjectPointer, name: string): void {
  run("load", `BPF object ${name}`, () => native.load(object));
}

/** Frees the object. Programs and maps that are pinned or attached stay in the kernel. */
export function closeObject(object: ObjectPointer): void {
  native.close(object);
}

/** All programs of an object. */
export function listPrograms(object: ObjectPointer): ProgramPointer[] {
  return listChain((previous: ProgramPointer | null) => native.nextProgram(object, previous));
}

/** All maps of an object, with the internal ones (.rodata, .bss). */
export function listMaps(object: ObjectPointer): MapPointer[] {
  return listChain((previous: MapPointer | null) => native.nextMap(object, previous));
}

function listChain<P>(next: (previous: P | null) => P | null): P[] {
  const all: P[] = [];
  for (let item = next(null); item !== null; item = next(item)) all.push(item);
  return all;
}

/** What libbpf knows of a program. `type` and `attachType` are numbers of linux/bpf.h. */
export interface ProgramDescription {
  name: string;
  /** As in SEC(), e.g. `raw_tp/sched_process_exec`. */
  section: string;
  type: number;
  attachType: number;
  autoload: boolean;
}

export function describeProgram(program: ProgramPointer): ProgramDescription {
  return {
    name: native.programName(program),
    section: native.sectionName(program),
    type: native.programType(program),
    attachType: native.attachType(program),
    autoload: native.autoload(program),
  };
}

/** Says whether a program is loaded with its object. Before the load only. */
export function setAutoload(program: ProgramPointer, on: boolean): void {
  run(on ? "switch on" : "switch off", `program ${native.programName(program)}`, () => native.setAutoload(program, on));
}

/** File descriptor of a loaded program, owned by its object; null if it was not loaded. */
export function programFd(program: ProgramPointer): number | null {
  const fd = native.programFd(program);
  return fd < 0 ? null : fd;
}

export function mapName(map: MapPointer): string {
  return native.mapName(map);
}

/** File descriptor of a map of a loaded object, owned by the object; null if there is none. */
export function mapFd(map: MapPointer): number | null {
  const fd = native.mapFd(map);
  return fd < 0 ? null : fd;
}

/** Keeps a map from being pinned at the load, whatever its declaration says. Before the load only. */
export function setUnpinned(map: MapPointer): void {
  run("leave unpinned", `map ${native.mapName(map)}`, () => native.setPinPath(map, null));
}

/** Before the load only. */
export function setMaxEntries(map: MapPointer, entries: number): void {
  run("resize", `map ${native.mapName(map)} to ${entries}`, () => native.setMaxEntries(map, entries));
}

/** A copy of the initial value of an internal map such as .rodata. */
export function initialValue(map: MapPointer): Buffer {
  const size = Buffer.alloc(8);
  const address = native.initialValue(map, size);
  return address === null ? Buffer.alloc(0) : readMemory(address, size.readUInt32LE(0));
}

/** Before the load only; `data` has the size of the initial value. */
export function setInitialValue(map: MapPointer, data: Uint8Array): void {
  run("set", `initial value of ${native.mapName(map)}`, () => native.setInitialValue(map, data, data.length));
}

/** The object's BTF, with the offsets of its variables filled in; null if it was built without. */
export function objectBtf(object: ObjectPointer): Buffer | null {
  const btf = native.objectBtf(object);
  if (btf === null) return null;
  const size = Buffer.alloc(4);
  const address = native.rawBtf(btf, size);
  return address === null ? null : readMemory(address, size.readUInt32LE());
}

/** BTF id of what a tracing program of this attach type attaches to; null if this kernel has no such thing. */
export function findKernelType(name: string, attachType: number): number | null {
  const { result } = captureLog(() => native.findKernelType(name, attachType));
  return result > 0 ? result : null;
}
