/** Programs given as bytes (for feature probes), and runs of programs on made-up packets. */
import koffi from "koffi";
import { checkResult } from "./errno.ts";
import { captureLog, libbpf } from "./libbpf-library.ts";

const LOAD_OPTIONS = "PcProgLoadOptions";
koffi.struct(LOAD_OPTIONS, {
  sz: "size_t",
  attempts: "int",
  expected_attach_type: "int",
  prog_btf_fd: "uint32_t",
  prog_flags: "uint32_t",
  prog_ifindex: "uint32_t",
  kern_version: "uint32_t",
  attach_btf_id: "uint32_t",
  attach_prog_fd: "uint32_t",
  attach_btf_obj_fd: "uint32_t",
  fd_array: "void *",
  func_info: "void *",
  func_info_cnt: "uint32_t",
  func_info_rec_size: "uint32_t",
  line_info: "void *",
  line_info_cnt: "uint32_t",
  line_info_rec_size: "uint32_t",
  log_level: "uint32_t",
  log_size: "uint32_t",
  log_buf: "void *",
});

const TEST_RUN_OPTIONS = "PcTestRunOptions";
koffi.struct(TEST_RUN_OPTIONS, {
  sz: "size_t",
  data_in: "const void *",
  data_out: "void *",
  data_size_in: "uint32_t",
  data_size_out: "uint32_t",
  ctx_in: "const void *",
  ctx_out: "void *",
  ctx_size_in: "uint32_t",
  ctx_size_out: "uint32_t",
  retval: "uint32_t",
  repeat: "int",
  duration: "uint32_t",
  flags: "uint32_t",
  cpu: "uint32_t",
  batch_size: "uint32_t",
});

type Options = Record<string, unknown>;

const native = {
  load: libbpf.declare<
    (type: number, name: string, license: string, code: Uint8Array, count: number, options: Options) => number
  >(
    "int bpf_prog_load(int type, const char *name, const char *license, const void *code, size_t count, " +
      `const ${LOAD_OPTIONS} *opts)`,
  ),
  testRun: libbpf.declare<(fd: number, options: Options) => number>(
    `int bpf_prog_test_run_opts(int fd, _Inout_ ${TEST_RUN_OPTIONS} *opts)`,
  ),
  probeHelper: libbpf.declare<(type: number, helper: number, options: null) => number>(
    "int libbpf_probe_bpf_helper(int type, int helper, const void *opts)",
  ),
  probeMapType: libbpf.declare<(type: number, options: null) => number>(
    "int libbpf_probe_bpf_map_type(int type, const void *opts)",
  ),
};

/** A program as bytes. Numbers are those of linux/bpf.h. */
export interface ProgramCode {
  name: string;
  type: number;
  attachType?: number;
  /** For tracing programs: BTF id of what they attach to. */
  attachBtfId?: number;
  /** Instructions of 8 bytes each. */
  code: Uint8Array;
}

const LOG_SIZE = 64 * 1024;
const INSTRUCTION_SIZE = 8;

/** The file descriptor of a loaded program, or -errno and why. */
export interface LoadResult {
  result: number;
  log: string;
}

/** Loads a GPL-compatible program. Does not throw: the caller asks whether it can be loaded. */
export function loadProgram(program: ProgramCode): LoadResult {
  const logBuffer = Buffer.alloc(LOG_SIZE);
  const count = program.code.length / INSTRUCTION_SIZE;
  const options = {
    ...ZERO_LOAD_OPTIONS,
    expected_attach_type: program.attachType ?? 0,
    attach_btf_id: program.attachBtfId ?? 0,
    log_level: 1,
    log_size: LOG_SIZE,
    log_buf: logBuffer,
  };
  const { result } = captureLog(() => native.load(program.type, program.name, "GPL", program.code, count, options));
  return { result, log: logBuffer.toString("utf8", 0, logBuffer.indexOf(0)).trim() };
}

const ZERO_LOAD_OPTIONS: Options = {
  sz: koffi.sizeof(LOAD_OPTIONS),
  attempts: 0,
  expected_attach_type: 0,
  prog_btf_fd: 0,
  prog_flags: 0,
  prog_ifindex: 0,
  kern_version: 0,
  attach_btf_id: 0,
  attach_prog_fd: 0,
  attach_btf_obj_fd: 0,
  fd_array: null,
  func_info: null,
  func_info_cnt: 0,
  func_info_rec_size: 0,
  line_info: null,
  line_info_cnt: 0,
  line_info_rec_size: 0,
  log_level: 0,
  log_size: 0,
  log_buf: null,
};

/** Input of one BPF_PROG_TEST_RUN. */
export interface TestRunInput {
  data: Uint8Array;
  /** The program's context struct, null for a zeroed one. */
  context: Uint8Array | null;
  /** Times to run; every run sees the data as the one before left it. */
  repeat: number;
  /** Room for the data afterwards, bytes. */
  outputSize: number;
}

export interface TestRunOutput {
  returnValue: number;
  data: Buffer;
  context: Buffer | null;
  /** Mean of the runs, ns. */
  duration: number;
}

/** Runs a program on data that comes from no network. @throws KernelError */
export function testRun(fd: number, input: TestRunInput): TestRunOutput {
  const data = Buffer.alloc(input.outputSize);
  const context = input.context === null ? null : Buffer.alloc(input.context.length);
  const options = {
    sz: koffi.sizeof(TEST_RUN_OPTIONS),
    data_in: input.data,
    data_out: data,
    data_size_in: input.data.length,
    data_size_out: data.length,
    ctx_in: input.context,
    ctx_out: context,
    ctx_size_in: input.context?.length ?? 0,
    ctx_size_out: context?.length ?? 0,
    retval: 0,
    repeat: input.repeat,
    duration: 0,
    flags: 0,
    cpu: 0,
    batch_size: 0,
  };
  checkResult(native.testRun(fd, options), "test-run", `program fd ${fd}`);
  const { retval: returnValue, duration, data_size_out: length } = options;
  return { returnValue, data: data.subarray(0, length), context, duration };
}

/** Whether programs of a type may call a helper: libbpf tries it. */
export function hasHelper(programType: number, helper: number): boolean {
  return captureLog(() => native.probeHelper(programType, helper, null)).result === 1;
}

/** Whether the kernel has a type of map: libbpf creates one. */
export function hasMapType(mapType: number): boolean {
  return captureLog(() => native.probeMapType(mapType, null)).result === 1;
}
