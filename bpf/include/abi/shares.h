/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Workloads' shares of what traffic fills. Part of abi.h. */
#ifndef PORTCULLIS_ABI_SHARES_H
#define PORTCULLIS_ABI_SHARES_H

/*
 * A workload's share of each map that traffic fills (bpf/include/memory/share.h): so many entries. As many workloads as fit in the
 * maps' sizes may have filled their shares at once.
 */
#define FLOWS_SHARE 8192
#define FRAGMENTS_SHARE 256
#define DNS_QUERIES_SHARE 512
#define DNS_NAMES_SHARE 1024
#define LEARNED_SHARE 1024
#define LIMITS_SHARE 512
#define LAST_LISTENERS_SHARE 256
#define DNS_PARTS_SHARE 64
#define ICMP_REQUESTS_SHARE 256
#define RECORDS_SHARE 1000 /* of each kind, in a second */
#define COUNTERS_SHARE 256
enum share_kind {
	SHARE_FLOWS = 0,
	SHARE_FRAGMENTS,
	SHARE_REFUSED_FRAGMENTS,
	SHARE_DNS_QUERIES,
	SHARE_DNS_NAMES,
	SHARE_LEARNED,
	SHARE_LIMITS,
	SHARE_COUNTERS,
	SHARE_LAST_LISTENERS,
	SHARE_DNS_PARTS,
	SHARE_VIOLATION_RECORDS,
	SHARE_ALLOWED_RECORDS,
	SHARE_DNS_RECORDS,
	SHARE_FLOW_RECORDS,
	SHARE_ICMP_REQUESTS,
	SHARE_COUNT,
};

/* `shares`: HASH. */
struct share_key {
	__u32 workload_id;
	__u32 kind;          /* enum share_kind */
};
struct share {
	struct bpf_spin_lock lock;
	__u32 next;          /* position whose turn it is */
	__u32 used;          /* positions that have had an entry */
	__u32 padding;
	__u64 lost;          /* entries that were pushed out, and counters and records that were not to be had */
	__u64 since;         /* of records: when the second began of which `used` says how many there were */
};

/* `places`: HASH. The key of the entry that has a place in a ring, by whichever map's it is. */
#define PLACE_KEY_MAX 64
struct place_key {
	__u32 workload_id;
	__u16 kind;          /* enum share_kind */
	__u16 position;
};
struct place {
	__u8 key[PLACE_KEY_MAX];
};

#endif
