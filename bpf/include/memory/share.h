/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Shares: of every map that traffic fills, each workload has a share, and who has filled its own pushes out what is its
 * own and nobody else's. The maps together hold more than all shares that are full at once are expected to take.
 *
 * A share is a ring of places. A place has the key of one entry; when its turn comes again, that entry goes. Entries that are
 * deleted, or pushed out of the same place by two CPUs at once, leave a place behind that is taken as if it was empty.
 */
#ifndef PORTCULLIS_SHARE_H
#define PORTCULLIS_SHARE_H

#include "memory/flow_record.h"

#define PLACE_TRIES 8 /* flows in use that are passed over in search of one that is not */

/* Not on the stack, which is short there: see dns/flow.h. */
static const struct place empty_place;

/* The place whose turn it is, of `size` in the ring. */
static __always_inline __u32 next_position(struct share *share, __u32 size)
{
	__u32 position;

	bpf_spin_lock(&share->lock);
	position = share->next;
	share->next = position + 1 >= size ? 0 : position + 1;
	if (share->used < size)
		share->used++;
	bpf_spin_unlock(&share->lock);
	return position;
}

/* A flow that has had packets since its place's last turn may stay until the next one, as in any clock of pages. */
static __always_inline int may_flow_stay(const struct place *place)
{
	struct flow *flow = bpf_map_lookup_elem(&flows, place->key);

	if (!flow || !flow->used)
		return 0;
	flow->used = 0;
	return 1;
}

/* A question that has been answered is kept for late answers, as long as there is room. */
static __always_inline int is_loss(__u32 kind, const struct place *place)
{
	struct dns_query *query;

	if (kind != SHARE_DNS_QUERIES)
		return 1;
	query = bpf_map_lookup_elem(&dns_queries, place->key);
	return query && !query->answered;
}

/*
 * Has an entry still the place that it once took? Parts of DNS messages are deleted when they are whole, and what the same
 * connection keeps next is entered under the same key, in another place.
 */
static __always_inline int is_in_place(__u32 kind, const struct place *place, __u32 position)
{
	struct dns_bytes *part;

	if (kind != SHARE_DNS_PARTS)
		return 1;
	part = bpf_map_lookup_elem(&dns_parts, place->key);
	return part && part->position == position;
}

/*
 * Finds a place for a key that is about to be entered in `map`, and pushes out who had it. Returns its position, or -1 for
 * no room.
 */
static __always_inline int take_place(void *map, __u32 kind, __u32 size, __u32 workload_id, const void *key,
				      __u32 key_size)
{
	struct place_key where = { .workload_id = workload_id, .kind = kind };
	struct share *share = share_of(workload_id, kind);
	struct place *place = NULL;

	if (!share)
		return -1;
	for (int i = 0; i < (kind == SHARE_FLOWS ? PLACE_TRIES : 1); i++) {
		where.position = next_position(share, size);
		place = bpf_map_lookup_elem(&places, &where);
		if (!place || kind != SHARE_FLOWS || !may_flow_stay(place))
			break;
	}
	if (!place) {
		bpf_map_update_elem(&places, &where, &empty_place, BPF_NOEXIST);
		place = bpf_map_lookup_elem(&places, &where);
		if (!place)
			return -1;
	} else if (is_in_place(kind, place, where.position)) {
		int loss = is_loss(kind, place);

		if (kind == SHARE_FLOWS && counts_flows) {
			struct flow *flow = bpf_map_lookup_elem(&flows, place->key);

			if (flow)
				report_flow((struct flow_key *)place->key, flow, 0);
		}
		if (!bpf_map_delete_elem(map, place->key) && loss)
			__sync_fetch_and_add(&share->lost, 1);
	}
	__builtin_memcpy(place->key, key, key_size);
	return where.position;
}

/* Enters a value, or replaces it. Returns 0, or an error if there is no room, which is the caller's to count. */
static __always_inline int put(void *map, __u32 kind, __u32 size, __u32 workload_id, const void *key, __u32 key_size,
			       const void *value)
{
	if (!bpf_map_update_elem(map, key, value, BPF_EXIST))
		return 0;
	if (take_place(map, kind, size, workload_id, key, key_size) < 0)
		return -1;
	return bpf_map_update_elem(map, key, value, BPF_ANY);
}

static __always_inline int put_flow(const struct flow_key *key, const struct flow *flow)
{
	return put(&flows, SHARE_FLOWS, FLOWS_SHARE, key->workload_id, key, sizeof(*key), flow);
}

/* What was refused has a share of its own, so that it pushes out nothing that was allowed. */
static __always_inline int put_fragment(const struct fragment_key *key, const struct fragment *fragment)
{
	if (fragment->reason)
		return put(&fragments, SHARE_REFUSED_FRAGMENTS, FRAGMENTS_SHARE, key->workload_id, key, sizeof(*key),
			   fragment);
	return put(&fragments, SHARE_FRAGMENTS, FRAGMENTS_SHARE, key->workload_id, key, sizeof(*key), fragment);
}

static __always_inline int put_icmp_request(const struct icmp_request_key *key, const __u64 *asked)
{
	return put(&icmp_requests, SHARE_ICMP_REQUESTS, ICMP_REQUESTS_SHARE, key->workload_id, key, sizeof(*key), asked);
}

static __always_inline int put_dns_query(const struct dns_query_key *key, const struct dns_query *query)
{
	return put(&dns_queries, SHARE_DNS_QUERIES, DNS_QUERIES_SHARE, key->flow.workload_id, key, sizeof(*key), query);
}

static __always_inline int put_dns_name(const struct dns_name_key *key, const struct dns_name *name)
{
	return put(&dns_names, SHARE_DNS_NAMES, DNS_NAMES_SHARE, key->workload_id, key, sizeof(*key), name);
}

static __always_inline int put_learned(const struct learned_key *key, const struct learned *value)
{
	return put(&learned, SHARE_LEARNED, LEARNED_SHARE, key->workload_id, key, sizeof(*key), value);
}

static __always_inline int put_last_listener(const struct last_listener_key *key, const struct actor *actor)
{
	return put(&last_listeners, SHARE_LAST_LISTENERS, LAST_LISTENERS_SHARE, key->workload_id, key, sizeof(*key), actor);
}

static __always_inline int put_limit(const struct limit_key *key, const struct limit *limit)
{
	return put(&limits, SHARE_LIMITS, LIMITS_SHARE, key->workload_id, key, sizeof(*key), limit);
}

/*
 * May the workload have one more counter? Counters are never pushed out. The one that stands in for all others (path 0)
 * is always there to be had.
 */
static __always_inline int may_have_counter(__u32 workload_id, __u32 path_id)
{
	struct share *share;
	int room;

	if (!path_id)
		return 1;
	share = share_of(workload_id, SHARE_COUNTERS);
	if (!share)
		return 0;
	bpf_spin_lock(&share->lock);
	room = share->used < COUNTERS_SHARE;
	if (room)
		share->used++;
	bpf_spin_unlock(&share->lock);
	if (!room)
		__sync_fetch_and_add(&share->lost, 1);
	return room;
}

#endif
