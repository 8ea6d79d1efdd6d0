/** Probes that load programs, create maps and attach to hooks. Numbers are those of linux/bpf.h. */
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { iteratorCreate, linkCreate, mapCreate, mapLookupBatch, rawTracepointOpen } from "../../ffi/bpf.ts";
import { ERRNO, errnoName } from "../../ffi/errno.ts";
import { findKernelType } from "../../ffi/libbpf.ts";
import { closeFd, unshareNetworkNamespace } from "../../ffi/libc.ts";
import { inNetworkNamespace } from "../../ffi/namespaces.ts";
import { openFunctionProbe } from "../../ffi/perf-events.ts";
import { hasHelper, hasMapType, loadProgram } from "../../ffi/programs.ts";
import { attachFilter, createClsact, TC_HOOK } from "../../ffi/traffic-control.ts";
import { RETURN_ALLOW, RETURN_NEXT, RETURN_ZERO, SOCKET_OF_FILE } from "../instructions.ts";
import { hasTcx } from "../links/tcx.ts";
import { MAP_TYPE } from "../maps.ts";
import { cgroupRoot } from "../mounts.ts";
import type { Finding } from "./finding.ts";

const PROGRAM = {
  KPROBE: 2,
  SCHED_CLS: 3,
  CGROUP_SKB: 8,
  CGROUP_SOCK: 9,
  RAW_TRACEPOINT: 17,
  TRACING: 26,
  LSM: 29,
} as const;
const ATTACH = {
  CGROUP_INET_EGRESS: 1,
  CGROUP_INET_SOCK_CREATE: 2,
  TRACE_RAW_TP: 23,
  TRACE_FENTRY: 24,
  LSM_MAC: 27,
  TRACE_ITER: 28,
} as const;
const HELPER = { SK_LOOKUP_UDP: 85, SKC_LOOKUP_TCP: 99, SK_STORAGE_GET: 107, PROBE_READ_KERNEL: 113 } as const;

interface Attempt {
  type: number;
  attachType?: number;
  attachBtfId?: number;
  code: Buffer;
}

/** Loads a program and does something with it; `missing` is what a refusal means. */
function attempt(program: Attempt, missing: string, use: (fd: number) => void = () => {}): Finding {
  const { result, log } = loadProgram({ name: "pc_probe", ...program });
  if (result < 0) {
    return {
      available: false,
      detail: `the kernel refuses to load one (${errnoName(-result)}${last(log)}): ${missing}`,
    };
  }
  try {
    use(result);
    return { available: true, detail: "loaded and attached for a moment" };
  } finally {
    closeFd(result);
  }
}

function last(log: string): string {
  const line = log.split("\n").at(-1) ?? "";
  return line === "" ? "" : `, ${line}`;
}

function finding(available: boolean, there: string, missing: string): Finding {
  return { available, detail: available ? there : missing };
}

export function probeClassifierPrograms(): Finding {
  const program = { type: PROGRAM.SCHED_CLS, code: RETURN_NEXT };
  const found = attempt(program, "it needs CONFIG_BPF_SYSCALL=y, CONFIG_NET_CLS_BPF and the capabilities above");
  return found.available ? { available: true, detail: "a TC program loads" } : found;
}

export function probeTcx(): Finding {
  return finding(hasTcx(), "links on interfaces", "the kernel has no TCX links (CONFIG_NET_XGRESS, 6.6 and later)");
}

/** In a network namespace of its own, on the loopback device there. */
export function probeClsact(): Finding {
  const loopback = 1;
  return attempt({ type: PROGRAM.SCHED_CLS, code: RETURN_NEXT }, "see classifiers", (fd) => {
    const home = openSync("/proc/thread-self/ns/net", "r");
    try {
      inNetworkNamespace(home, () => {
        unshareNetworkNamespace();
        createClsact(loopback);
        attachFilter({ ifindex: loopback, hook: TC_HOOK.INGRESS, priority: 1, handle: 1 }, fd);
      });
    } finally {
      closeSync(home);
    }
  });
}

