/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The file that was executed, where the kernel has put an interpreter's in its place. exec opens it for itself alone and
 * closes it when it has the interpreter's (exec_binprm in fs/exec.c). A file's last close is put off until its task
 * returns to user space (fput in fs/file_table.c), so that at the end of the exec it is still there: the first of the
 * files that this system call has closed, and so the last in the list of the task's works, which grows at its head.
 * What else is in that list (files that are closed on exec, other works) came later, or is no file.
 */
#ifndef PORTCULLIS_EXECUTED_FILE_H
#define PORTCULLIS_EXECUTED_FILE_H

#include "process/path.h"

#define TASK_WORKS_MAX 128

/* Where a file keeps its place in the list: from 6.12 on, from 5.19 on, and before. */
struct file___works {
	struct callback_head f_task_work;
};
struct file___rcu {
	struct callback_head f_rcuhead;
};
struct file___union {
	union {
		struct callback_head fu_rcuhead;
	} f_u;
};

static __always_inline struct file *file_of_work(struct callback_head *work)
{
	if (bpf_core_field_exists(((struct file___works *)0)->f_task_work))
		return (void *)work - bpf_core_field_offset(struct file___works, f_task_work);
	if (bpf_core_field_exists(((struct file___rcu *)0)->f_rcuhead))
		return (void *)work - bpf_core_field_offset(struct file___rcu, f_rcuhead);
	return (void *)work - bpf_core_field_offset(struct file___union, f_u.fu_rcuhead);
}

/* All ones if the number is 0, else 0. */
static __always_inline __u64 mask_if_zero(__u64 number)
{
	return ((number | -number) >> 63) - 1;
}

/*
 * All ones for a file, 0 for another work: a file, its name, its inode and its mount refer to each other; no other work
 * does that, and nobody can forge it.
 */
static __always_inline __u64 mask_if_file(struct file *file)
{
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	__u64 super = (__u64)BPF_CORE_READ(dentry, d_sb);
	__u64 difference = (__u64)inode ^ (__u64)BPF_CORE_READ(dentry, d_inode);

	difference |= super ^ (__u64)BPF_CORE_READ(inode, i_sb);
	difference |= super ^ (__u64)BPF_CORE_READ(file, f_path.mnt, mnt_sb);
	return mask_if_zero(difference) & ~mask_if_zero(super);
}

/*
 * Takes the work in hand, and goes on to the next one. 0 at the end. Without branches: the loop around this multiplies
 * what the verifier has to follow.
 */
static __noinline int take_work(struct path_scratch *scratch)
{
	struct callback_head *work = scratch->work;
	struct file *file;
	__u64 mask;

	if (!work)
		return 0;
	file = file_of_work(work);
	mask = mask_if_file(file);
	scratch->file = (void *)(((__u64)scratch->file & ~mask) | ((__u64)file & mask));
	scratch->work = BPF_CORE_READ(work, next);
	return 1;
}

/* Null if there is none, or if the list is too long to be sure. */
static __always_inline struct file *find_executed_file(struct path_scratch *scratch, struct task_struct *task)
{
	int i;

	scratch->work = BPF_CORE_READ(task, task_works);
	scratch->file = NULL;
	for (i = 0; i < TASK_WORKS_MAX; i++) {
		if (!take_work(scratch))
			return scratch->file;
	}
	return NULL;
}

#endif
