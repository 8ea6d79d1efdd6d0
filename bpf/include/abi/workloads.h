/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Workloads, and which addresses and interfaces are theirs. Part of abi.h. */
#ifndef PORTCULLIS_ABI_WORKLOADS_H
#define PORTCULLIS_ABI_WORKLOADS_H

enum workload_flag {
	WORKLOAD_PENDING = 1,        /* profile not known yet: everything is a violation, and dropped */
	WORKLOAD_UNRESTRICTED = 2,   /* known, and no profile selects it: everything passes, unjudged */
	WORKLOAD_DEFAULT_ABSENT = 4, /* no profile gives a `default`: neighbour discovery only */
	WORKLOAD_OWN_ROOTS = 8,      /* its processes run in containers: what is mounted in there is not the image's */
	WORKLOAD_GROUPS = 16,        /* some process may speak IGMP, so the kernel may for it */
	WORKLOAD_WITHOUT_EPHEMERAL = 32, /* what is listed for any container is not for ephemeral ones, nor for unknown ones */
	WORKLOAD_REPORT_ALLOWED = 64, /* the first packet of each allowed flow is reported */
};

/*
 * `workloads`: ARRAY, one instance per (workload, revision). A new revision is written to a free instance
 * and put in force by one store to `interfaces[ifindex]`; the old instance is then free.
 */
struct workload {
	__u32 id;                  /* stable for the life of the workload; key of all its state */
	__u32 table_id;            /* rule table in force; changes with every revision */
	__u32 flags;               /* enum workload_flag */
	__u32 mode;                /* enum mode_flag */
	__u32 attacks;             /* enum attack_flag */
	__u32 netns_inum;          /* inode number of its network namespace */
	__s32 nsid;                /* id of that namespace in the agent's, for socket lookups; -1 unknown */
	__u32 ifindex;             /* host-side veth */
	__u32 default_ruleset[2];  /* by enum direction; 0 = the empty rule set */
};

/* `interfaces`: ARRAY[65536], ifindex -> instance (0 = none). `interfaces_high`: HASH for larger ones. */
/* `namespaces`: HASH, netns inode number (__u32) -> instance (__u32). */

/*
 * `addresses`: HASH. Which addresses are a workload's own. Value: __u8. Hardware addresses of its interfaces are among them, behind
 * HARDWARE_ADDRESS_PREFIX and zeros: no host has such an address of IPv6.
 */
#define HARDWARE_ADDRESS_PREFIX 0xffff
struct address_key {
	__u32 workload_id;
	__u8 address[ADDRESS_LENGTH];
};

#endif
