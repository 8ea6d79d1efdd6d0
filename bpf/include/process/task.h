/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What the kernel knows about a task. Every function reads with bpf_probe_read_kernel, so that it works in tracing
 * and in cgroup programs alike; what cannot be read comes out as 0.
 */
#ifndef PORTCULLIS_TASK_H
#define PORTCULLIS_TASK_H

#include <bpf/bpf_core_read.h>

#include "memory/maps.h"

#define TASK_KERNEL_THREAD 0x00200000 /* PF_KTHREAD, include/linux/sched.h */

/* Kernels before 5.5 call it real_start_time. */
struct task_struct___before_5_5 {
	__u64 real_start_time;
};

/* Start of the process that a task belongs to, ns of boot time. Threads and exec leave it alone. */
static __always_inline __u64 start_time_of(struct task_struct *task)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);

	if (bpf_core_field_exists(leader->start_boottime))
		return BPF_CORE_READ(leader, start_boottime);
	if (bpf_core_field_exists(((struct task_struct___before_5_5 *)leader)->real_start_time))
		return BPF_CORE_READ((struct task_struct___before_5_5 *)leader, real_start_time);
	return BPF_CORE_READ(leader, start_time);
}

/* Its cgroup on the v2 hierarchy, also where controllers are still on v1: what bpf_get_current_cgroup_id says. */
static __always_inline __u64 cgroup_id_of(struct task_struct *task)
{
	return BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
}

/* Inode number of its network namespace. */
static __always_inline __u32 netns_inum_of(struct task_struct *task)
{
	return BPF_CORE_READ(task, nsproxy, net_ns, ns.inum);
}

/* Whether a namespace's cookie is there to be read; before 5.12 only a helper tells it. */
static __always_inline int is_netns_cookie_readable(void)
{
	return bpf_core_field_exists(((struct net *)0)->net_cookie);
}

/* The number that no other namespace has had or will have; 0 where it cannot be read. */
static __always_inline __u64 netns_cookie_of(struct net *net)
{
	return is_netns_cookie_readable() ? BPF_CORE_READ(net, net_cookie) : 0;
}

static __always_inline int is_kernel_thread(struct task_struct *task)
{
	return (BPF_CORE_READ(task, flags) & TASK_KERNEL_THREAD) != 0;
}

/* Somebody can make it do anything. */
static __always_inline int is_traced(struct task_struct *task)
{
	return BPF_CORE_READ(task, ptrace) != 0;
}

/* Neither the one that owns a namespace, nor one above it, whose root the owner is subject to. */
static __always_inline int is_made_inside(struct user_namespace *namespace, struct user_namespace *owner)
{
	return namespace != owner && BPF_CORE_READ(namespace, level) >= BPF_CORE_READ(owner, level);
}

/*
 * A user namespace other than the one that owns the workload's network namespace was made inside the workload (unshare -U), not
 * by who made the workload. Who is in one, or in a mount namespace of one, has powers there that decide what runs: any file
 * can be mounted on a listed path, any program made the handler of a file (binfmt_misc), and any file be said to be the
 * executable (PR_SET_MM). With a network namespace of its own (unshare -Un) that shows only where the task uses a socket of the
 * workload's: `net` is the socket's.
 */
static __always_inline int is_in_own_user_namespace(struct task_struct *task, struct net *net)
{
	struct user_namespace *owner = BPF_CORE_READ(net, user_ns);

	return is_made_inside(BPF_CORE_READ(task, nsproxy, mnt_ns, user_ns), owner) ||
	       is_made_inside(BPF_CORE_READ(task, real_cred, user_ns), owner);
}

/* The thread that gives its process the number. */
static __always_inline int is_leader(struct task_struct *task)
{
	return BPF_CORE_READ(task, pid) == BPF_CORE_READ(task, tgid);
}

/* Exited threads leave the process until the last one: then nobody is left. */
static __always_inline int is_process_dead(struct task_struct *task)
{
	return BPF_CORE_READ(task, signal, live.counter) == 0;
}

#endif
