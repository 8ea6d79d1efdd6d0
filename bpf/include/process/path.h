/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The name of a file, as the kernel knows it: dentries and mounts from the file up to the container's root.
 *
 * The container's root is the top of the file's mount tree, or the task's root directory where that is the root of an
 * overlay (a container whose runtime used chroot). Any other chroot(2) is walked through: containers may call it by
 * default, and a copy of a listed binary under a root of one's own must not have the listed binary's name.
 * A file outside of the task's mount namespace (memfd, detached mounts) has a name that is no absolute path.
 */
#ifndef PORTCULLIS_PATH_H
#define PORTCULLIS_PATH_H

#include "memory/claim.h"
#include "memory/errors.h"

#define PATH_STEPS_MAX 64 /* on the way up: components, and the mount points between them */
#define PATH_CLAIMS_MAX 8
#define OVERLAYFS_MAGIC 0x794c7630 /* OVERLAYFS_SUPER_MAGIC, include/uapi/linux/magic.h */
#define UNREACHABLE "(unreachable)"
#define UNREACHABLE_LENGTH 13

enum walk_result { WALK_ON = 0, WALK_ROOT, WALK_UNREACHABLE, WALK_TOO_LONG, WALK_UNREADABLE };

/*
 * Memory for one resolution, too large for the stack. An entry per task, not per CPU: iterators and, on some
 * kernels, tracepoints can be preempted, and another task's path must never get into this one's.
 */
struct path_scratch {
	struct task_struct *task;        /* that the path is of */
	struct dentry *dentry;
	struct mount *mount;
	struct dentry *stop_dentry;
	struct mount *stop_mount;
	struct mount *root_mount;        /* what the task's root directory is on, and then what that lies upon */
	__u32 position;                  /* of the text's first byte in `name`, which is filled from its end */
	__u32 skip;                      /* components to leave out first, one for each leading ".." */
	__u32 flags;                     /* enum process_flag: what the way up says of the file that it began at */
	char name[2 * PATH_TEXT_MAX];    /* the text ends before PATH_TEXT_MAX, NULs follow */
	char text[2 * PATH_TEXT_MAX];    /* the result, NUL padded; the second half is room for bounds checks */
	char typed[PATH_TEXT_MAX];       /* of a script, see process/script.h */
	char components[2 * PATH_TEXT_MAX];
	__u32 length;                    /* of the text in `components` */
	__u32 component_length;
	__u32 only_dots;
	__u32 named;                     /* components so far that are neither "." nor ".." */
	__u32 script_id;                 /* see process/script.h: the script that was found, and what is to be said of it */
	__u32 script_flags;
	__u64 script_changed;
	struct callback_head *work;      /* see process/executed_file.h */
	struct file *file;
	struct named_path entry;         /* of `path_texts` */
	struct known_ancestry known_ancestry; /* see process/ancestry.h: the set that is being made */
	__u64 variable;                  /* see process/started.h: address of the next string */
	__u64 variables;
	__u64 within;                    /* 1 in a string, not at its beginning */
};

static const struct path_scratch blank_scratch;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u64);
	__type(value, struct path_scratch);
} path_scratches SEC(".maps");

/* What the current task has taken. */
static __always_inline struct path_scratch *taken_scratch(void)
{
	__u64 key = bpf_get_current_pid_tgid();

	return bpf_map_lookup_elem(&path_scratches, &key);
}

/* For paths of `task`, which count as `owner`'s. Null, counted, if more tasks than the map holds resolve paths at this very moment. */
static __always_inline struct path_scratch *take_scratch(struct task_struct *task, __u64 owner)
{
	__u64 key = bpf_get_current_pid_tgid();
	struct path_scratch *scratch = NULL;

	if (!bpf_map_update_elem(&path_scratches, &key, &blank_scratch, BPF_ANY))
		scratch = bpf_map_lookup_elem(&path_scratches, &key);
	if (!scratch) {
		count_error(ERROR_SCRATCH);
		return NULL;
	}
	scratch->task = task;
	scratch->entry.owner = owner;
	scratch->known_ancestry.owner = owner;
	return scratch;
}

static __always_inline void give_scratch_back(void)
{
	__u64 key = bpf_get_current_pid_tgid();

	bpf_map_delete_elem(&path_scratches, &key);
}

/* `struct mount` holds the `struct vfsmount` that paths point to. */
static __always_inline struct mount *mount_of(struct vfsmount *mnt)
{
	return (void *)mnt - bpf_core_field_offset(struct mount, mnt);
}

