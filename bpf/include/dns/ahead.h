/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Segments of DNS over TCP that come before those in front of them (RFC 9293, 3.10.7.4). They are kept, one row of bytes for a
 * connection and direction, until what was missing has come.
 */
#ifndef PORTCULLIS_DNS_AHEAD_H
#define PORTCULLIS_DNS_AHEAD_H

#include "dns/message.h"

#define PART_AHEAD 2 /* beside the direction in a key of `dns_parts` */
/* So many bytes may be missing: as many as a window without scaling has. */
#define DNS_GAP_MAX 65535
#define KEPT_CHUNK 64

static __always_inline int has_ahead(struct scratch *s)
{
	return s->direction == DIRECTION_EGRESS ? s->flow.dns_ahead[0] : s->flow.dns_ahead[1];
}

static __always_inline void set_ahead(struct scratch *s, __u8 has)
{
	if (s->direction == DIRECTION_EGRESS)
		s->flow.dns_ahead[0] = has;
	else
		s->flow.dns_ahead[1] = has;
}

static __always_inline void prepare_ahead_key(struct scratch *s, struct dns_message *m)
{
	m->ahead_key = s->key;
	m->ahead_key.padding[0] = s->direction | PART_AHEAD;
}

/* Null if nothing is kept, or it has been pushed out. */
static __always_inline struct dns_bytes *find_ahead(struct scratch *s, struct dns_message *m)
{
	return has_ahead(s) ? bpf_map_lookup_elem(&dns_parts, &m->ahead_key) : NULL;
}

/*
 * Has a part of the questions left ahead that nobody knows any more? What leads to it could make another question of it, and is
 * refused: the connection goes no further. Of answers, less is learned.
 */
static __always_inline int is_question_lost(struct scratch *s, struct dns_message *m)
{
	if (s->direction != s->flow.direction || !has_ahead(s) || find_ahead(s, m))
		return 0;
	count_error(ERROR_DNS_PARTS_FULL);
	return 1;
}

/* A function of its own: the stack is short where this is called. */
static __noinline int put_dns_part(const struct flow_key *key, struct dns_bytes *bytes)
{
	struct dns_bytes *known = bpf_map_lookup_elem(&dns_parts, key);
	int position = known ? (int)known->position
			     : take_place(&dns_parts, SHARE_DNS_PARTS, DNS_PARTS_SHARE, key->workload_id, key, sizeof(*key));

	if (position < 0)
		return -1;
	bytes->position = position;
	return bpf_map_update_elem(&dns_parts, key, bytes, BPF_ANY);
}

/* The first that is kept of a connection. Returns 0, or -1 if there is no room. */
static __always_inline int begin_ahead(struct __sk_buff *skb, struct scratch *s, struct dns_message *m, __u32 size)
{
	struct dns_bytes *bytes = get_dns_bytes();

	if (has_ahead(s)) {
		count_error(ERROR_DNS_PARTS_FULL); /* what was kept has been pushed out, and will not come again */
		return -1;
	}
	if (!bytes || size > DNS_MESSAGE_MAX)
		return -1;
	if (s->is_foreign)
		return 0;
	if (load_message(skb, s->packet.payload_offset, size) < 0)
		return -1;
	bytes->from = s->packet.sequence;
	bytes->length = size;
	if (put_dns_part(&m->ahead_key, bytes) < 0) {
		count_error(ERROR_DNS_PARTS_FULL);
		return -1;
	}
	set_ahead(s, 1);
	return 0;
}

/* Keeps the segment: the first, or one that goes on where what is kept ends. Returns 0, or -1 if it cannot be kept. */
__noinline int keep_ahead(struct __sk_buff *skb)
{
	struct dns_message *m = get_dns_message();
	struct scratch *s = get_scratch();
	__u32 known, length, at, size;
	struct dns_bytes *kept;

	if (!m || !s)
		return -1;
	size = s->packet.end - s->packet.payload_offset;
	kept = find_ahead(s, m);
	if (!kept)
		return begin_ahead(skb, s, m, size);
	length = kept->length;
	at = s->packet.sequence - kept->from;
	if (at > length)
		return -1;
	known = length - at;
	if (known >= size)
		return 0;
	size -= known;
	if (length > DNS_MESSAGE_MAX || size > DNS_MESSAGE_MAX - length)
		return -1;
	if (s->is_foreign)
		return 0;
	at = length & DNS_MESSAGE_MASK;
	barrier_var(at);
	if (read_bytes(skb, s->packet.payload_offset + known, kept->at + at, size, DNS_MESSAGE_MASK) < 0)
		return -1;
	kept->length = length + size;
	return 0;
}

