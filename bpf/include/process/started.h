/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * How a program was started: variables of the environment, a root directory, a tracer or a supervisor by which whoever starts it makes it
 * run other code. Then it is the file of its path, and does what somebody else wants.
 *
 * What a container's first process was started with is what its image and its pod say, so that its children may have
 * the same. The first process is that of the container's PID namespace.
 */
#ifndef PORTCULLIS_STARTED_H
#define PORTCULLIS_STARTED_H

#include "process/path.h"

#define VARIABLES_MAX 512 /* strings of the environment, and parts of long ones */
#define VARIABLE_PART 256
/* The environment was not read (to its end): any of the variables may be in it. */
#define VARIABLES_UNKNOWN (~0ULL)
#define NO_VARIABLE 1ULL /* is always there */

/* Eight characters as they are in memory. Little-endian, like all machines that Portcullis runs on. */
#define WORD(a, b, c, d, e, f, g, h)                                                                             \
	((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 | (__u64)(e) << 32 | (__u64)(f) << 40 | \
	 (__u64)(g) << 48 | (__u64)(h) << 56)

/*
 * The number of a variable that begins so, 0 for any other. Of the linker (ld.so(8)), of shells (bash(1), dash(1)), of
 * interpreters, and of libraries that load modules: those that name code to be loaded. Eight characters tell them apart well
 * enough, but for MariaDB's: its image's script sets others that begin so. Global, so that it is verified once.
 */
__noinline int variable_number(__u64 begin, __u64 next)
{
	switch (begin) {
	case WORD('L', 'D', '_', 'P', 'R', 'E', 'L', 'O'): return 1;  /* LD_PRELOAD */
	case WORD('L', 'D', '_', 'L', 'I', 'B', 'R', 'A'): return 2;  /* LD_LIBRARY_PATH */
	case WORD('L', 'D', '_', 'A', 'U', 'D', 'I', 'T'): return 3;  /* LD_AUDIT */
	case WORD('G', 'C', 'O', 'N', 'V', '_', 'P', 'A'): return 4;  /* GCONV_PATH */
	case WORD('B', 'A', 'S', 'H', '_', 'E', 'N', 'V'): return 5;  /* BASH_ENV */
	case WORD('B', 'A', 'S', 'H', '_', 'F', 'U', 'N'): return 6;  /* BASH_FUNC_name%% */
	case WORD('S', 'H', 'E', 'L', 'L', 'O', 'P', 'T'): return 7;  /* SHELLOPTS */
	case WORD('P', 'Y', 'T', 'H', 'O', 'N', 'P', 'A'): return 8;  /* PYTHONPATH */
	case WORD('P', 'Y', 'T', 'H', 'O', 'N', 'H', 'O'): return 9;  /* PYTHONHOME */
	case WORD('P', 'Y', 'T', 'H', 'O', 'N', 'I', 'N'): return 10; /* PYTHONINSPECT */
	case WORD('P', 'E', 'R', 'L', '5', 'L', 'I', 'B'): return 11; /* PERL5LIB */
	case WORD('P', 'E', 'R', 'L', '5', 'O', 'P', 'T'): return 12; /* PERL5OPT */
	case WORD('R', 'U', 'B', 'Y', 'O', 'P', 'T', '='): return 13; /* RUBYOPT */
	case WORD('R', 'U', 'B', 'Y', 'L', 'I', 'B', '='): return 14; /* RUBYLIB */
	case WORD('N', 'O', 'D', 'E', '_', 'O', 'P', 'T'): return 15; /* NODE_OPTIONS */
	case WORD('N', 'O', 'D', 'E', '_', 'P', 'A', 'T'): return 16; /* NODE_PATH */
	case WORD('J', 'A', 'V', 'A', '_', 'T', 'O', 'O'): return 17; /* JAVA_TOOL_OPTIONS */
	case WORD('_', 'J', 'A', 'V', 'A', '_', 'O', 'P'): return 18; /* _JAVA_OPTIONS */
	case WORD('J', 'D', 'K', '_', 'J', 'A', 'V', 'A'): return 19; /* JDK_JAVA_OPTIONS */
	case WORD('O', 'P', 'E', 'N', 'S', 'S', 'L', '_'): return 21; /* OPENSSL_CONF, OPENSSL_ENGINES, OPENSSL_MODULES */
	case WORD('P', 'Y', 'T', 'H', 'O', 'N', 'U', 'S'): return 22; /* PYTHONUSERBASE */
	case WORD('P', 'Y', 'T', 'H', 'O', 'N', 'P', 'Y'): return 23; /* PYTHONPYCACHEPREFIX */
	case WORD('P', 'Y', 'T', 'H', 'O', 'N', 'P', 'L'): return 24; /* PYTHONPLATLIBDIR */
	case WORD('P', 'Y', 'T', 'H', 'O', 'N', 'W', 'A'): return 25; /* PYTHONWARNINGS */
	case WORD('P', 'E', 'R', 'L', 'L', 'I', 'B', '='): return 26; /* PERLLIB */
	case WORD('P', 'E', 'R', 'L', '5', 'D', 'B', '='): return 27; /* PERL5DB */
	case WORD('R', 'U', 'B', 'Y', 'G', 'E', 'M', 'S'): return 28; /* RUBYGEMS_GEMDEPS */
	case WORD('P', 'H', 'P', '_', 'I', 'N', 'I', '_'): return 30; /* PHP_INI_SCAN_DIR */
	case WORD('L', 'U', 'A', '_', 'I', 'N', 'I', 'T'): return 31; /* LUA_INIT */
	case WORD('L', 'U', 'A', '_', 'P', 'A', 'T', 'H'): return 32; /* LUA_PATH */
	case WORD('L', 'U', 'A', '_', 'C', 'P', 'A', 'T'): return 33; /* LUA_CPATH */
	case WORD('D', 'O', 'T', 'N', 'E', 'T', '_', 'S'): return 34; /* DOTNET_STARTUP_HOOKS */
	case WORD('C', 'O', 'R', 'E', 'C', 'L', 'R', '_'): return 35; /* CORECLR_PROFILER */
	case WORD('G', 'I', 'O', '_', 'M', 'O', 'D', 'U'): return 36; /* GIO_MODULE_DIR */
	case WORD('G', 'I', 'O', '_', 'E', 'X', 'T', 'R'): return 37; /* GIO_EXTRA_MODULES */
	case WORD('S', 'A', 'S', 'L', '_', 'P', 'A', 'T'): return 38; /* SASL_PATH */
	case WORD('K', 'R', 'B', '5', '_', 'C', 'O', 'N'): return 39; /* KRB5_CONFIG */
	case WORD('L', 'I', 'B', 'M', 'Y', 'S', 'Q', 'L'): return 40; /* LIBMYSQL_PLUGINS, LIBMYSQL_PLUGIN_DIR */
	case WORD('M', 'A', 'R', 'I', 'A', 'D', 'B', '_'): /* MARIADB_PLUGIN_DIR */
		return next == WORD('P', 'L', 'U', 'G', 'I', 'N', '_', 'D') ? 41 : 0;
	}
	/* PHPRC, ENV */
	if ((begin & 0xffffffffffff) == WORD('P', 'H', 'P', 'R', 'C', '=', 0, 0))
		return 29;
	return (begin & 0xffffffff) == WORD('E', 'N', 'V', '=', 0, 0, 0, 0) ? 20 : 0;
}

/*
 * Takes the string at `variable`, or its next part, and goes on to what is behind it. 0 if it cannot be read. Without
 * branches: the loop around this multiplies what the verifier has to follow.
 */
static __noinline int take_variable(struct path_scratch *scratch)
{
	long length = bpf_probe_read_user_str(scratch->components, VARIABLE_PART, (void *)scratch->variable);
	__u64 *text = (__u64 *)scratch->components;
	__u64 is_begin = scratch->within - 1ULL;
	__u64 within;

	if (length <= 0)
		return 0;
	scratch->variables |= 1ULL << (variable_number(text[0] & is_begin, text[1]) & 63);
	/* A string that fills the buffer goes on, or ends just there. */
	within = (__u64)length / VARIABLE_PART;
	scratch->within = within;
	scratch->variable += length - within;
	return 1;
}

/* Enters which of the variables are in the environment of the task, which has just been given it: a bit for each. */
static __noinline int read_variables(struct path_scratch *scratch, struct task_struct *task)
{
	__u64 end = BPF_CORE_READ(task, mm, env_end);
	int i;

	scratch->variable = BPF_CORE_READ(task, mm, env_start);
	scratch->variables = NO_VARIABLE;
	scratch->within = 0;
	for (i = 0; i < VARIABLES_MAX && scratch->variable < end; i++) {
		__builtin_memset(scratch->components, 0, sizeof(__u64));
		if (!take_variable(scratch))
			break;
	}
	if (scratch->variable < end)
		scratch->variables = VARIABLES_UNKNOWN;
	return 0;
}

/*
 * Is the task in the mount namespace of the PID namespace's first process? Each container has one of its own. Cgroups do not
 * tell containers apart: root of one may make further ones below it.
 */
static __always_inline int has_mounts_of(struct task_struct *task, struct pid_namespace *namespace)
{
	return BPF_CORE_READ(task, nsproxy, mnt_ns) == BPF_CORE_READ(namespace, child_reaper, nsproxy, mnt_ns);
}

/*
 * What the task may have been started with. On the machine itself, nothing is taken for granted. Where containers share a
 * PID namespace, its first process is another container's, and says nothing.
 */
static __always_inline __u64 expected_variables(struct task_struct *task)
{
	struct pid_namespace *namespace = BPF_CORE_READ(task, nsproxy, pid_ns_for_children);
	__u32 first = BPF_CORE_READ(namespace, child_reaper, tgid);
	struct process *process;

	if (!BPF_CORE_READ(namespace, level))
		return 0;
	if (first == (__u32)BPF_CORE_READ(task, tgid))
		return VARIABLES_UNKNOWN;
	process = bpf_map_lookup_elem(&processes, &first);
	if (!process)
		return 0;
	return process->cgroup_id == cgroup_id_of(task) || has_mounts_of(task, namespace) ? process->variables : VARIABLES_UNKNOWN;
}

/*
 * The kernel looks for a program's linker, and the linker for its libraries, below the task's root directory. One that the
 * task has chosen (chroot), or that another process may change meanwhile (CLONE_FS), is no container's: that is, in the task's
 * own mount namespace, the top of the mount tree, what was mounted upon the top (pivot_root, MS_MOVE), or the root of an overlay.
 */
static __always_inline int has_chosen_root(struct task_struct *task)
{
	struct dentry *dentry = BPF_CORE_READ(task, fs, root.dentry);
	struct mount *mount = mount_of(BPF_CORE_READ(task, fs, root.mnt));

	if (!has_own_directories(task) || dentry != BPF_CORE_READ(mount, mnt.mnt_root) ||
	    BPF_CORE_READ(mount, mnt_ns) != BPF_CORE_READ(task, nsproxy, mnt_ns))
		return 1;
	return BPF_CORE_READ(mount, mnt_mountpoint) != BPF_CORE_READ(mount, mnt_parent, mnt.mnt_root) &&
	       !is_overlay_root(dentry, mount);
}

#define FILTERS_MAX 32

/*
 * Does somebody answer the task's system calls (seccomp_unotify(2))? He hands it whatever file he likes in a library's place. What
 * the container's first process has, its runtime has installed.
 */
static __noinline int is_supervised(struct task_struct *task)
{
	struct seccomp_filter *filter, *runtime;
	int i;

	if (!bpf_core_field_exists(((struct seccomp_filter *)0)->notif))
		return 0;
	runtime = BPF_CORE_READ(task, nsproxy, pid_ns_for_children, child_reaper, seccomp.filter);
	filter = BPF_CORE_READ(task, seccomp.filter);
	for (i = 0; i < FILTERS_MAX && filter && filter != runtime; i++) {
		if (BPF_CORE_READ(filter, notif))
			return 1;
		filter = BPF_CORE_READ(filter, prev);
	}
	return filter && filter != runtime;
}

/* Did whoever started the task choose what code the program runs? */
static __always_inline int is_led_astray(struct task_struct *task, __u64 variables)
{
	return is_traced(task) || is_supervised(task) || has_chosen_root(task) || (variables & ~expected_variables(task) & ~NO_VARIABLE);
}

#endif