export function probeSocketStorage(): Finding {
  const available = hasMapType(MAP_TYPE.SK_STORAGE) && hasHelper(PROGRAM.SCHED_CLS, HELPER.SK_STORAGE_GET);
  return finding(available, "readable by classifiers", "classifiers cannot read socket storage (5.2 and later can)");
}

export function probeSocketLookup(): Finding {
  const available =
    hasHelper(PROGRAM.SCHED_CLS, HELPER.SKC_LOOKUP_TCP) && hasHelper(PROGRAM.SCHED_CLS, HELPER.SK_LOOKUP_UDP);
  return finding(available, "TCP and UDP", "classifiers cannot look up sockets (5.2 and later can)");
}

export function probeCgroupHooks(): Finding {
  const program = { type: PROGRAM.CGROUP_SOCK, attachType: ATTACH.CGROUP_INET_SOCK_CREATE, code: RETURN_ALLOW };
  return attempt(program, "it needs CONFIG_CGROUP_BPF=y", (fd) => {
    const cgroup = openSync(cgroupRoot(), "r");
    try {
      closeFd(linkCreate(fd, cgroup, ATTACH.CGROUP_INET_SOCK_CREATE, 0, "to the root cgroup"));
    } finally {
      closeSync(cgroup);
    }
  });
}

/** A program that looks at what the processes of a cgroup send, and may read whose socket it is. */
export function probeGate(): Finding {
  if (!hasHelper(PROGRAM.CGROUP_SKB, HELPER.SK_STORAGE_GET)) {
    return { available: false, detail: "cgroup programs cannot read socket storage (5.4 and later can)" };
  }
  const program = { type: PROGRAM.CGROUP_SKB, attachType: ATTACH.CGROUP_INET_EGRESS, code: RETURN_ALLOW };
  return attempt(program, "it needs CONFIG_CGROUP_BPF=y", (fd) => {
    const cgroup = openSync(cgroupRoot(), "r");
    try {
      closeFd(linkCreate(fd, cgroup, ATTACH.CGROUP_INET_EGRESS, 0, "to the root cgroup"));
    } finally {
      closeSync(cgroup);
    }
  });
}

const TRACEPOINT = "sched_process_exit";

export function probeRawTracepoints(): Finding {
  const program = { type: PROGRAM.RAW_TRACEPOINT, code: RETURN_ZERO };
  return attempt(program, "it needs CONFIG_BPF_EVENTS=y and CONFIG_TRACEPOINTS=y", (fd) => {
    closeFd(rawTracepointOpen(TRACEPOINT, fd, `to the tracepoint ${TRACEPOINT}`));
  });
}

export function probeKernelReads(): Finding {
  const available = hasHelper(PROGRAM.RAW_TRACEPOINT, HELPER.PROBE_READ_KERNEL);
  const missing =
    "programs may not read kernel memory: lockdown=confidentiality forbids it, lockdown=integrity does not";
  return finding(available, "programs may read kernel memory", missing);
}

/** A program on something that the kernel's BTF describes. */
function attemptTyped(
  target: string,
  type: number,
  attachType: number,
  use: (fd: number) => void,
  code = RETURN_ZERO,
): Finding {
  const attachBtfId = findKernelType(target, attachType);
  if (attachBtfId === null) return { available: false, detail: `the kernel's BTF has no ${target} to attach to` };
  const missing = "the kernel's configuration or its lockdown forbids it";
  return attempt({ type, attachType, attachBtfId, code }, missing, use);
}

export function probeTypedTracepoints(): Finding {
  return attemptTyped(TRACEPOINT, PROGRAM.TRACING, ATTACH.TRACE_RAW_TP, (fd) => {
    closeFd(rawTracepointOpen(null, fd, `to the tracepoint ${TRACEPOINT}`));
  });
}