/* Nothing is kept any more. The stream is at least behind what was. Returns 0. */
__noinline int forget_ahead(void)
{
	struct dns_message *m = get_dns_message();
	struct scratch *s = get_scratch();
	struct dns_bytes *kept;

	if (!m || !s)
		return 0;
	kept = find_ahead(s, m);
	if (!kept) {
		if (has_ahead(s))
			set_ahead(s, 0); /* it has been pushed out */
		return 0;
	}
	if ((__s32)(kept->from + kept->length - s->stream.next) > 0)
		s->stream.next = kept->from + kept->length;
	if (!s->is_foreign)
		bpf_map_delete_elem(&dns_parts, &m->ahead_key);
	set_ahead(s, 0);
	return 0;
}

/* If the stream has come to what was kept, reading goes on there. Returns whether it does. */
__noinline int turn_to_kept(void)
{
	struct dns_message *m = get_dns_message();
	struct scratch *s = get_scratch();
	struct dns_bytes *kept;
	__u32 at;

	if (!m || !s)
		return 0;
	kept = find_ahead(s, m);
	if (!kept)
		return 0;
	at = s->stream.next - kept->from;
	if ((__s32)at < 0)
		return 0;
	if (at >= kept->length)
		return forget_ahead(); /* it was sent again, or is the rest of an answer */
	s->stream.offset = at;
	s->stream.end = kept->length;
	s->stream.is_kept = 1;
	return 1;
}

/* Copies KEPT_CHUNK bytes of what was kept to `dns_bytes`, which has room behind the last offset. Returns 0, or -1. */
__noinline int copy_kept_chunk(__u32 from, __u32 to)
{
	struct dns_message *m = get_dns_message();
	struct dns_bytes *bytes = get_dns_bytes(), *kept;

	kept = m ? bpf_map_lookup_elem(&dns_parts, &m->ahead_key) : NULL;
	if (!kept || !bytes)
		return -1;
	from &= DNS_MESSAGE_MASK;
	to &= DNS_MESSAGE_MASK;
	barrier_var(from);
	barrier_var(to);
	__builtin_memcpy(bytes->at + to, kept->at + from, KEPT_CHUNK);
	return 0;
}

static __always_inline int copy_kept(__u32 from, __u32 to, __u32 size)
{
	for (__u32 at = 0; at < DNS_MESSAGE_MAX; at += KEPT_CHUNK) {
		if (at >= size)
			break;
		if (copy_kept_chunk(from + at, to + at) < 0)
			return -1;
	}
	return 0;
}

/* Reads a length, or half of it, in the packet or in what was kept. Returns 0, or less. */
static __always_inline long read_prefix(struct __sk_buff *skb, struct scratch *s, struct dns_message *m, __u8 *to,
					const __u32 size)
{
	__u32 offset = s->stream.offset;
	struct dns_bytes *kept;

	if (!s->stream.is_kept)
		return bpf_skb_load_bytes(skb, offset, to, size);
	kept = bpf_map_lookup_elem(&dns_parts, &m->ahead_key);
	if (!kept)
		return -1;
	offset &= DNS_MESSAGE_MASK;
	barrier_var(offset);
	to[0] = kept->at[offset];
	if (size > 1)
		to[1] = kept->at[offset + 1];
	return 0;
}

/* Where a byte was seen, for the event. */
static __always_inline __u32 place_of(struct scratch *s, __u32 offset)
{
	return s->stream.is_kept ? offset : offset - s->packet.payload_offset;
}

#endif
