// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Which executable every process is: `processes`, kept by tracepoints at exec, fork and exit, and filled by an
 * iterators with what was there first. Attach the tracepoints before the iterators run: they never overwrite what
 * these have written.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "memory/claim.h"
#include "memory/epoch.h"
#include "memory/errors.h"
#include "process/ancestry.h"
#include "process/env.h"
#include "process/executable.h"
#include "process/script.h"
#include "process/started.h"
#include "process/task.h"

/* What comes from the task itself, whatever it runs. `known`: who it was until now, or was forked from; null if that is not known. */
static __always_inline void describe_task(struct task_struct *task, const struct process *known, struct process *process)
{
	__u64 cgroup_id = cgroup_id_of(task);

	process->start_time = start_time_of(task);
	process->cgroup_id = known ? cgroup_after_move(known->cgroup_id, cgroup_id) : cgroup_id;
	if (known && enters(known, process->cgroup_id))
		process->flags |= PROCESS_ENTERED;
	process->owner = memory_owner_of(task, process->cgroup_id);
	process->netns_inum = netns_inum_of(task);
	bpf_probe_read_kernel(process->comm, sizeof(process->comm), &task->comm);
}

static __always_inline void describe_parent(__u32 parent_tgid, struct process *process)
{
	struct process *parent = bpf_map_lookup_elem(&processes, &parent_tgid);

	process->parent_tgid = parent_tgid;
	process->parent_path_id = parent ? parent->path_id : 0;
}

/*
 * Enters a process, or replaces its entry: `known`, which may be one that a predecessor of its number has left. One whose
 * owner has had its part has no entry, and is judged by `default`. Returns 0 if there is an entry now.
 */
static __always_inline int store_process(__u32 tgid, const struct process *process, const struct process *known)
{
	__u64 before = known ? known->owner : 0;
	int failed;

	if (known && before == process->owner)
		return bpf_map_update_elem(&processes, &tgid, process, BPF_ANY);
	if (!take_claim(process->owner, CLAIM_PROCESSES, PROCESSES_CLAIM))
		return -1;
	failed = bpf_map_update_elem(&processes, &tgid, process, BPF_ANY);
	give_claim_back(failed ? process->owner : before, CLAIM_PROCESSES);
	if (failed) {
		refuse_claim(process->owner, CLAIM_PROCESSES);
		count_error(ERROR_PROCESSES_FULL);
	}
	return failed;
}

/* Enters a process unless the tracepoints have been faster. */
static __always_inline void add_process(__u32 tgid, const struct process *process)
{
	if (!take_claim(process->owner, CLAIM_PROCESSES, PROCESSES_CLAIM) ||
	    !bpf_map_update_elem(&processes, &tgid, process, BPF_NOEXIST))
		return;
	give_claim_back(process->owner, CLAIM_PROCESSES);
	if (!bpf_map_lookup_elem(&processes, &tgid))
		count_error(ERROR_PROCESSES_FULL);
}

static __always_inline void remove_process(__u32 tgid)
{
	struct process *known = bpf_map_lookup_elem(&processes, &tgid);
	__u64 owner = known ? known->owner : 0;

	if (!bpf_map_delete_elem(&processes, &tgid))
		give_claim_back(owner, CLAIM_PROCESSES);
}

/*
 * The kernel swaps `interp` for an interpreter's name at a shebang, and for a binfmt_misc handler. A handler that
 * gets the file as a descriptor shows here, and is no script.
 */
static __always_inline int is_script(struct linux_binprm *binary)
{
	if (BPF_CORE_READ_BITFIELD_PROBED(binary, have_execfd))
		return 0;
	return BPF_CORE_READ(binary, interp) != BPF_CORE_READ(binary, filename);
}

static __always_inline void describe_script(struct path_scratch *scratch, struct linux_binprm *binary,
					    struct process *process)
{
	resolve_script((__u64)BPF_CORE_READ(binary, filename));
	process->script_id = scratch->script_id;
	process->script_changed = scratch->script_changed;
	process->flags |= scratch->script_flags;
	if (scratch->script_id && is_env(BPF_CORE_READ(binary, interp)))
		process->flags |= PROCESS_LED_BY_ENV;
}

/* What was env until now, for a script, stays the script. A changed env has executed whatever it likes: then the script counts as changed. */
static __always_inline void keep_script(struct task_struct *task, struct linux_binprm *binary,
					const struct process *before, struct process *process)
{
	if (is_script(binary) || !(before->flags & PROCESS_LED_BY_ENV) || (before->flags & (PROCESS_MODIFIED | PROCESS_DELETED)) ||
	    !is_led_to_interpreter(task, BPF_CORE_READ(binary, file)))
		return;
	process->script_id = before->script_id;
	process->script_changed = before->changed > before->script_changed ? before->changed : before->script_changed;
	if (before->flags & (PROCESS_MOUNTED | PROCESS_SCRIPT_MOUNTED))
		process->flags |= PROCESS_SCRIPT_MOUNTED;
}

