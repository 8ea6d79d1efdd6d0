/** The first file system of a guest: busybox, the modules to load, and guest/init. Kernels differ, so each has its own. */
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runForBytes } from "../commands.ts";
import type { Kernel } from "./kernel-cache.ts";
import { collectModules } from "./modules.ts";

/** What the guest's disks, the programs and the tests need; what is built into a kernel is skipped. */
const MODULES = [
  ...["virtio_pci", "virtio_blk", "ext4", "overlay", "binfmt_misc"],
  ...["veth", "bridge", "br_netfilter", "sch_ingress", "cls_bpf", "cls_u32", "inet_diag", "tcp_diag", "udp_diag"],
  ...["nf_tables", "nf_conntrack", "nf_nat", "nft_chain_nat", "nft_nat", "nft_masq", "nft_ct", "nft_counter"],
  ...["nft_fib_inet", "nft_reject_inet", "nft_log", "nft_limit"],
  ...["tls", "gcm", "ctr", "ghash_generic", "aes_generic", "sctp"],
  ...[
    "ipip",
    "sit",
    "ip_gre",
    "ip6_tunnel",
    "ip6_gre",
    "vxlan",
    "geneve",
    "l2tp_netlink",
    "l2tp_eth",
    "l2tp_ip",
    "l2tp_ip6",
  ],
];

const BUSYBOX = "/bin/busybox";

/** Writes the initial RAM disk (newc cpio, not compressed: the guest is the slow side) of a kernel. */
export function buildInitrd(kernel: Kernel, output: string): void {
  const stage = mkdtempSync(join(tmpdir(), "portcullis-initrd-"));
  try {
    for (const name of ["bin", "dev", "proc", "sys", "modules", "lower", "upper", "root"]) mkdirSync(join(stage, name));
    copyFileSync(BUSYBOX, join(stage, "bin/busybox"));
    copyFileSync(join(import.meta.dirname, "../guest/init"), join(stage, "init"));
    chmodSync(join(stage, "init"), 0o755);
    const modules = collectModules(kernel.modules, MODULES);
    for (const { name, data } of modules) writeFileSync(join(stage, "modules", `${name}.ko`), data);
    writeFileSync(join(stage, "modules/order"), modules.map(({ name }) => `${name}\n`).join(""));
    const archive = "find . -print0 | cpio --null --create --format=newc --quiet --owner=0:0";
    writeFileSync(output, runForBytes("sh", ["-c", archive], { cwd: stage }));
  } finally {
    rmSync(stage, { recursive: true });
  }
}
