/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Network namespaces that no classifier guards yet. Part of abi.h. */
#ifndef PORTCULLIS_ABI_GATE_H
#define PORTCULLIS_ABI_GATE_H

enum gate_flag { GATE_CLOSED = 1, GATE_OPENS_AFTER_TIMEOUT = 2 };

/* `gate`: ARRAY[1]. What a network namespace that is not admitted yet may do (bpf/gate.bpf.c). */
struct gate {
	__u64 timeout;        /* ns from the first packet until startupFailurePolicy holds */
	__u32 flags;          /* enum gate_flag */
	__u32 host_netns;     /* inode number of the namespace that is nobody's in particular */
};

/*
 * Inode numbers of namespaces are used again at once, cookies never. A cookie of 0 is one that is not known: kernels
 * before 5.14 do not tell it, and neither does a socket that is older than the programs.
 */

/* `admitted`: HASH, netns inode number (__u32) -> cookie (__u64) of an admitted namespace, whose interfaces all have classifiers. */

/* `gated`: LRU_HASH, netns inode number (__u32) -> */
struct gated {
	__u64 netns_cookie;
	__u64 first_seen;     /* ns */
	__u64 dropped;        /* packets */
	__u64 passed;         /* packets let through after the timeout */
	__u64 owner;          /* cgroup of who made the first socket there, see struct claim_key */
};

#endif