/* The path, flags, script and ancestry of a process that executes `binary`, after `before` if that is known. */
static __always_inline void describe_exec(struct task_struct *task, struct linux_binprm *binary,
					  const struct process *before, struct process *process)
{
	struct path_scratch *scratch = take_scratch(task, process->owner);
	struct executable executable;

	process->flags = PROCESS_PATH_UNKNOWN;
	process->ancestry = ANCESTRY_UNKNOWN;
	if (!scratch)
		return;
	read_variables(scratch, task);
	process->variables = scratch->variables;
	resolve_executable(scratch, task, BPF_CORE_READ(binary, file), &executable);
	process->path_id = executable.path_id;
	process->changed = executable.changed;
	process->flags = executable.flags;
	if (is_script(binary))
		describe_script(scratch, binary, process);
	if (is_led_astray(task, process->variables))
		process->flags |= PROCESS_MODIFIED;
	if (before) {
		keep_script(task, binary, before, process);
		process->ancestry = ancestry_after(scratch, before, process->script_id);
	}
	give_scratch_back();
}

SEC("raw_tp/sched_process_exec")
int process_executed(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	struct linux_binprm *binary = (void *)ctx->args[2];
	__u32 tgid = BPF_CORE_READ(task, tgid);
	struct process process = { .lineage = tgid };
	__u32 lineage = tgid;
	struct process *before = bpf_map_lookup_elem(&processes, &tgid);

	if (before && before->start_time != start_time_of(task))
		before = NULL;
	describe_task(task, before, &process);
	describe_exec(task, binary, before, &process);
	if (before) {
		lineage = before->lineage;
		process.parent_tgid = before->parent_tgid;
		process.parent_path_id = before->parent_path_id;
	} else {
		describe_parent(BPF_CORE_READ(task, real_parent, tgid), &process);
	}
	/* An entry that could not be replaced would leave the process with its predecessor's rights. */
	if (store_process(tgid, &process, before))
		remove_process(tgid);
	begin_process_epoch(lineage);
	return 0;
}

/*
 * What a process runs that is not seen at its exec. A kernel thread's child has nothing to run yet. What the kernel says that
 * a process runs, the process may have changed (PR_SET_MM, by a task in a user namespace that shares its memory): it is
 * believed of processes that are older than the programs, and not where one may be unknown because its owner has too many.
 */
static __always_inline void describe_running(struct task_struct *task, struct process *process)
{
	struct path_scratch *scratch;
	struct executable executable;

	process->flags = PROCESS_PATH_UNKNOWN;
	process->variables = VARIABLES_UNKNOWN;
	process->ancestry = ANCESTRY_UNKNOWN;
	if (was_claim_refused(process->owner, CLAIM_PROCESSES))
		return;
	scratch = take_scratch(task, process->owner);
	resolve_executable(scratch, task, BPF_CORE_READ(task, mm, exe_file), &executable);
	process->path_id = executable.path_id;
	process->changed = executable.changed;
	process->flags = executable.flags;
	give_scratch_back();
}

/* Runs before the child does. Threads are part of their process and have no entry. */
SEC("raw_tp/sched_process_fork")
int process_forked(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *parent = (void *)ctx->args[0];
	struct task_struct *child = (void *)ctx->args[1];
	__u32 parent_tgid = BPF_CORE_READ(parent, tgid);
	__u32 tgid = BPF_CORE_READ(child, tgid);
	struct process process = { .lineage = tgid };
	struct process *known;

	if (!is_leader(child) || is_kernel_thread(child))
		return 0;
	known = bpf_map_lookup_elem(&processes, &parent_tgid);
	if (known && known->start_time != start_time_of(parent))
		known = NULL;
	describe_task(child, known, &process);
	if (known) {
		process.path_id = known->path_id;
		process.script_id = known->script_id;
		process.flags |= known->flags;
		process.ancestry = known->ancestry;
		process.lineage = known->lineage;
		process.variables = known->variables;
		process.changed = known->changed;
		process.script_changed = known->script_changed;
	} else {
		describe_running(child, &process);
	}
	describe_parent(parent_tgid, &process);
	/* A process that was missed when it ended may have left an entry under this number. */
	if (store_process(tgid, &process, bpf_map_lookup_elem(&processes, &tgid)))
		remove_process(tgid);
	return 0;
}

