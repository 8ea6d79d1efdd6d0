/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * From a process to the rules that judge it. Shared by the classifier (packets) and the socket hooks (listening).
 */
#ifndef PORTCULLIS_IDENTITY_H
#define PORTCULLIS_IDENTITY_H

#include "memory/epoch.h"
#include "process/conditions.h"

/*
 * Who the actor is now. A process may have executed something else since the snapshot was taken: its entry counts
 * as long as it is the same process (same start time). Otherwise the snapshot is all there is to know.
 * Returns 1 if the identity is live, 0 if it is the snapshot's.
 */
static __always_inline int current_actor(const struct actor *snapshot, struct actor *out)
{
	__u32 tgid = snapshot->tgid;
	struct process *process = bpf_map_lookup_elem(&processes, &tgid);

	*out = *snapshot;
	if (!process || process->start_time != snapshot->start_time)
		return 0;
	out->cgroup_id = process->cgroup_id;
	out->path_id = process->path_id;
	out->script_id = process->script_id;
	out->flags = flags_of(process);
	out->lineage = process->lineage;
	out->ancestry = process->ancestry;
	return 1;
}

/*
 * Enters the actor's container, 0 if it is none that policy knows by name. Returns whether what is listed for any is for it: one
 * that is not known yet may be an ephemeral one.
 */
static __always_inline int take_container(const struct actor *actor, const struct workload *workload,
					  struct subject *out)
{
	__u64 cgroup_id = actor->cgroup_id;
	struct container *container = bpf_map_lookup_elem(&containers, &cgroup_id);

	out->container_id = container ? container->id : 0;
	if (!(workload->flags & WORKLOAD_WITHOUT_EPHEMERAL))
		return 1;
	return container && !(container->flags & CONTAINER_EPHEMERAL);
}

/* The table's entry for a path: the one for this container if there is one, else the one for any, if that counts. */
static __always_inline struct binary *find_binary(__u32 table_id, __u32 path_id, __u32 container_id, int any)
{
	struct binary_key key = { .table_id = table_id, .path_id = path_id, .container_id = container_id };
	struct binary *binary;

	if (!path_id)
		return NULL;
	if (container_id) {
		binary = bpf_map_lookup_elem(&binaries, &key);
		if (binary)
			return binary;
		key.container_id = 0;
	}
	return any ? bpf_map_lookup_elem(&binaries, &key) : NULL;
}

/*
 * Blocks of a binary's rule set that hold: all of them for the image's own file, only those with `binary: Any` otherwise.
 */
static __always_inline __u64 blocks_for(int modified, __u32 ruleset_id)
{
	struct ruleset *ruleset;

	if (!modified)
		return ~0ULL;
	ruleset = bpf_map_lookup_elem(&rulesets, &ruleset_id);
	return ruleset ? ruleset->any_binary : 0;
}

/* Both are read, then one is chosen: indexing would let clang make pointer arithmetic that the verifier refuses. */
static __always_inline __u32 by_direction(const __u32 pair[2], __u32 direction)
{
	__u32 egress = pair[DIRECTION_EGRESS];
	__u32 ingress = pair[DIRECTION_INGRESS];

	return direction == DIRECTION_EGRESS ? egress : ingress;
}

/* The script that the actor runs, as far as the workload takes it for the image's own. */
static __always_inline __u32 script_of(const struct actor *actor, const struct workload *workload)
{
	if ((actor->flags & PROCESS_SCRIPT_MOUNTED) && (workload->flags & WORKLOAD_OWN_ROOTS))
		return 0;
	if (actor->flags & PROCESS_SCRIPT_CHANGED)
		return 0;
	return actor->script_id;
}

/* The subject's blocks that its ancestors and its user let hold. If that leaves none, `unmet` is why. */
static __always_inline void meet_conditions(struct subject *out, __u32 workload_flags)
{
	if (!out->mask)
		return;
	out->mask &= blocks_by_ancestry(out->ruleset, out->ancestry, workload_flags);
	if (!out->mask) {
		out->unmet = REASON_ANCESTRY;
		return;
	}
	out->mask &= blocks_by_user(out->ruleset, out->uid);
	if (!out->mask)
		out->unmet = REASON_USER;
}

/*
 * Fills `out` with the rights of `actor` in a workload: which rule set judges it in `direction`, and with which
 * blocks to begin. A script that the table lists goes by its own path, everything else by its binary's.
 * What the table does not list, a modified file without a block of `binary: Any`, and what meets no block's conditions, is
 * `default`: binary_id 0.
 * An actor without a process (path_id 0) is `default` as well, with path_id 0.
 */
static __noinline void subject_of(const struct actor *actor, const struct workload *workload, __u32 direction,
				       struct subject *out)
{
	int modified = is_modified(actor->flags, workload->flags);
	__u32 path_id = actor->path_id, script_id = script_of(actor, workload);
	int any = take_container(actor, workload, out);
	struct binary *binary;

	binary = find_binary(workload->table_id, script_id, out->container_id, any);
	if (binary)
		path_id = script_id;
	else
		binary = find_binary(workload->table_id, path_id, out->container_id, any);
	out->path_id = modified ? path_id | PATH_ID_MODIFIED : path_id;
	out->ancestry = actor->ancestry;
	out->uid = actor->uid;
	out->unmet = 0;
	if (binary) {
		out->ruleset = by_direction(binary->ruleset, direction);
		out->binary_id = binary->id;
		out->mask = blocks_for(modified, out->ruleset);
		meet_conditions(out, workload->flags);
		if (out->mask)
			return;
	}
	out->ruleset = by_direction(workload->default_ruleset, direction);
	out->binary_id = 0;
	out->mask = ~0ULL;
}

#endif