export function probeIterators(): Finding {
  return attemptTyped("task_file", PROGRAM.TRACING, ATTACH.TRACE_ITER, (fd) => {
    const link = linkCreate(fd, 0, ATTACH.TRACE_ITER, 0, "an iterator over files");
    try {
      closeFd(iteratorCreate(link, "an iterator over files"));
    } finally {
      closeFd(link);
    }
  });
}

/** Since 5.11, with bpf_sk_storage_get for tracing programs. */
export function probeSocketIterators(): Finding {
  const found = attemptTyped("task_file", PROGRAM.TRACING, ATTACH.TRACE_ITER, () => {}, SOCKET_OF_FILE);
  return finding(
    found.available,
    "sockets can be reached from files",
    "no way from a file to its socket (5.11 and later)",
  );
}

function probeMap(type: number, keySize: number, valueSize: number, maxEntries: number, flags = 0): Finding {
  closeFd(mapCreate({ name: "pc_probe", type, keySize, valueSize, maxEntries, flags }));
  return { available: true, detail: "created for a moment" };
}

const NO_PREALLOC = 1;
/** A multiple of any page size. */
const RING_SIZE = 65536;

export function probeRingBuffer(): Finding {
  return probeMap(MAP_TYPE.RINGBUF, 0, 0, RING_SIZE);
}

export function probeLongestPrefixMaps(): Finding {
  return probeMap(MAP_TYPE.LPM_TRIE, 8, 8, 1, NO_PREALLOC);
}

export function probeLruMaps(): Finding {
  return probeMap(MAP_TYPE.LRU_HASH, 8, 8, 64);
}

export function probeBatches(): Finding {
  const fd = mapCreate({
    name: "pc_probe",
    type: MAP_TYPE.LPM_TRIE,
    keySize: 8,
    valueSize: 8,
    maxEntries: 1,
    flags: NO_PREALLOC,
  });
  try {
    const position = { from: null, next: Buffer.alloc(8) };
    const { result } = mapLookupBatch(fd, position, Buffer.alloc(8), Buffer.alloc(8), 1);
    const available = result === 0 || result === -ERRNO.ENOENT;
    return finding(available, "for all maps", `not for all maps (${errnoName(-result)}; 5.15 and later have them)`);
  } finally {
    closeFd(fd);
  }
}

const KPROBE_KIND = "/sys/bus/event_source/devices/kprobe/type";
const KERNEL_FUNCTION = "security_socket_bind";

export function probeKprobes(): Finding {
  if (!existsSync(KPROBE_KIND))
    return { available: false, detail: "the kernel has none (CONFIG_KPROBES, CONFIG_KPROBE_EVENTS)" };
  const kind = Number(readFileSync(KPROBE_KIND, "utf8"));
  return attempt({ type: PROGRAM.KPROBE, code: RETURN_ZERO }, "see lockdown", () => {
    closeFd(openFunctionProbe(kind, KERNEL_FUNCTION));
  });
}

export function probeFunctionTracing(): Finding {
  return attemptTyped(KERNEL_FUNCTION, PROGRAM.TRACING, ATTACH.TRACE_FENTRY, (fd) => {
    closeFd(rawTracepointOpen(null, fd, `to ${KERNEL_FUNCTION}`));
  });
}

const SECURITY_MODULES = "/sys/kernel/security/lsm";

/** Programs load and attach also where the kernel was not started with them among its security modules, and never run. */
export function probeLsm(): Finding {
  if (!existsSync(SECURITY_MODULES)) {
    return { available: false, detail: `not known, so not used: ${SECURITY_MODULES} does not exist; mount securityfs` };
  }
  const modules = readFileSync(SECURITY_MODULES, "utf8").trim().split(",");
  if (!modules.includes("bpf")) {
    return { available: false, detail: `bpf is not among the kernel's security modules (lsm=${modules.join(",")})` };
  }
  return attemptTyped("socket_bind", PROGRAM.LSM, ATTACH.LSM_MAC, (fd) => {
    closeFd(rawTracepointOpen(null, fd, "to the hook socket_bind"));
  });
}
