/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What is known of a process by its container. User space learns of a container a moment after its first process has begun, so
 * it is asked for whenever a process is looked at, and not when it executes something.
 */
#ifndef PORTCULLIS_CONTAINER_H
#define PORTCULLIS_CONTAINER_H

#include "memory/maps.h"

static __always_inline int is_container(__u64 cgroup_id)
{
	return bpf_map_lookup_elem(&containers, &cgroup_id) != NULL;
}

/*
 * The cgroup that a process counts as in, which was in `before` and is in `now`. Root of a container may make cgroups below the
 * container's (in a user and a cgroup namespace), and nobody inside can leave that one: the process stays its container's.
 */
static __always_inline __u64 cgroup_after_move(__u64 before, __u64 now)
{
	return before != now && is_container(before) && !is_container(now) ? before : now;
}

/*
 * Does a process that moves to a cgroup come into it from outside, as a container's first process does? Who was started in a
 * workload's network namespace is inside, and a cgroup that it makes for itself is no container.
 */
static __always_inline int enters(const struct process *known, __u64 cgroup_id)
{
	__u32 netns_inum = known->netns_inum;

	if (known->cgroup_id == cgroup_id)
		return 0;
	return is_container(cgroup_id) || !bpf_map_lookup_elem(&namespaces, &netns_inum);
}

/*
 * The flags of a process as of now. Where no layer tells, a file is not the image's any more if it was changed after its
 * container's start: nobody inside can set a change time but by the clock.
 */
static __always_inline __u32 flags_of(const struct process *process)
{
	__u64 cgroup_id = process->cgroup_id;
	struct container *container = bpf_map_lookup_elem(&containers, &cgroup_id);
	__u32 flags = process->flags;

	if (!container || !container->started)
		return flags;
	if (process->changed > container->started)
		flags |= PROCESS_MODIFIED;
	if (process->script_changed > container->started)
		flags |= PROCESS_SCRIPT_CHANGED;
	return flags;
}

#endif
