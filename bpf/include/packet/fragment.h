/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The verdict of a datagram's first fragment, which holds its headers, is that of all. */
#ifndef PORTCULLIS_FRAGMENT_H
#define PORTCULLIS_FRAGMENT_H

#include "verdict/flow.h"
#include "verdict/verdict.h"

/* Seconds for which the kernel's own reassembly waits for the rest of a datagram, at most: RFC 8200, 4.5. */
#define FRAGMENT_LIFETIME 60

static __always_inline void fragment_key_of(struct __sk_buff *skb, struct scratch *s, struct fragment_key *key)
{
	key->socket = s->direction == DIRECTION_EGRESS ? cookie_of(skb) : 0;
	key->workload_id = s->workload.id;
	key->identification = s->packet.identification;
	__builtin_memcpy(key->source, s->packet.source, ADDRESS_LENGTH);
	__builtin_memcpy(key->destination, s->packet.destination, ADDRESS_LENGTH);
	key->protocol = s->packet.protocol;
	key->direction = s->direction;
}

/* Returns a reason: the others can only be judged if this is remembered. */
__noinline int remember_fragment(struct __sk_buff *skb, __u32 reason)
{
	struct scratch *s = get_scratch();
	struct fragment_key key = {};
	struct fragment fragment = { .reason = reason };

	if (!s)
		return REASON_CAPACITY;
	fragment.seen = s->now;
	fragment.table_id = s->workload.table_id;
	fragment.path_id = s->flow.subjects[0].path_id;
	fragment.length = s->packet.end - s->packet.l4_offset;
	fragment_key_of(skb, s, &key);
	if (put_fragment(&key, &fragment) == 0)
		return reason;
	count_error(ERROR_FRAGMENTS_FULL);
	return reason ? (int)reason : REASON_CAPACITY;
}

/*
 * What comes in may come out of order. One whose first has not been seen may pass: nothing is put together of it before
 * a first one, which is judged, has come too. What leaves is in order, and stays here without a first.
 */
__noinline int later_fragment_verdict(struct __sk_buff *skb)
{
	struct scratch *s = get_scratch();
	struct fragment_key key = {};
	struct fragment *first;

	if (!s)
		return TC_DROP;
	forget_flow(s);
	fragment_key_of(skb, s, &key);
	first = bpf_map_lookup_elem(&fragments, &key);
	/* Of an older table, or so old that nobody waits for the rest: not seen. */
	if (!first || first->table_id != s->workload.table_id ||
	    (__s64)(s->now - first->seen) > (__s64)(FRAGMENT_LIFETIME * SECOND))
		return s->direction == DIRECTION_INGRESS ? finish(skb, REASON_ALLOWED, 0)
							 : violation(skb, s, REASON_FRAGMENT);
	s->flow.subjects[0].path_id = first->path_id;
	if (first->reason)
		return violation(skb, s, first->reason);
	if (s->packet.fragment_offset < first->length)
		return violation(skb, s, REASON_FRAGMENT);
	return finish(skb, REASON_ALLOWED, 0);
}

/* Lets a packet in or out that no flow has to be stored for, and so the fragments that it begins. */
static __always_inline int admit(struct __sk_buff *skb, struct scratch *s)
{
	int reason = REASON_ALLOWED;

	if (s->packet.flags & PACKET_FIRST_FRAGMENT)
		reason = remember_fragment(skb, REASON_ALLOWED);
	return reason ? violation(skb, s, reason) : finish(skb, REASON_ALLOWED, 0);
}

#endif
