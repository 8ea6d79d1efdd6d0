/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Who uses a socket: snapshots of the process at hand, and their place in the socket's storage.
 */
#ifndef PORTCULLIS_ACTOR_H
#define PORTCULLIS_ACTOR_H

#include "memory/epoch.h"
#include "memory/errors.h"
#include "process/task.h"
#include "process/uid.h"
#include "socket/former.h"

static __always_inline int is_same_process(const struct actor *one, const struct actor *other)
{
	return one->tgid == other->tgid && one->start_time == other->start_time;
}

static __always_inline struct net *net_of(void *socket)
{
	return BPF_CORE_READ(address_of_socket(socket), __sk_common.skc_net.net);
}

/*
 * Snapshot of the process of a task that uses a socket. A process without an entry (or with one that a predecessor of its
 * number left) is counted, and has path 0: `default` judges it.
 */
static __always_inline void actor_of(struct task_struct *task, void *socket, struct actor *out)
{
	__u32 tgid = BPF_CORE_READ(task, tgid);
	struct process *process = bpf_map_lookup_elem(&processes, &tgid);

	__builtin_memset(out, 0, sizeof(*out));
	out->tgid = tgid;
	out->start_time = start_time_of(task);
	out->kuid = kuid_of(task);
	out->uid = uid_of(out->kuid, net_of(socket));
	if (!process || process->start_time != out->start_time) {
		count_error(ERROR_SOCKET_WITHOUT_PROCESS);
		out->cgroup_id = cgroup_id_of(task);
		out->flags = PROCESS_PATH_UNKNOWN;
		out->lineage = tgid;
		out->ancestry = ANCESTRY_UNKNOWN;
		return;
	}
	if (is_traced(task) || is_in_own_user_namespace(task, net_of(socket)))
		process->flags |= PROCESS_MODIFIED;
	out->cgroup_id = process->cgroup_id;
	out->path_id = process->path_id;
	out->script_id = process->script_id;
	out->flags = flags_of(process);
	out->lineage = process->lineage;
	out->ancestry = process->ancestry;
}

/* A socket's first owner, who is creator and user in one. */
static __always_inline void own(struct task_struct *task, void *socket, __u32 flags, struct socket_owner *out)
{
	__builtin_memset(out, 0, sizeof(*out));
	actor_of(task, socket, &out->creator);
	out->epoch = epoch_of(&out->creator);
	out->user = out->creator;
	out->flags = flags;
	out->netns_inum = BPF_CORE_READ(net_of(socket), ns.inum);
	out->netns_cookie = netns_cookie_of(net_of(socket));
}

/*
 * Writes down that the task's process uses the socket now. If that changes the subjects, verdicts that rest on the
 * former user are stale, and so are those of packets that met a half-written one, who may be taken for either. The user that left
 * bytes in the queue is written before that.
 */
static __always_inline void set_user(void *socket, struct socket_owner *owner, struct task_struct *task)
{
	__u32 before = owner->user.lineage;
	struct actor user;
	int same;

	actor_of(task, socket, &user);
	owner->epoch = epoch_of(&user);
	same = is_same_identity(&owner->user, &user) && user.lineage == before;
	if (same && is_same_process(&owner->user, &user))
		return;
	keep_former(socket, owner, &user);
	owner->user = user;
	if (same)
		return;
	begin_process_epoch(before);
	begin_process_epoch(user.lineage);
}

#endif
