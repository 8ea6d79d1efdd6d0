/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Epochs: until when a remembered verdict is good. Each process begins one for what rests on who it is (exec, another
 * cgroup, a socket that somebody else uses now), each network namespace one for what rests on its sockets. So whatever
 * one pod does makes nobody else's verdicts stale.
 *
 * A process's epochs go by its lineage: forked processes are who their parent is and may use its sockets unseen, so they
 * share its epochs until they execute something. Numbers beyond EPOCHS share an epoch with a lower one, which costs a
 * judgement more now and then, and is never wrong.
 *
 * What changes is written first, and the epoch begun after it. Who remembers a verdict reads the epoch first, and looks
 * at what it rests on after that.
 */
#ifndef PORTCULLIS_EPOCH_H
#define PORTCULLIS_EPOCH_H

#include "process/container.h"

#define EPOCH_NONE 0xffffffffffffffffULL /* of what is judged again with the next packet */

static __always_inline __u64 process_epoch(__u32 lineage)
{
	__u32 index = lineage % EPOCHS;
	__u64 *epoch = bpf_map_lookup_elem(&process_epochs, &index);

	return epoch ? *epoch : EPOCH_NONE;
}

static __always_inline __u64 namespace_epoch(__u32 netns_inum)
{
	__u32 index = netns_inum % EPOCHS;
	__u64 *epoch = bpf_map_lookup_elem(&namespace_epochs, &index);

	return epoch ? *epoch : EPOCH_NONE;
}

/* What is remembered of the processes of a lineage is stale from here on. */
static __always_inline void begin_process_epoch(__u32 lineage)
{
	__u32 index = lineage % EPOCHS;
	__u64 *epoch = bpf_map_lookup_elem(&process_epochs, &index);

	if (epoch)
		__sync_fetch_and_add(epoch, 1);
}

/* What is remembered of the sockets of a network namespace is stale from here on. */
static __always_inline void begin_namespace_epoch(__u32 netns_inum)
{
	__u32 index = netns_inum % EPOCHS;
	__u64 *epoch = bpf_map_lookup_elem(&namespace_epochs, &index);

	if (epoch)
		__sync_fetch_and_add(epoch, 1);
}

/* Is the process still who this says, or gone? Where a snapshot was all there was, it still is. */
static __always_inline int is_current(const struct actor *actor)
{
	__u32 tgid = actor->tgid;
	struct process *process = bpf_map_lookup_elem(&processes, &tgid);

	if (!process || process->start_time != actor->start_time)
		return 1;
	return process->lineage == actor->lineage && process->path_id == actor->path_id &&
	       process->ancestry == actor->ancestry && process->script_id == actor->script_id && flags_of(process) == actor->flags &&
	       process->cgroup_id == actor->cgroup_id;
}

/*
 * The epoch in which it is certain that this is who the process is. An exec from here on begins another one; one that has just
 * been may have begun it already, and then no epoch is right.
 */
static __always_inline __u64 epoch_of(const struct actor *actor)
{
	__u64 epoch = process_epoch(actor->lineage);

	return is_current(actor) ? epoch : EPOCH_NONE;
}

/* Both only grow, so that the sum is what it was only if neither has changed. */
static __always_inline int is_epoch_over(const struct flow *flow, __u32 netns_inum)
{
	return flow->epoch != process_epoch(flow->lineage) + namespace_epoch(netns_inum);
}

#endif