/* The entry lives until the last thread ends: the first one may end long before the others. */
SEC("raw_tp/sched_process_exit")
int process_exited(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	__u32 tgid = BPF_CORE_READ(task, tgid);

	if (is_process_dead(task))
		remove_process(tgid);
	return 0;
}

/* A container runtime may move a process into its cgroup after the fork, and need not execute anything then. */
SEC("raw_tp/cgroup_attach_task")
int process_moved(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[2];
	__u32 tgid = BPF_CORE_READ(task, tgid);
	struct process *process;
	__u64 cgroup_id;

	if (!is_leader(task))
		return 0;
	process = bpf_map_lookup_elem(&processes, &tgid);
	if (!process)
		return 0;
	cgroup_id = cgroup_after_move(process->cgroup_id, cgroup_id_of(task));
	if (process->cgroup_id == cgroup_id)
		return 0;
	if (enters(process, cgroup_id))
		process->flags |= PROCESS_ENTERED;
	process->cgroup_id = cgroup_id;
	begin_process_epoch(process->lineage);
	return 0;
}

/* Enters every process that has no entry yet. A leader that has ended is stood in for by another thread. */
SEC("iter/task")
int find_processes(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct process process = {};
	struct process *known;
	__u32 tgid;

	if (!task || is_kernel_thread(task) || !BPF_CORE_READ(task, mm) || is_process_dead(task))
		return 0;
	tgid = BPF_CORE_READ(task, tgid);
	process.lineage = tgid;
	process.start_time = start_time_of(task);
	known = bpf_map_lookup_elem(&processes, &tgid);
	if (known && known->start_time == process.start_time)
		return 0;
	if (known)
		remove_process(tgid);
	describe_task(task, NULL, &process);
	describe_running(task, &process);
	process.flags |= PROCESS_FOUND;
	describe_parent(BPF_CORE_READ(task, real_parent, tgid), &process);
	add_process(tgid, &process);
	/* If it ended meanwhile, process_exited may have come before the entry. */
	if (is_process_dead(task))
		remove_process(tgid);
	return 0;
}

#define GENERATIONS_MAX 32

/* Who began the process of a task, as long as that one, or who has taken its place since, is there. */
static __always_inline struct task_struct *parent_of(struct task_struct *task)
{
	return BPF_CORE_READ(task, group_leader, real_parent);
}

/*
 * Adds to the set in the taken scratch what the parent of its task runs, which is the task to go on with. 0 at the end: at whoever is
 * in another cgroup, as a container's runtime is. One that runs what its child runs has been forked from.
 */
__noinline int climb(void)
{
	struct path_scratch *scratch = taken_scratch();
	struct process *process, *parent;
	struct task_struct *task;
	__u32 tgid, parent_tgid;

	if (!scratch)
		return 0;
	task = scratch->task;
	tgid = BPF_CORE_READ(task, tgid);
	task = parent_of(task);
	if (is_kernel_thread(task) || !BPF_CORE_READ(task, mm))
		return 0;
	scratch->task = task;
	parent_tgid = BPF_CORE_READ(task, tgid);
	if (parent_tgid == MACHINE_INIT)
		return 0;
	process = bpf_map_lookup_elem(&processes, &tgid);
	parent = bpf_map_lookup_elem(&processes, &parent_tgid);
	if (!process || !parent) {
		add_ancestor(0, 0);
		return 0;
	}
	if (parent->cgroup_id != process->cgroup_id)
		return 0;
	if (parent->path_id != process->path_id || parent->script_id != process->script_id)
		add_image(parent, process->script_id);
	return 1;
}

/*
 * What led to the processes that are older than the programs, as far as it is still there: runs after find_processes, so that
 * every parent has its entry.
 */
SEC("iter/task")
int find_ancestors(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct path_scratch *scratch;
	struct process *process;
	__u32 tgid;
	int i, more = 1;

	if (!task || !is_leader(task))
		return 0;
	tgid = BPF_CORE_READ(task, tgid);
	process = bpf_map_lookup_elem(&processes, &tgid);
	if (!process || !(process->flags & PROCESS_FOUND) || process->ancestry != ANCESTRY_UNKNOWN)
		return 0;
	scratch = take_scratch(task, process->owner);
	if (!scratch)
		return 0;
	for (i = 0; more && i < GENERATIONS_MAX; i++)
		more = climb();
	if (more)
		add_ancestor(0, 0);
	process->ancestry = intern_ancestry(scratch);
	give_scratch_back();
	begin_process_epoch(process->lineage);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
