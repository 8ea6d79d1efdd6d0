/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Keeping a socket's user up to date, from wherever the kernel shows who is at work on it.
 */
#ifndef PORTCULLIS_USER_H
#define PORTCULLIS_USER_H

#include "socket/actor.h"
#include "socket/ends.h"

static __always_inline struct task_struct *current_task(void)
{
	return (struct task_struct *)bpf_get_current_task();
}

/* Enters the owner of a socket that is older than the programs. A function of its own, for the stack that it needs. */
static __noinline struct socket_owner *own_older_socket(void *socket, struct task_struct *task)
{
	struct socket_owner *owner, found;

	own(task, socket, SOCKET_FOUND, &found);
	owner = bpf_sk_storage_get(&socket_owners, socket, &found, BPF_SK_STORAGE_GET_F_CREATE);
	if (!owner)
		count_error(ERROR_SOCKET_STORAGE);
	return owner;
}

/*
 * The socket's owner, with the current process as its user. A socket that has none is older than the programs.
 * Null if a kernel thread is at work, which is nobody, or, counted, if there is no memory.
 */
static __always_inline struct socket_owner *use_socket(void *socket)
{
	struct task_struct *task = current_task();
	struct socket_owner *owner;

	if (is_kernel_thread(task))
		return NULL;
	owner = bpf_sk_storage_get(&socket_owners, socket, NULL, 0);
	if (owner) {
		set_user(socket, owner, task);
		return owner;
	}
	return own_older_socket(socket, task);
}

static __always_inline int is_internet(struct sock *socket)
{
	__u16 family = socket->__sk_common.skc_family;

	return family == FAMILY_IPV4 || family == FAMILY_IPV6;
}

/*
 * Is the user that was written down still who it is? Whatever changes an identity begins an epoch, so the same
 * process in the same epoch is, while its effective user is. For the programs that run at every send and receive: almost always that is all there
 * is to do, and here the task is read without bpf_probe_read_kernel. Cgroup programs may do so since 5.15, by the same
 * series of changes that brought the helper that is asked for here.
 */
static __always_inline int is_user_known(void *socket)
{
	struct socket_owner *owner;
	struct task_struct *task;

	if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return 0;
	owner = bpf_sk_storage_get(&socket_owners, socket, NULL, 0);
	task = bpf_get_current_task_btf();
	return owner && owner->user.tgid == (__u32)task->tgid &&
	       owner->user.start_time == task->group_leader->start_boottime && !task->ptrace &&
	       owner->user.kuid == task->cred->euid.val && owner->epoch == process_epoch(owner->user.lineage);
}

#endif
