/** Kinds of programs, and of what they attach to: the numbers of linux/bpf.h. */

/** enum bpf_prog_type */
export const PROGRAM_TYPE = {
  KPROBE: 2,
  SCHED_CLS: 3,
  CGROUP_SKB: 8,
  CGROUP_SOCK: 9,
  SOCK_OPS: 13,
  RAW_TRACEPOINT: 17,
  CGROUP_SOCK_ADDR: 18,
  TRACING: 26,
  LSM: 29,
} as const;

/** enum bpf_attach_type */
export const ATTACH_TYPE = {
  CGROUP_INET_EGRESS: 1,
  CGROUP_INET_SOCK_CREATE: 2,
  TRACE_RAW_TP: 23,
  TRACE_FENTRY: 24,
  TRACE_FEXIT: 25,
  LSM_MAC: 27,
  TRACE_ITER: 28,
  TCX_INGRESS: 46,
  TCX_EGRESS: 47,
} as const;