/*
 * Overlayfs notes at a folder of the image that was renamed (redirect_dir=on) where its content is (struct ovl_inode,
 * fs/overlayfs/ovl_entry.h: `redirect`, `version` and `flags` come right before the embedded inode, since 4.13).
 */
static __always_inline int is_renamed_folder(struct dentry *dentry)
{
	struct inode *inode = BPF_CORE_READ(dentry, d_inode);
	void *redirect = NULL;

	if (BPF_CORE_READ(dentry, d_sb, s_magic) != OVERLAYFS_MAGIC)
		return 0;
	if (bpf_probe_read_kernel(&redirect, sizeof(redirect), (void *)inode - 3 * sizeof(__u64)))
		return 1;
	return redirect != NULL;
}

/* Puts "/component" before the text. */
static __always_inline enum walk_result prepend(struct path_scratch *scratch, struct dentry *dentry)
{
	const unsigned char *name = BPF_CORE_READ(dentry, d_name.name);
	__u32 length = BPF_CORE_READ(dentry, d_name.len);
	__u32 position = scratch->position;

	if (scratch->skip) {
		scratch->skip--;
		return WALK_ON;
	}
	if (!name || !length)
		return WALK_UNREADABLE;
	if (length + 1 > position)
		return WALK_TOO_LONG;
	position -= length;
	if (bpf_probe_read_kernel(&scratch->name[position & (PATH_TEXT_MAX - 1)], length & (PATH_TEXT_MAX - 1), name))
		return WALK_UNREADABLE;
	position -= 1;
	scratch->name[position & (PATH_TEXT_MAX - 1)] = '/';
	scratch->position = position;
	return WALK_ON;
}

/*
 * A container's root lies upon the top of its mount tree (pivot_root), where nothing that is mounted in there can lie. That top
 * may be a pile itself: from 7.0 on, an empty file system is below the first one.
 */
static __always_inline int is_root_of_container(struct path_scratch *scratch, struct mount *mount, struct mount *below)
{
	if (mount != scratch->root_mount || BPF_CORE_READ(mount, mnt_mountpoint) != BPF_CORE_READ(below, mnt.mnt_root))
		return 0;
	scratch->root_mount = below;
	return 1;
}

static __always_inline enum walk_result step(struct path_scratch *scratch)
{
	struct dentry *dentry = scratch->dentry;
	struct mount *mount = scratch->mount;
	struct dentry *parent;
	struct mount *below;
	enum walk_result result;

	if (!dentry || !mount)
		return WALK_UNREADABLE;
	if (dentry == scratch->stop_dentry && mount == scratch->stop_mount)
		return WALK_ROOT;
	if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
		below = BPF_CORE_READ(mount, mnt_parent);
		if (below == mount)
			return WALK_ROOT;
		scratch->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		scratch->mount = below;
		if (!is_root_of_container(scratch, mount, below))
			scratch->flags |= PROCESS_MOUNTED;
		return WALK_ON;
	}
	if (is_renamed_folder(dentry))
		scratch->flags |= PROCESS_MODIFIED;
	parent = BPF_CORE_READ(dentry, d_parent);
	result = prepend(scratch, dentry);
	if (result != WALK_ON)
		return result;
	scratch->dentry = parent;
	return parent == dentry ? WALK_UNREACHABLE : WALK_ON;
}

static __always_inline int is_overlay_root(struct dentry *dentry, struct mount *mount)
{
	return dentry == BPF_CORE_READ(mount, mnt.mnt_root) && BPF_CORE_READ(dentry, d_sb, s_magic) == OVERLAYFS_MAGIC;
}

/* Where a walk that starts in this task's namespace ends early: at the root of an overlay. */
static __always_inline void set_stop(struct path_scratch *scratch, struct task_struct *task)
{
	struct dentry *dentry = BPF_CORE_READ(task, fs, root.dentry);
	struct mount *mount = mount_of(BPF_CORE_READ(task, fs, root.mnt));

	scratch->root_mount = mount;
	if (!is_overlay_root(dentry, mount))
		return;
	scratch->stop_dentry = dentry;
	scratch->stop_mount = mount;
}

/* Nobody else can change the directories from which the task's paths start. */
static __always_inline int has_own_directories(struct task_struct *task)
{
	return BPF_CORE_READ(task, fs, users) == 1;
}

