/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What the workload's kernel answers by itself: resets, ICMP errors, echo replies and the like. It does so without any
 * process's doing, and with bytes of the question in it. Whoever may write raw packets can put a question to it in anybody's
 * name, over the loopback interface, where nobody looks. So an answer leaves only if somebody outside has asked: a segment
 * within a flow that is known, an error about one, and a reply if it repeats a request that has come in. None has options of
 * IPv4: the kernel copies them from the question.
 */
#ifndef PORTCULLIS_KERNEL_ANSWER_H
#define PORTCULLIS_KERNEL_ANSWER_H

#include "dns/name.h"
#include "memory/share.h"
#include "memory/siphash.h"
#include "packet/icmp_error.h"

#define ICMP_TIMESTAMP_REQUEST 13
#define ICMP_TIMESTAMP_REPLY 14
#define ICMP_EXTENDED_ECHO_REPLY 43 /* RFC 8335; Linux answers it only where a sysctl says so */
#define ICMPV6_EXTENDED_ECHO_REPLY 161

#define TIMESTAMP_REPEATED 8 /* identifier, sequence number and the time of the request: RFC 792 */
#define REPEATED_OFFSET 4 /* of the identifier, in ICMP's header: what stands before it changes */
/* Longer than any answer is held up on its way to a neighbour who has to be found first: RFC 4861, 10. */
#define REQUEST_LIFETIME 10 /* seconds */

/* Of a datagram in fragments, which are not cut alike on the way in and out. The shortest first ones have so much. */
#define REPEATED_IN_FRAGMENTS 512

#define HASHED_BLOCK 512
#define HASHED_BLOCKS 129 /* more than 64 KiB */

/* Is this a request that the kernel would answer with what is in it? */
static __always_inline int is_icmp_request(struct packet *p)
{
	if (p->ethertype == ETHERTYPE_VALUE_IPV4)
		return p->protocol == PROTOCOL_ICMP &&
		       (p->icmp_type == ICMP_ECHO_REQUEST || p->icmp_type == ICMP_TIMESTAMP_REQUEST);
	return p->protocol == PROTOCOL_ICMPV6 && p->icmp_type == ICMPV6_ECHO_REQUEST;
}

static __always_inline int is_icmp_reply(struct packet *p)
{
	if (p->ethertype == ETHERTYPE_VALUE_IPV4)
		return p->protocol == PROTOCOL_ICMP &&
		       (p->icmp_type == ICMP_ECHO_REPLY || p->icmp_type == ICMP_TIMESTAMP_REPLY ||
			p->icmp_type == ICMP_EXTENDED_ECHO_REPLY);
	return p->protocol == PROTOCOL_ICMPV6 &&
	       (p->icmp_type == ICMPV6_ECHO_REPLY || p->icmp_type == ICMPV6_EXTENDED_ECHO_REPLY);
}

static __always_inline int is_timestamp(struct packet *p)
{
	return p->protocol == PROTOCOL_ICMP &&
	       (p->icmp_type == ICMP_TIMESTAMP_REQUEST || p->icmp_type == ICMP_TIMESTAMP_REPLY);
}

/* Adds up to HASHED_BLOCK bytes at `offset`, of which there is at least one before `end`. Returns 0, or -1. */
__noinline int hash_block(struct __sk_buff *skb, __u32 offset, __u32 end)
{
	struct dns_bytes *bytes = get_dns_bytes();
	struct scratch *s = get_scratch();
	__u32 length = end - offset;
	struct siphash hash;

	if (!s || !bytes)
		return -1;
	if (length > HASHED_BLOCK)
		length = HASHED_BLOCK;
	/* The last word may be filled in part. */
	*(__u64 *)(bytes->at + ((length - 1) & (HASHED_BLOCK - 8))) = 0;
	if (read_bytes(skb, offset, bytes->at, length, HASHED_BLOCK - 1) < 0)
		return -1;
	hash = s->hash;
	for (__u32 i = 0; i < HASHED_BLOCK; i += 8) {
		if (i >= length)
			break;
		siphash_add(&hash, *(__u64 *)(bytes->at + i));
	}
	s->hash = hash;
	return 0;
}

/*
 * Fills s->request_key with what a request and its reply have in common: the peer, and all bytes but the type and the checksum.
 * Returns 0, or -1 if they cannot be read.
 */
__noinline int hash_repeated(struct __sk_buff *skb)
{
	struct scratch *s = get_scratch();
	__u32 offset, end;

	if (!s)
		return -1;
	offset = s->packet.l4_offset + REPEATED_OFFSET;
	end = is_timestamp(&s->packet) ? offset + TIMESTAMP_REPEATED : s->packet.end;
	if (offset >= end || end > s->packet.end)
		return -1;
	if ((s->packet.flags & PACKET_FIRST_FRAGMENT) && end > offset + REPEATED_IN_FRAGMENTS)
		end = offset + REPEATED_IN_FRAGMENTS;
	siphash_begin(&s->hash, name_hash_multiplier, ~name_hash_multiplier);
	siphash_add(&s->hash, *(__u64 *)s->key.remote);
	siphash_add(&s->hash, *(__u64 *)(s->key.remote + 8));
	siphash_add(&s->hash, (__u64)(end - offset) << 32 | s->packet.icmp_code << 24 | is_timestamp(&s->packet) << 16 |
			      (s->packet.flags & PACKET_FIRST_FRAGMENT) << 8 | s->packet.protocol);
	for (int i = 0; i < HASHED_BLOCKS; i++) {
		if (offset >= end)
			break;
		if (hash_block(skb, offset, end))
			return -1;
		offset += HASHED_BLOCK;
	}
	s->request_key.workload_id = s->workload.id;
	s->request_key.hash = siphash_end(&s->hash);
	return 0;
}

/* A request that is let in. One that cannot be remembered gets no reply. */
__noinline int remember_request(struct __sk_buff *skb)
{
	struct scratch *s = get_scratch();

	if (!s || hash_repeated(skb))
		return 0;
	if (put_icmp_request(&s->request_key, &s->now))
		count_error(ERROR_ICMP_REQUESTS_FULL);
	return 0;
}

static __always_inline int repeats_request(struct __sk_buff *skb, struct scratch *s)
{
	__u64 *asked;

	if (hash_repeated(skb))
		return 0;
	asked = bpf_map_lookup_elem(&icmp_requests, &s->request_key);
	return asked && (__s64)(s->now - *asked) <= (__s64)(REQUEST_LIFETIME * SECOND);
}

/*
 * Is this an answer of the kernel's to what has not come in? An error about a flow has been distinguished before.
 * `has_flow`: whether one with the packet's ends is known.
 */
__noinline int answers_nobody(struct __sk_buff *skb, int has_flow)
{
	struct scratch *s = get_scratch();
	struct packet *p;

	if (!s)
		return 1;
	p = &s->packet;
	if (s->direction != DIRECTION_EGRESS || !(is_bare_tcp(p) || is_icmp_error(p) || is_icmp_reply(p)))
		return 0;
	if (is_bare_tcp(p) && has_flow && !has_ipv4_options(p))
		return 0;
	find_owner(skb);
	if (!is_from_kernel(s))
		return 0;
	return !is_icmp_reply(p) || has_ipv4_options(p) || !repeats_request(skb, s);
}

#endif
