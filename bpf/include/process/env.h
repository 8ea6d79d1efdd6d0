/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Scripts that begin with `#!/usr/bin/env NAME`: env looks for NAME in PATH and executes it, with the script as its
 * argument. Whoever starts the script says what PATH is, so that NAME may lead anywhere. The process stays the script if
 * NAME resolves to a program of the image whose own name is NAME, with a version behind it at most: python3 to python3.11, and neither to
 * curl nor to a debugger that is called python3-dbg.
 */
#ifndef PORTCULLIS_ENV_H
#define PORTCULLIS_ENV_H

#include "process/script.h"

#define PROGRAM_NAME_MAX 32

/* Does the script's first line name env? `interpreter` is what it names. */
static __always_inline int is_env(const char *interpreter)
{
	static const union {
		char text[16];
		__u64 words[2];
	} env = { .text = "/usr/bin/env" };
	__u64 words[2] = {};

	return bpf_probe_read_kernel_str(words, sizeof(words), interpreter) > 0 && words[0] == env.words[0] &&
	       words[1] == env.words[1];
}

/* 0 for what a version is made of, digits, dots and dashes (and '/', which no name has), and for the end of a name; else 1. */
static __always_inline __u64 is_no_version(__u64 byte)
{
	__u64 above = byte - '-';

	return (above >> 63 | ('9' - byte) >> 63) & (byte + 255) >> 8;
}

/*
 * Is the file's own name the one that env was given, but for a version? That is the first argument of what env executes. Without
 * branches, which the verifier would have to follow.
 */
static __always_inline int is_named_by_env(struct task_struct *task, struct file *file)
{
	unsigned char given[PROGRAM_NAME_MAX] = {}, name[PROGRAM_NAME_MAX] = {};
	__u64 difference = 0, within;
	long length;
	int i;

	length = bpf_probe_read_user_str(given, sizeof(given), (void *)BPF_CORE_READ(task, mm, arg_start));
	/* A name that fills the buffer may have been cut. */
	if (length <= 1 || length >= PROGRAM_NAME_MAX)
		return 0;
	bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(file, f_path.dentry, d_name.name));
	for (i = 0; i < PROGRAM_NAME_MAX; i++) {
		within = -((given[i] + 255ULL) >> 8);
		difference |= ((given[i] ^ name[i]) & within) | (is_no_version(name[i]) & ~within);
	}
	return !difference;
}

/* Is the task, which was led by env, led to its script's interpreter by executing `file`? */
static __always_inline int is_led_to_interpreter(struct task_struct *task, struct file *file)
{
	return has_own_directories(task) && is_named_by_env(task, file);
}

#endif
