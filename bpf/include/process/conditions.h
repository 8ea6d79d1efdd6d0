/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Which blocks of a rule set hold for a process, by what led to it and by its user. Global and of numbers, so that the verifier
 * looks at each once.
 */
#ifndef PORTCULLIS_CONDITIONS_H
#define PORTCULLIS_CONDITIONS_H

#include "memory/maps.h"

/* Not the file that the image holds: changed, without a name any more, or mounted in a container. Policy treats them alike. */
static __always_inline int is_modified(__u32 process_flags, __u32 workload_flags)
{
	__u32 modified = PROCESS_MODIFIED | PROCESS_DELETED;

	return (process_flags & (workload_flags & WORKLOAD_OWN_ROOTS ? modified | PROCESS_MOUNTED : modified)) != 0;
}

/*
 * Blocks that hold below what led to a process. A changed file still is what must not be above it, and is not what has to
 * be, but for blocks with `binary: Any`. What is not known may be anything that must not be.
 */
__noinline __u64 blocks_by_ancestry(__u32 ruleset_id, __u32 ancestry_id, __u32 workload_flags)
{
	struct condition_key key = { .ruleset = ruleset_id, .kind = CONDITION_ANCESTOR };
	struct ruleset *ruleset = bpf_map_lookup_elem(&rulesets, &ruleset_id);
	struct known_ancestry *known;
	__u64 met = 0, failed = 0;
	int i;

	if (!ruleset || !(ruleset->with_ancestors | ruleset->without_ancestors))
		return ~0ULL;
	if (ancestry_id == ANCESTRY_NONE)
		return ruleset->blocks & ~ruleset->with_ancestors;
	known = bpf_map_lookup_elem(&ancestry_sets, &ancestry_id);
	if (!known)
		return ruleset->blocks & ~(ruleset->with_ancestors | ruleset->without_ancestors);
	for (i = 0; i < ANCESTORS_MAX; i++) {
		struct ancestor *ancestor = &known->ancestry.ancestors[i];
		struct condition *condition;

		if (!ancestor->path_id)
			break;
		key.value = ancestor->path_id;
		condition = bpf_map_lookup_elem(&conditions, &key);
		if (!condition)
			continue;
		failed |= condition->failed;
		met |= is_modified(ancestor->flags, workload_flags) ? condition->met & ruleset->any_binary : condition->met;
	}
	if (known->ancestry.incomplete)
		failed |= ruleset->without_ancestors;
	return ruleset->blocks & (~ruleset->with_ancestors | met) & ~failed;
}

/* Blocks that hold for a user. */
__noinline __u64 blocks_by_user(__u32 ruleset_id, __u32 uid)
{
	struct condition_key key = { .ruleset = ruleset_id, .kind = CONDITION_USER, .value = uid };
	struct ruleset *ruleset = bpf_map_lookup_elem(&rulesets, &ruleset_id);
	struct condition *condition;

	if (!ruleset || !ruleset->with_users)
		return ~0ULL;
	condition = bpf_map_lookup_elem(&conditions, &key);
	return ruleset->blocks & (~ruleset->with_users | (condition ? condition->met : 0));
}

#endif
