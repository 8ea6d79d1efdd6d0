/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What holds for the whole node; and epochs, in which verdicts are good. Part of abi.h. */
#ifndef PORTCULLIS_ABI_SETTINGS_H
#define PORTCULLIS_ABI_SETTINGS_H

#define DNS_PORTS_MAX 4

enum setting_flag {
	SETTING_REGISTRATIONS = 2, /* bpf/flows.bpf.c is at work: `registrations` is worth a look */
};

/* `settings`: ARRAY[1]. */
struct settings {
	__u64 fqdn_min_ttl;    /* ns */
	__u64 fqdn_max_ttl;    /* ns */
	__u64 fqdn_grace;      /* ns added to every learned address's lifetime */
	__u64 event_interval;  /* ns between two records of one kind (same limit key) */
	__u64 udp_idle;        /* ns after which a UDP or ICMP flow counts as new */
	__u32 flags;           /* enum setting_flag */
	__u16 dns_ports[DNS_PORTS_MAX]; /* host order, 0 = unused */
	__u32 host_netns;      /* inode number of the network namespace that the agent works in */
};

/*
 * `process_epochs`, `namespace_epochs`: ARRAY[EPOCHS] of __u64, which only grow. A verdict that is remembered rests on who
 * a process is and on which sockets a network namespace has; it is good until either begins a new epoch (bpf/include/memory/epoch.h).
 */
#define EPOCHS 262144

#endif
