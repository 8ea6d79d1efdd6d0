/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Veth pairs. Part of abi.h. */
#ifndef PORTCULLIS_ABI_DEVICES_H
#define PORTCULLIS_ABI_DEVICES_H

/*
 * `devices`: HASH. Every end of a veth pair that is in the agent's network namespace, from before it is up until it is gone
 * (bpf/devices.bpf.c). Ends elsewhere are only where these lead: a pod that makes pairs for itself takes no room here.
 */
struct device_key {
	__u32 netns_inum;
	__u32 ifindex;
};

enum veth_flag {
	VETH_FOUND = 1, /* by user space: it is older than the programs */
};

struct veth_end {
	__u64 changed;          /* ns; 0 if found */
	struct device_key peer; /* zeros while it is not known */
	__u32 flags;            /* enum veth_flag */
	__u32 padding;
};

/* `device_changes`: ARRAY[1] of __u64: how often `devices` has been written to. */

#endif
