/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Which script a process is that was executed by its shebang. At the end of the exec the kernel holds the
 * interpreter's file, and the script by the path that was typed, which the interpreter is about to open anew. The
 * script's own file has just been closed: until the task returns to user space it waits among the task's works
 * (process/executed_file.h). The process is the script if that file is the image's own, and is the one at the very path that
 * was typed, seen from directories that nobody else can change: then it is what the interpreter opens.
 */
#ifndef PORTCULLIS_SCRIPT_H
#define PORTCULLIS_SCRIPT_H

#include "process/executable.h"
#include "process/executed_file.h"

/* A component has ended: drops "." and a leading "..". Returns 0 if the string is none that can be trusted. */
static __always_inline int end_component(struct path_scratch *scratch)
{
	__u32 length = scratch->component_length;

	scratch->component_length = 0;
	if (!length)
		return 1;
	if (scratch->only_dots && length <= 2) {
		if (length == 2 && scratch->named)
			return 0;
		scratch->length -= length + 1;
		scratch->skip += length - 1;
		return 1;
	}
	scratch->named++;
	return 1;
}

static __always_inline void append(struct path_scratch *scratch, char byte)
{
	scratch->components[scratch->length & (PATH_TEXT_MAX - 1)] = byte;
	scratch->length++;
}

enum byte_result { BYTE_TAKEN = 0, BYTE_END, BYTE_REFUSED };

static __noinline int take_byte(struct path_scratch *scratch, __u32 index)
{
	char byte = scratch->typed[index & (PATH_TEXT_MAX - 1)];

	if (byte == '/' || !byte) {
		if (!end_component(scratch))
			return BYTE_REFUSED;
		return byte ? BYTE_TAKEN : BYTE_END;
	}
	if (!scratch->component_length) {
		append(scratch, '/');
		scratch->only_dots = 1;
	}
	append(scratch, byte);
	scratch->component_length++;
	if (byte != '.')
		scratch->only_dots = 0;
	return BYTE_TAKEN;
}

/* "/dev/fd/7", which execveat(2) makes up, names no file. */
static __always_inline int is_descriptor(const char *typed)
{
	return typed[0] == '/' && typed[1] == 'd' && typed[2] == 'e' && typed[3] == 'v' && typed[4] == '/' &&
	       typed[5] == 'f' && typed[6] == 'd' && typed[7] == '/';
}

/* Turns `typed` into "/component" repeated in `components`, and the leading ".." into `skip`. 0 if it cannot be. */
static __always_inline int split_typed(struct path_scratch *scratch)
{
	int result = BYTE_REFUSED;
	__u32 i;

	scratch->skip = 0;
	for (i = 0; i < PATH_TEXT_MAX; i++) {
		result = take_byte(scratch, i);
		if (result != BYTE_TAKEN)
			break;
	}
	return result == BYTE_END && scratch->length < PATH_TEXT_MAX;
}

/* Puts the directory that the string starts from into `text`. Returns its length, or -1. */
static __always_inline int take_base(struct path_scratch *scratch, struct task_struct *task)
{
	__u32 skip = scratch->skip;

	/* In a chroot(2) an absolute path is another one than the container's: the interpreter is what counts. */
	scratch->skip = 0;
	if (walk(BPF_CORE_READ(task, fs, root.mnt), BPF_CORE_READ(task, fs, root.dentry)) != WALK_ROOT ||
	    scratch->position != PATH_TEXT_MAX - 1)
		return -1;
	if (scratch->typed[0] == '/')
		return 0;
	scratch->skip = skip;
	if (walk(BPF_CORE_READ(task, fs, pwd.mnt), BPF_CORE_READ(task, fs, pwd.dentry)) != WALK_ROOT)
		return -1;
	take_name(scratch);
	return PATH_TEXT_MAX - 1 - scratch->position;
}

/* Puts the path that was typed into `text`, as one from the container's root. 0 if it cannot be said for certain. */
static __always_inline int take_typed_path(struct path_scratch *scratch, struct task_struct *task, const char *filename)
{
	__u32 base, length;
	long typed;
	int result;

	__builtin_memset(scratch->text, 0, PATH_TEXT_MAX);
	typed = bpf_probe_read_kernel_str(scratch->typed, PATH_TEXT_MAX, filename);
	/* A string that fills the buffer may have been cut. */
	if (typed <= 0 || typed >= PATH_TEXT_MAX || is_descriptor(scratch->typed) || !split_typed(scratch))
		return 0;
	result = take_base(scratch, task);
	if (result < 0)
		return 0;
	base = result;
	length = scratch->length;
	if (base + length >= PATH_TEXT_MAX) {
		count_error(ERROR_PATH_TOO_LONG);
		return 0;
	}
	bpf_probe_read_kernel(&scratch->text[base & (PATH_TEXT_MAX - 1)], length & (PATH_TEXT_MAX - 1),
			      scratch->components);
	return 1;
}

/* Is the walked name the path in `text`? Both are NUL padded. */
static __always_inline int is_walked_name(struct path_scratch *scratch)
{
	__u64 *walked = (__u64 *)scratch->components, *text = (__u64 *)scratch->text;
	__u64 difference = 0;
	int i;

	bpf_probe_read_kernel(scratch->components, PATH_TEXT_MAX, &scratch->name[scratch->position & (PATH_TEXT_MAX - 1)]);
	for (i = 0; i < PATH_TEXT_MAX / 8; i++)
		difference |= walked[i] ^ text[i];
	return difference == 0;
}

/*
 * Enters into the scratch that was taken the script that its task has just executed by the name `filename`: its path id, 0
 * where the task goes by its interpreter, PROCESS_SCRIPT_MOUNTED, and when it was changed. Global, and of numbers, so that it is verified once.
 */
__noinline int resolve_script(__u64 filename)
{
	struct path_scratch *scratch = taken_scratch();
	struct task_struct *task;
	struct file *file;
	__u32 flags;

	if (!scratch)
		return 0;
	task = scratch->task;
	scratch->script_id = 0;
	scratch->script_flags = 0;
	scratch->script_changed = 0;
	if (!has_own_directories(task) || !take_typed_path(scratch, task, (void *)filename))
		return 0;
	file = find_executed_file(scratch, task);
	if (!file) {
		count_error(ERROR_SCRIPT_FILE);
		return 0;
	}
	scratch->skip = 0;
	if (walk(BPF_CORE_READ(file, f_path.mnt), BPF_CORE_READ(file, f_path.dentry)) != WALK_ROOT ||
	    !is_walked_name(scratch))
		return 0;
	flags = file_flags(task, file) | scratch->flags;
	if (flags & ~PROCESS_MOUNTED)
		return 0;
	scratch->script_id = intern(scratch);
	scratch->script_flags = flags ? PROCESS_SCRIPT_MOUNTED : 0;
	scratch->script_changed = change_time(BPF_CORE_READ(file, f_inode));
	return 0;
}

#endif
