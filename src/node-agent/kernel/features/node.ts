/** Probes that look at the node: mounts, capabilities, files under /proc and /sys. */
import { closeSync, existsSync, openSync, readFileSync, readSync } from "node:fs";
import { BPFFS_PATH, isBpffs } from "../bpffs.ts";
import { findCgroupRoot } from "../mounts.ts";
import { PeerRedirects, peerRedirectText } from "../peer-redirects.ts";
import { type Finding, missing, supported, supportedIf, unknown } from "./finding.ts";

/** Bits of capabilities(7). */
const CAPABILITY = { NET_ADMIN: 12, SYS_ADMIN: 21, PERFMON: 38, BPF: 39 } as const;

/** CAP_SYS_ADMIN is for network namespaces and mounts; it covers BPF and PERFMON on kernels that have those. */
const NEEDED = ["NET_ADMIN", "SYS_ADMIN"] as const;

/** The effective capabilities in the text of /proc/<pid>/status. */
export function effectiveCapabilities(status: string): bigint {
  const digits = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  return digits === undefined ? 0n : BigInt(`0x${digits}`);
}

export function probeCapabilities(): Finding {
  const held = effectiveCapabilities(readFileSync("/proc/self/status", "utf8"));
  const lacking = NEEDED.filter((name) => !hasCapability(held, name));
  if (lacking.length === 0) return supported("CAP_NET_ADMIN and CAP_SYS_ADMIN are held");
  const names = lacking.map((name) => `CAP_${name}`).join(" and ");
  return missing(`${names} missing: run as root (in a container: privileged)`);
}

function hasCapability(held: bigint, name: keyof typeof CAPABILITY): boolean {
  return ((held >> BigInt(CAPABILITY[name])) & 1n) === 1n;
}

const KERNEL_BTF = "/sys/kernel/btf/vmlinux";
const BTF_MAGIC = 0xeb9f;

export function probeKernelBtf(): Finding {
  if (!existsSync(KERNEL_BTF)) {
    return missing(`${KERNEL_BTF} is not there: the kernel needs CONFIG_DEBUG_INFO_BTF=y; it takes Linux 5.4 or later`);
  }
  const head = Buffer.alloc(2);
  const fd = openSync(KERNEL_BTF, "r");
  try {
    readSync(fd, head, 0, head.length, 0);
  } finally {
    closeSync(fd);
  }
  return supportedIf(head.readUInt16LE() === BTF_MAGIC, KERNEL_BTF, `${KERNEL_BTF} holds no BTF of this byte order`);
}

export function probeCgroupMount(): Finding {
  const path = findCgroupRoot();
  if (path !== null) return supported(path);
  return missing(
    "no cgroup v2 hierarchy: mount -t cgroup2 none /sys/fs/cgroup/unified, or start the node with cgroup v2",
  );
}

export function probeBpffs(): Finding {
  if (isBpffs(BPFFS_PATH)) return supported(`mounted on ${BPFFS_PATH}`);
  const isMountable = existsSync(BPFFS_PATH) && probeCapabilities().state === "supported";
  if (isMountable) return supported(`not mounted; the agent mounts it on ${BPFFS_PATH}`);
  return missing(`not mounted: mount -t bpf bpffs ${BPFFS_PATH}`);
}

export function probeJit(): Finding {
  const path = "/proc/sys/net/core/bpf_jit_enable";
  if (!existsSync(path)) {
    return missing(`${path} is not there: the kernel needs CONFIG_BPF_JIT=y`);
  }
  return supportedIf(readFileSync(path, "utf8").trim() !== "0", "on", "off: sysctl -w net.core.bpf_jit_enable=1");
}

const LOCKDOWN = "/sys/kernel/security/lockdown";

/** The mode in brackets in the lockdown file: `none [integrity] confidentiality`. Null: it says none. */
export function lockdownMode(text: string): string | null {
  return /\[(\w+)\]/.exec(text)?.[1] ?? null;
}

export function probeLockdown(): Finding {
  if (!existsSync(LOCKDOWN)) return unknown(`${LOCKDOWN} does not exist: mount securityfs`);
  const mode = lockdownMode(readFileSync(LOCKDOWN, "utf8"));
  if (mode === "confidentiality") {
    return missing("confidentiality: start the node with lockdown=integrity");
  }
  return supported(mode ?? "none");
}

/** Whether all that pods receive crosses the node's ends of their veths, as far as the loaded programs show. */
export function probeVethCrossing(): Finding {
  const redirects = new PeerRedirects().list();
  if (redirects === null) return unknown("the kernel hides what programs call (kernel.kptr_restrict, no CAP_SYSLOG)");
  if (redirects.length > 0) return missing(peerRedirectText(redirects));
  return supported("no program on this node puts packets into pods past their veths");
}
