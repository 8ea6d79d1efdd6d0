/** Probes of program types: each loads a program of a few instructions and attaches it for a moment. */
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { iteratorCreate, linkCreate, rawTracepointOpen } from "../../ffi/bpf.ts";
import { errnoName } from "../../ffi/errno.ts";
import { findKernelType } from "../../ffi/libbpf.ts";
import { closeFd } from "../../ffi/libc.ts";
import { openFunctionProbe } from "../../ffi/perf-events.ts";
import { loadProgram } from "../../ffi/programs.ts";
import { RETURN_ALLOW, RETURN_NEXT, RETURN_ZERO, SOCKET_OF_FILE } from "../instructions.ts";
import { cgroupRoot } from "../mounts.ts";
import { ATTACH_TYPE, PROGRAM_TYPE } from "../program-types.ts";
import { type Finding, isRefusal, kernelProbe, missing, supported, unknown } from "./finding.ts";
import { probeCgroupSocketStorage } from "./helpers.ts";

interface Attempt {
  type: number;
  attachType?: number;
  attachBtfId?: number;
  code: Buffer;
}

/**
 * Loads a program and does something with it.
 * @param hint what it may need where the kernel refuses to load it
 * @throws KernelError where it loads, and `use` fails
 */
export function attempt(program: Attempt, hint: string, use: (fd: number) => void = () => {}): Finding {
  const { result, log } = loadProgram({ name: "pc_probe", ...program });
  if (result < 0) {
    const detail = `the kernel refuses to load one (${errnoName(-result)}${last(log)}): ${hint}`;
    return isRefusal(-result) ? missing(detail) : unknown(detail);
  }
  try {
    use(result);
    return supported("loaded and attached for a moment");
  } finally {
    closeFd(result);
  }
}

function last(log: string): string {
  const line = log.split("\n").at(-1) ?? "";
  return line === "" ? "" : `, ${line}`;
}

export const probeClassifierPrograms = kernelProbe("4.1", () => {
  const program = { type: PROGRAM_TYPE.SCHED_CLS, code: RETURN_NEXT };
  const finding = attempt(program, "it needs CONFIG_BPF_SYSCALL=y, CONFIG_NET_CLS_BPF and the capabilities above");
  return finding.state === "supported" ? supported("a TC program loads") : finding;
});

/** Attaches a program to the root cgroup. */
function attemptCgroup(type: number, attachType: number): Finding {
  return attempt({ type, attachType, code: RETURN_ALLOW }, "it needs CONFIG_CGROUP_BPF=y", (fd) => {
    const cgroup = openSync(cgroupRoot(), "r");
    try {
      closeFd(linkCreate(fd, cgroup, attachType, 0, "to the root cgroup"));
    } finally {
      closeSync(cgroup);
    }
  });
}

/** By links, which are newer than the programs. */
export const probeCgroupHooks = kernelProbe("5.7", () =>
  attemptCgroup(PROGRAM_TYPE.CGROUP_SOCK, ATTACH_TYPE.CGROUP_INET_SOCK_CREATE),
);

/** A program that looks at what the processes of a cgroup send, and may read who owns the socket. */
export const probeGate = kernelProbe("5.7", () => {
  const storage = probeCgroupSocketStorage();
  return storage.state === "supported"
    ? attemptCgroup(PROGRAM_TYPE.CGROUP_SKB, ATTACH_TYPE.CGROUP_INET_EGRESS)
    : storage;
});

const TRACEPOINT = "sched_process_exit";

export const probeRawTracepoints = kernelProbe("4.17", () => {
  const program = { type: PROGRAM_TYPE.RAW_TRACEPOINT, code: RETURN_ZERO };
  return attempt(program, "it needs CONFIG_BPF_EVENTS=y and CONFIG_TRACEPOINTS=y", (fd) => {
    closeFd(rawTracepointOpen(TRACEPOINT, fd, `to the tracepoint ${TRACEPOINT}`));
  });
});

/** A program on something that the kernel's BTF describes. */
function attemptTyped(
  target: string,
  type: number,
  attachType: number,
  use: (fd: number) => void,
  code = RETURN_ZERO,
): Finding {
  const attachBtfId = findKernelType(target, attachType);
  if (attachBtfId === null) return missing(`the kernel's BTF has no ${target} to attach to`);
  return attempt({ type, attachType, attachBtfId, code }, "the kernel's configuration or its lockdown forbids it", use);
}

export const probeTypedTracepoints = kernelProbe("5.5", () => {
  return attemptTyped(TRACEPOINT, PROGRAM_TYPE.TRACING, ATTACH_TYPE.TRACE_RAW_TP, (fd) => {
    closeFd(rawTracepointOpen(null, fd, `to the tracepoint ${TRACEPOINT}`));
  });
});

export const probeIterators = kernelProbe("5.8", () => {
  return attemptTyped("task_file", PROGRAM_TYPE.TRACING, ATTACH_TYPE.TRACE_ITER, (fd) => {
    const link = linkCreate(fd, 0, ATTACH_TYPE.TRACE_ITER, 0, "an iterator over files");
    try {
      closeFd(iteratorCreate(link, "an iterator over files"));
    } finally {
      closeFd(link);
    }
  });
});

/** With bpf_sock_from_file, and bpf_sk_storage_get for tracing programs, which are as old. */
export const probeSocketIterators = kernelProbe("5.11", () => {
  const finding = attemptTyped("task_file", PROGRAM_TYPE.TRACING, ATTACH_TYPE.TRACE_ITER, () => {}, SOCKET_OF_FILE);
  return finding.state === "supported"
    ? supported("sockets can be reached from files")
    : { ...finding, detail: `no way from a file to its socket: ${finding.detail}` };
});

const KPROBE_KIND = "/sys/bus/event_source/devices/kprobe/type";
const KERNEL_FUNCTION = "security_socket_bind";

export const probeKprobes = kernelProbe("4.17", () => {
  if (!existsSync(KPROBE_KIND)) return missing("the kernel has none (CONFIG_KPROBES, CONFIG_KPROBE_EVENTS)");
  const kind = Number(readFileSync(KPROBE_KIND, "utf8"));
  return attempt({ type: PROGRAM_TYPE.KPROBE, code: RETURN_ZERO }, "see lockdown", () => {
    closeFd(openFunctionProbe(kind, KERNEL_FUNCTION));
  });
});

export const probeFunctionTracing = kernelProbe("5.5", () => {
  return attemptTyped(KERNEL_FUNCTION, PROGRAM_TYPE.TRACING, ATTACH_TYPE.TRACE_FENTRY, (fd) => {
    closeFd(rawTracepointOpen(null, fd, `to ${KERNEL_FUNCTION}`));
  });
});

const SECURITY_MODULES = "/sys/kernel/security/lsm";

/** Programs load and attach also where the kernel was not started with them among its security modules, and never run. */
export const probeLsm = kernelProbe("5.7", () => {
  if (!existsSync(SECURITY_MODULES)) {
    return unknown(`not used: ${SECURITY_MODULES} does not exist; mount securityfs`);
  }
  const modules = readFileSync(SECURITY_MODULES, "utf8").trim().split(",");
  if (!modules.includes("bpf")) {
    return missing(`bpf is not among the kernel's security modules (lsm=${modules.join(",")})`);
  }
  return attemptTyped("socket_bind", PROGRAM_TYPE.LSM, ATTACH_TYPE.LSM_MAC, (fd) => {
    closeFd(rawTracepointOpen(null, fd, "to the hook socket_bind"));
  });
});