/* walk(), global and of numbers: so the verifier looks at it once, and not at each place that it is called from. */
__noinline int walk_from(__u64 mnt, __u64 dentry)
{
	struct path_scratch *scratch = taken_scratch();
	struct mount *mount = mount_of((void *)mnt);
	struct task_struct *task;
	enum walk_result result = WALK_TOO_LONG;
	int i;

	if (!scratch)
		return WALK_UNREADABLE;
	task = scratch->task;
	scratch->dentry = (void *)dentry;
	scratch->mount = mount;
	scratch->position = PATH_TEXT_MAX - 1;
	scratch->flags = 0;
	set_stop(scratch, task);
	for (i = 0; i < PATH_STEPS_MAX; i++) {
		result = step(scratch);
		if (result != WALK_ON)
			break;
	}
	if (result == WALK_ON)
		result = WALK_TOO_LONG;
	if (result == WALK_ROOT && BPF_CORE_READ(mount, mnt_ns) != BPF_CORE_READ(task, nsproxy, mnt_ns))
		result = WALK_UNREACHABLE;
	return result;
}

/*
 * Writes the name of (mount, dentry) to the end of the taken scratch's `name`, "" for the root itself. WALK_ROOT if it is a
 * path inside the task's mount namespace; WALK_UNREACHABLE if it is one outside of it.
 */
static __always_inline int walk(struct vfsmount *mnt, struct dentry *dentry)
{
	return walk_from((__u64)mnt, (__u64)dentry);
}

/* Copies the walked name to the beginning of `scratch->text`. */
static __always_inline void take_name(struct path_scratch *scratch)
{
	bpf_probe_read_kernel(scratch->text, PATH_TEXT_MAX, &scratch->name[scratch->position & (PATH_TEXT_MAX - 1)]);
}

static __always_inline enum walk_result mark_unreachable(struct path_scratch *scratch)
{
	__u32 position = scratch->position;

	if (position < UNREACHABLE_LENGTH)
		return WALK_TOO_LONG;
	position -= UNREACHABLE_LENGTH;
	__builtin_memcpy(&scratch->name[position & (PATH_TEXT_MAX - 1)], UNREACHABLE, UNREACHABLE_LENGTH);
	scratch->position = position;
	return WALK_ROOT;
}

/*
 * A number that no other path has. Kernels before 5.12 cannot add and fetch in one step, so two CPUs may read the
 * same number: it belongs to the one that enters its path under it. Returns 0 if the owner has had its part, or, counted,
 * if all have.
 */
static __always_inline __u32 claim_path_id(struct path_scratch *scratch)
{
	__u32 index = 0;
	__u64 *sequence = bpf_map_lookup_elem(&path_sequence, &index);
	__u64 owner = scratch->entry.owner;
	__u32 id;
	int i;

	if (!take_claim(owner, CLAIM_PATHS, PATHS_CLAIM))
		return 0;
	if (!take_claim(CLAIM_OWNER_ALL, CLAIM_PATHS, PATHS_CLAIM_ALL))
		goto full;
	__builtin_memcpy(scratch->entry.text, scratch->text, PATH_TEXT_MAX);
	for (i = 0; sequence && i < PATH_CLAIMS_MAX; i++) {
		__sync_fetch_and_add(sequence, 1);
		id = *(volatile __u64 *)sequence;
		if (id && id < PATH_ID_USER && !bpf_map_update_elem(&path_texts, &id, &scratch->entry, BPF_NOEXIST))
			return id;
	}
	give_claim_back(CLAIM_OWNER_ALL, CLAIM_PATHS);
full:
	give_claim_back(owner, CLAIM_PATHS);
	count_error(ERROR_PATHS_FULL);
	return 0;
}

/* The id of the path in `scratch->text`, from `paths`; a new one if it is not there. 0, counted, if that failed. */
static __noinline __u32 intern(struct path_scratch *scratch)
{
	__u32 *known = bpf_map_lookup_elem(&paths, scratch->text);
	__u32 id;

	if (known)
		return *known;
	id = claim_path_id(scratch);
	if (!id || !bpf_map_update_elem(&paths, scratch->text, &id, BPF_NOEXIST))
		return id;
	/* Somebody was faster, or it is full. */
	bpf_map_delete_elem(&path_texts, &id);
	give_claim_back(scratch->entry.owner, CLAIM_PATHS);
	give_claim_back(CLAIM_OWNER_ALL, CLAIM_PATHS);
	known = bpf_map_lookup_elem(&paths, scratch->text);
	if (known)
		return *known;
	count_error(ERROR_PATHS_FULL);
	return 0;
}

#endif
