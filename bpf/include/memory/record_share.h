/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* A workload's share of the records for user space: so many of each kind in a second. */
#ifndef PORTCULLIS_RECORD_SHARE_H
#define PORTCULLIS_RECORD_SHARE_H

#include "memory/errors.h"

#define RECORDS_WINDOW 1000000000 /* ns */

/* Not on the stack, which is short: see dns/flow.h. */
static const __u8 empty_share[sizeof(struct share)];

/* Null, counted, if there are more workloads than `shares` is made for. */
static __always_inline struct share *share_of(__u32 workload_id, __u32 kind)
{
	struct share_key key = { .workload_id = workload_id, .kind = kind };
	struct share *share = bpf_map_lookup_elem(&shares, &key);

	if (share)
		return share;
	bpf_map_update_elem(&shares, &key, empty_share, BPF_NOEXIST);
	share = bpf_map_lookup_elem(&shares, &key);
	if (!share)
		count_error(ERROR_SHARES_FULL);
	return share;
}

/*
 * May the workload have one more record of this kind? User space reads those of all workloads, and turns so many into text and
 * no more. What is not reported is counted all the same.
 */
static __always_inline int may_have_record(__u32 workload_id, __u32 kind)
{
	struct share *share = share_of(workload_id, SHARE_VIOLATION_RECORDS + kind);
	__u64 now = bpf_ktime_get_ns();
	int room;

	if (!share)
		return 0;
	bpf_spin_lock(&share->lock);
	if (now - share->since >= RECORDS_WINDOW) {
		share->since = now;
		share->used = 0;
	}
	room = share->used < RECORDS_SHARE;
	if (room)
		share->used++;
	bpf_spin_unlock(&share->lock);
	if (!room)
		__sync_fetch_and_add(&share->lost, 1);
	return room;
}

#endif
