// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * A script's own file, at the only moment when the kernel shows it: the security modules' look at an exec, before the
 * interpreter takes the script's place. By the tracepoint at the end of the exec (bpf/processes.bpf.c) only the path
 * that was typed is left. One of the three programs is loaded, and none on kernels that allow none of them.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "executable.h"

/* Called again for the interpreter, and for the interpreter's own: the first look is the one at what was executed. */
static __always_inline int is_first_look(struct linux_binprm *binary)
{
	return BPF_CORE_READ(binary, interp) == BPF_CORE_READ(binary, filename);
}

static __always_inline int has_shebang(struct linux_binprm *binary)
{
	char begin[2] = {};

	bpf_core_read(begin, sizeof(begin), &binary->buf);
	return begin[0] == '#' && begin[1] == '!';
}

static __always_inline void look_at_exec(struct linux_binprm *binary)
{
	__u64 key = bpf_get_current_pid_tgid(), address = (__u64)binary;
	struct shebang shebang = {};
	struct executable executable;
	struct path_scratch *scratch;

	if (!is_first_look(binary))
		return;
	if (!has_shebang(binary)) {
		/* An exec before this one may have had its place in memory, and have failed. */
		bpf_map_delete_elem(&shebangs, &address);
		return;
	}
	scratch = take_scratch(key);
	resolve_executable(scratch, (struct task_struct *)bpf_get_current_task(), BPF_CORE_READ(binary, file),
			   &executable);
	give_scratch_back(key);
	shebang.path_id = executable.path_id;
	shebang.flags = executable.flags;
	bpf_map_update_elem(&shebangs, &address, &shebang, BPF_ANY);
}

SEC("lsm/bprm_check_security")
int BPF_PROG(lsm_execs, struct linux_binprm *binary)
{
	look_at_exec(binary);
	return 0;
}

SEC("fentry/security_bprm_check")
int BPF_PROG(fentry_execs, struct linux_binprm *binary)
{
	look_at_exec(binary);
	return 0;
}

SEC("kprobe/security_bprm_check")
int BPF_KPROBE(kprobe_execs, struct linux_binprm *binary)
{
	look_at_exec(binary);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
