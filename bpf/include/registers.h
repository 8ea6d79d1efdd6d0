/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * For kinds of machines other than that of vmlinux.h, which has the types of x86_64; of
 * all that the programs read of the kernel, only the registers of a kprobe are laid out by the kind of processor,
 * and are not fitted when the programs are loaded. arch/arm64/include/uapi/asm/ptrace.h.
 */
#ifndef PORTCULLIS_REGISTERS_H
#define PORTCULLIS_REGISTERS_H

#ifdef __TARGET_ARCH_arm64
struct user_pt_regs {
	unsigned long long regs[31];
	unsigned long long sp;
	unsigned long long pc;
	unsigned long long pstate;
};
#endif

#endif
