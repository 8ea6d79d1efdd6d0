/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What a process runs: the path id of its executable, and whether that is still the file of the image.
 */
#ifndef PORTCULLIS_EXECUTABLE_H
#define PORTCULLIS_EXECUTABLE_H

#include "process/path.h"

struct executable {
	__u64 changed; /* see struct process */
	__u32 path_id;
	__u32 flags; /* enum process_flag */
};

/*
 * Overlayfs keeps the upper dentry right behind the inode that it embeds (struct ovl_inode, fs/overlayfs/ovl_entry.h,
 * unchanged since 4.13). The type itself is out of reach where overlayfs is a module.
 */
static __always_inline int has_upper_layer(struct inode *inode)
{
	void *upper = NULL;

	if (BPF_CORE_READ(inode, i_sb, s_magic) != OVERLAYFS_MAGIC)
		return 0;
	if (bpf_probe_read_kernel(&upper, sizeof(upper), (void *)inode + bpf_core_type_size(struct inode)))
		return 1;
	return upper != NULL;
}

/* Where an inode keeps its change time: from 6.11 on, from 6.6 on, and before. */
struct inode___parts {
	__s64 i_ctime_sec;
	__u32 i_ctime_nsec;
};
struct inode___hidden {
	struct timespec64 __i_ctime;
};
struct inode___plain {
	struct timespec64 i_ctime;
};

#define NSEC_PER_SEC 1000000000ULL
/* From 6.13 on the highest bit says whether somebody has asked (I_CTIME_QUERIED, include/linux/fs.h). */
#define CTIME_NSEC_MASK 0x3fffffff

/* When a file was changed last, ns since 1970; 0 on an overlay, which has its layers. */
static __always_inline __u64 change_time(struct inode *inode)
{
	struct inode___hidden *hidden = (void *)inode;
	struct inode___parts *parts = (void *)inode;
	struct inode___plain *plain = (void *)inode;

	if (BPF_CORE_READ(inode, i_sb, s_magic) == OVERLAYFS_MAGIC)
		return 0;
	if (bpf_core_field_exists(parts->i_ctime_sec))
		return BPF_CORE_READ(parts, i_ctime_sec) * NSEC_PER_SEC +
		       (BPF_CORE_READ(parts, i_ctime_nsec) & CTIME_NSEC_MASK);
	if (bpf_core_field_exists(hidden->__i_ctime))
		return BPF_CORE_READ(hidden, __i_ctime.tv_sec) * NSEC_PER_SEC + BPF_CORE_READ(hidden, __i_ctime.tv_nsec);
	return BPF_CORE_READ(plain, i_ctime.tv_sec) * NSEC_PER_SEC + BPF_CORE_READ(plain, i_ctime.tv_nsec);
}

/* No name leads to it any more: i_nlink is 0 (also for a memfd), or this one of its names was removed. */
static __always_inline int is_deleted(struct file *file, struct inode *inode)
{
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);

	if (BPF_CORE_READ(inode, i_nlink) == 0)
		return 1;
	return BPF_CORE_READ(dentry, d_hash.pprev) == NULL && BPF_CORE_READ(dentry, d_parent) != dentry;
}

static __always_inline __u32 file_flags(struct task_struct *task, struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	__u32 flags = 0;

	if (has_upper_layer(inode) || is_in_own_user_namespace(task, BPF_CORE_READ(task, nsproxy, net_ns)))
		flags |= PROCESS_MODIFIED;
	if (is_deleted(file, inode))
		flags |= PROCESS_DELETED;
	return flags;
}

static __always_inline __u32 path_id_of(struct path_scratch *scratch, struct file *file)
{
	int result = walk(BPF_CORE_READ(file, f_path.mnt), BPF_CORE_READ(file, f_path.dentry));

	if (result == WALK_UNREACHABLE)
		result = mark_unreachable(scratch);
	if (result == WALK_TOO_LONG) {
		count_error(ERROR_PATH_TOO_LONG);
		return 0;
	}
	if (result != WALK_ROOT) {
		count_error(ERROR_TASK_READ);
		return 0;
	}
	take_name(scratch);
	return intern(scratch);
}

/* Fills `out`; whatever fails makes it path 0 with PROCESS_PATH_UNKNOWN. `scratch` may be null, `file` too. */
static __noinline int resolve_executable(struct path_scratch *scratch, struct task_struct *task, struct file *file,
					 struct executable *out)
{
	out->changed = 0;
	out->path_id = 0;
	out->flags = PROCESS_PATH_UNKNOWN;
	if (!scratch || !file)
		return 0;
	out->changed = change_time(BPF_CORE_READ(file, f_inode));
	out->path_id = path_id_of(scratch, file);
	out->flags = file_flags(task, file) | scratch->flags | (out->path_id ? 0 : PROCESS_PATH_UNKNOWN);
	return 0;
}

#endif
