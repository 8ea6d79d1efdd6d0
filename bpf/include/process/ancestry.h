/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What led to a process: the executables that it, and who it was forked from, ran before. A fork hands the set on as it is, so that
 * neither the end of a parent nor another one (a daemon's double fork) changes anything; an exec adds what it replaces. What
 * a parent executes after the fork is not in it. Equal sets have one number, which is all that a process and a socket keep.
 */
#ifndef PORTCULLIS_ANCESTRY_H
#define PORTCULLIS_ANCESTRY_H

#include "process/container.h"
#include "process/path.h"

#define ANCESTRY_CLAIMS_MAX 8
#define MACHINE_INIT 1 /* everything comes from it: it tells nothing, and is nobody's ancestor */

/* Adds an executable to the set in the taken scratch, unless it is there. One that has no number leaves the set incomplete. */
__noinline int add_ancestor(__u32 path_id, __u32 flags)
{
	struct path_scratch *scratch = taken_scratch();
	struct ancestry *ancestry;
	int i;

	if (!scratch)
		return 0;
	ancestry = &scratch->known_ancestry.ancestry;
	for (i = 0; path_id && i < ANCESTORS_MAX; i++) {
		struct ancestor *ancestor = &ancestry->ancestors[i];

		if (!ancestor->path_id) {
			ancestor->path_id = path_id;
			ancestor->flags = flags;
			return 0;
		}
		if (ancestor->path_id == path_id && ancestor->flags == flags)
			return 0;
	}
	ancestry->incomplete = 1;
	return 0;
}

/* What a file has to be said of where it is an ancestor. */
static __always_inline __u32 ancestor_flags(__u32 is_changed, __u32 is_mounted)
{
	return (is_changed ? PROCESS_MODIFIED : 0) | (is_mounted ? PROCESS_MOUNTED : 0);
}

/* Adds what a process runs: its executable, and its script, unless `script_id` is that. */
static __always_inline void add_image(const struct process *process, __u32 script_id)
{
	__u32 flags = flags_of(process);

	add_ancestor(process->path_id, ancestor_flags(flags & (PROCESS_MODIFIED | PROCESS_DELETED), flags & PROCESS_MOUNTED));
	if (process->script_id && process->script_id != script_id)
		add_ancestor(process->script_id,
			     ancestor_flags(flags & PROCESS_SCRIPT_CHANGED, flags & PROCESS_SCRIPT_MOUNTED));
}

/* A number for the set in the scratch, as claim_path_id has it for paths. ANCESTRY_UNKNOWN, counted, if there is none to be had. */
static __always_inline __u32 claim_ancestry_id(struct path_scratch *scratch)
{
	__u32 index = 0;
	__u64 *sequence = bpf_map_lookup_elem(&ancestry_sequence, &index);
	__u64 owner = scratch->known_ancestry.owner;
	__u32 id;
	int i;

	if (!take_claim(owner, CLAIM_ANCESTRIES, ANCESTRIES_CLAIM))
		return ANCESTRY_UNKNOWN;
	if (!take_claim(CLAIM_OWNER_ALL, CLAIM_ANCESTRIES, ANCESTRIES_CLAIM_ALL))
		goto full;
	for (i = 0; sequence && i < ANCESTRY_CLAIMS_MAX; i++) {
		__sync_fetch_and_add(sequence, 1);
		id = *(volatile __u64 *)sequence;
		if (id != ANCESTRY_NONE && id != ANCESTRY_UNKNOWN &&
		    !bpf_map_update_elem(&ancestry_sets, &id, &scratch->known_ancestry, BPF_NOEXIST))
			return id;
	}
	give_claim_back(CLAIM_OWNER_ALL, CLAIM_ANCESTRIES);
full:
	give_claim_back(owner, CLAIM_ANCESTRIES);
	count_error(ERROR_ANCESTRIES_FULL);
	return ANCESTRY_UNKNOWN;
}

/* The number of the set in the scratch. */
static __noinline __u32 intern_ancestry(struct path_scratch *scratch)
{
	struct ancestry *ancestry = &scratch->known_ancestry.ancestry;
	__u32 *known, id;

	if (!ancestry->ancestors[0].path_id)
		return ancestry->incomplete ? ANCESTRY_UNKNOWN : ANCESTRY_NONE;
	known = bpf_map_lookup_elem(&ancestries, ancestry);
	if (known)
		return *known;
	id = claim_ancestry_id(scratch);
	if (id == ANCESTRY_UNKNOWN || !bpf_map_update_elem(&ancestries, ancestry, &id, BPF_NOEXIST))
		return id;
	/* Somebody was faster, or it is full. */
	bpf_map_delete_elem(&ancestry_sets, &id);
	give_claim_back(scratch->known_ancestry.owner, CLAIM_ANCESTRIES);
	give_claim_back(CLAIM_OWNER_ALL, CLAIM_ANCESTRIES);
	known = bpf_map_lookup_elem(&ancestries, ancestry);
	if (known)
		return *known;
	count_error(ERROR_ANCESTRIES_FULL);
	return ANCESTRY_UNKNOWN;
}

/*
 * The ancestry of a process that executes something else than `before`. What came into its cgroup from outside led to the
 * container's first process, and is not the container's. `script_id` is what it runs now.
 */
static __always_inline __u32 ancestry_after(struct path_scratch *scratch, const struct process *before, __u32 script_id)
{
	__u32 id = before->ancestry;
	struct known_ancestry *known;

	if ((before->flags & PROCESS_ENTERED) || before->lineage == MACHINE_INIT)
		return ANCESTRY_NONE;
	if (id == ANCESTRY_UNKNOWN)
		return ANCESTRY_UNKNOWN;
	if (id != ANCESTRY_NONE) {
		known = bpf_map_lookup_elem(&ancestry_sets, &id);
		if (!known)
			return ANCESTRY_UNKNOWN;
		__builtin_memcpy(&scratch->known_ancestry.ancestry, &known->ancestry, sizeof(known->ancestry));
	}
	add_image(before, script_id);
	return intern_ancestry(scratch);
}

#endif
