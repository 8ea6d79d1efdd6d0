/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Claims: how much of the node's memory for processes, paths and registered sockets each workload has taken. Who has had its
 * part gets no more, and everybody else goes on. An owner is a workload by its network namespace, and a cgroup for everything
 * else. Namespaces and cgroups that a container makes for itself are its workload's.
 */
#ifndef PORTCULLIS_CLAIM_H
#define PORTCULLIS_CLAIM_H

#include "process/task.h"

#define OWNER_NAMESPACE (1ULL << 63) /* no cgroup has such a number */

static const struct claim no_claim;

static __always_inline __u64 owner_of_cgroup(__u64 cgroup_id)
{
	struct container *container = bpf_map_lookup_elem(&containers, &cgroup_id);

	return container ? OWNER_NAMESPACE | container->netns_inum : cgroup_id;
}

static __always_inline __u64 memory_owner_of(struct task_struct *task, __u64 cgroup_id)
{
	__u32 netns = netns_inum_of(task);

	if (bpf_map_lookup_elem(&namespaces, &netns))
		return OWNER_NAMESPACE | netns;
	return owner_of_cgroup(cgroup_id);
}

static __always_inline struct claim *claim_of(__u64 owner, __u32 kind)
{
	struct claim_key key = { .owner = owner, .kind = kind };
	struct claim *claim = bpf_map_lookup_elem(&claims, &key);

	if (claim)
		return claim;
	bpf_map_update_elem(&claims, &key, &no_claim, BPF_NOEXIST);
	return bpf_map_lookup_elem(&claims, &key);
}

/* Takes one more of `most`. Returns 0 if the owner has them all; two CPUs at once may go beyond by one. */
static __always_inline int take_claim(__u64 owner, __u32 kind, __s64 most)
{
	struct claim *claim = claim_of(owner, kind);

	if (!claim)
		return 0;
	if (claim->count >= most) {
		__sync_fetch_and_add(&claim->refused, 1);
		return 0;
	}
	__sync_fetch_and_add(&claim->count, 1);
	return 1;
}

/* Has the owner ever wanted more than its part? Who is not known may be one that it did not get. */
static __always_inline int was_claim_refused(__u64 owner, __u32 kind)
{
	struct claim *claim = claim_of(owner, kind);

	return !claim || claim->refused;
}

static __always_inline void refuse_claim(__u64 owner, __u32 kind)
{
	struct claim *claim = claim_of(owner, kind);

	if (claim)
		__sync_fetch_and_add(&claim->refused, 1);
}

static __always_inline void give_claim_back(__u64 owner, __u32 kind)
{
	struct claim_key key = { .owner = owner, .kind = kind };
	struct claim *claim = bpf_map_lookup_elem(&claims, &key);

	if (claim && claim->count > 0)
		__sync_fetch_and_add(&claim->count, -1);
}

#endif
