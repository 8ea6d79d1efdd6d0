/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The effective user of a task, as the workload knows him: numbered by the user namespace that the workload's network namespace
 * belongs to. One that somebody inside has made for himself (unshare -U) numbers nobody anew.
 */
#ifndef PORTCULLIS_UID_H
#define PORTCULLIS_UID_H

#include <bpf/bpf_core_read.h>

#include "memory/maps.h"

#define UID_EXTENTS_INLINE 5 /* UID_GID_MAP_MAX_BASE_EXTENTS, include/linux/user_namespace.h; more are in an array apart */
#define UID_EXTENTS_MAX 340  /* UID_GID_MAP_MAX_EXTENTS */

static __always_inline __u32 kuid_of(struct task_struct *task)
{
	return BPF_CORE_READ(task, cred, euid.val);
}

/* The user's number in a user namespace, UID_UNKNOWN if he has none there. Global and of numbers, as walk_from is. */
__noinline __u32 uid_in_namespace(__u64 namespace, __u32 kuid)
{
	struct uid_gid_map *map = &((struct user_namespace *)namespace)->uid_map;
	__u32 count = BPF_CORE_READ(map, nr_extents);
	struct uid_gid_extent *extents, extent;
	__u32 i;

	extents = count <= UID_EXTENTS_INLINE ? (void *)map + bpf_core_field_offset(struct uid_gid_map, extent)
					      : BPF_CORE_READ(map, forward);
	for (i = 0; i < UID_EXTENTS_MAX; i++) {
		if (i >= count || bpf_probe_read_kernel(&extent, sizeof(extent), extents + i))
			break;
		if (kuid - extent.lower_first < extent.count)
			return extent.first + (kuid - extent.lower_first);
	}
	return UID_UNKNOWN;
}

static __always_inline __u32 uid_of(__u32 kuid, struct net *net)
{
	return uid_in_namespace((__u64)BPF_CORE_READ(net, user_ns), kuid);
}

#endif
