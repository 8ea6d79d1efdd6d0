/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * DNS over TCP: each message has its length before it (RFC 7766, 8), and segments cut them anywhere. What has come of one is
 * put together with what follows; of a question no more than a few bytes leave before it is judged.
 */
#ifndef PORTCULLIS_DNS_STREAM_H
#define PORTCULLIS_DNS_STREAM_H

#include "dns/ahead.h"

#define MESSAGES_DONE -1

static __always_inline int sequence_flag(__u32 direction)
{
	return direction == DIRECTION_EGRESS ? FLOW_DNS_SEQUENCE_EGRESS : FLOW_DNS_SEQUENCE_INGRESS;
}

/* A message's length comes next. */
static __always_inline void begin_stream(struct scratch *s, __u32 sequence)
{
	s->stream.next = sequence;
	s->stream.length = 0;
	s->stream.held = 0;
}

static __always_inline void load_stream(struct scratch *s)
{
	int egress = s->direction == DIRECTION_EGRESS;

	s->stream.next = egress ? s->flow.dns_next[0] : s->flow.dns_next[1];
	s->stream.length = egress ? s->flow.dns_length[0] : s->flow.dns_length[1];
	s->stream.held = egress ? s->flow.dns_held[0] : s->flow.dns_held[1];
	s->stream.prefix = egress ? s->flow.dns_prefix[0] : s->flow.dns_prefix[1];
	s->stream.end = s->packet.end;
	s->stream.is_kept = 0;
	s->stream.is_apart = 0;
	s->stream.is_read = 0;
	if (!(s->flow.flags & sequence_flag(s->direction)))
		begin_stream(s, s->packet.sequence);
}

static __always_inline void store_stream(struct scratch *s)
{
	if (s->direction == DIRECTION_EGRESS) {
		s->flow.dns_next[0] = s->stream.next;
		s->flow.dns_length[0] = s->stream.length;
		s->flow.dns_held[0] = s->stream.held;
		s->flow.dns_prefix[0] = s->stream.prefix;
	} else {
		s->flow.dns_next[1] = s->stream.next;
		s->flow.dns_length[1] = s->stream.length;
		s->flow.dns_held[1] = s->stream.held;
		s->flow.dns_prefix[1] = s->stream.prefix;
	}
	s->flow.flags |= sequence_flag(s->direction);
}

/* Puts what judging a packet has changed in the copy of its flow into the flow. Nobody else does: see dns/lock.h. */
static __always_inline void keep_streams(struct flow *flow, struct scratch *s)
{
	__builtin_memcpy(flow->dns_next, s->flow.dns_next, sizeof(flow->dns_next));
	__builtin_memcpy(flow->dns_length, s->flow.dns_length, sizeof(flow->dns_length));
	__builtin_memcpy(flow->dns_held, s->flow.dns_held, sizeof(flow->dns_held));
	__builtin_memcpy(flow->dns_prefix, s->flow.dns_prefix, sizeof(flow->dns_prefix));
	__builtin_memcpy(flow->dns_ahead, s->flow.dns_ahead, sizeof(flow->dns_ahead));
}

static __always_inline void advance(struct scratch *s, __u32 bytes)
{
	s->stream.offset += bytes;
	s->stream.next += bytes;
}

/* The rest of the message is not looked at: the next one begins behind it. */
static __always_inline void skip_message(struct scratch *s)
{
	begin_stream(s, s->stream.next + s->stream.length - s->stream.held);
}

/* Reads the length before a message. Returns REASON_ALLOWED if some of the message is there. */
static __always_inline int read_length(struct __sk_buff *skb, struct scratch *s, struct dns_message *m)
{
	__u32 offset = s->stream.offset, left = s->stream.end - offset, length;
	__u8 prefix[2] = { s->stream.prefix };

	if (!left)
		return MESSAGES_DONE;
	if (s->stream.held) {
		if (read_prefix(skb, s, m, &prefix[1], 1) < 0)
			return malformed(m, DNS_FAULT_LENGTH, 0);
		advance(s, 1);
	} else if (left == 1) {
		if (read_prefix(skb, s, m, &prefix[0], 1) < 0)
			return malformed(m, DNS_FAULT_LENGTH, 0);
		s->stream.prefix = prefix[0];
		s->stream.held = 1;
		advance(s, 1);
		return MESSAGES_DONE;
	} else {
		if (read_prefix(skb, s, m, prefix, sizeof(prefix)) < 0)
			return malformed(m, DNS_FAULT_LENGTH, place_of(s, offset));
		advance(s, sizeof(prefix));
	}
	length = prefix[0] << 8 | prefix[1];
	if (length < DNS_HEADER_LENGTH)
		return malformed(m, DNS_FAULT_LENGTH, place_of(s, offset));
	s->stream.length = length;
	s->stream.held = 0;
	return s->stream.end > s->stream.offset ? REASON_ALLOWED : MESSAGES_DONE;
}

/* As gather_message, of what was kept: it is put behind the part in `dns_bytes`, not in the map. */
static __always_inline int gather_kept(struct scratch *s, struct dns_message *m, __u32 size)
{
	__u32 held = s->stream.held, zero = 0;
	struct dns_bytes *part;

	if (held) {
		part = bpf_map_lookup_elem(&dns_parts, &m->part_key);
		if (!part) {
			count_error(ERROR_DNS_PARTS_FULL);
			return -1;
		}
		if (bpf_map_update_elem(&dns_bytes, &zero, part, BPF_ANY) < 0) {
			count_error(ERROR_SCRATCH);
			return -1;
		}
	}
	if (held >= DNS_MESSAGE_MAX)
		return DNS_MESSAGE_MAX;
	if (size > DNS_MESSAGE_MAX - held)
		size = DNS_MESSAGE_MAX - held;
	return copy_kept(s->stream.offset, held, size) < 0 ? -1 : (int)(held + size);
}

/* Copies the next `size` bytes of the message behind those that have come before. Returns how many are there, or -1. */
static __always_inline int gather_message(struct __sk_buff *skb, struct scratch *s, struct dns_message *m, __u32 size)
{
	__u32 held = s->stream.held, at = held & DNS_MESSAGE_MASK, zero = 0;
	struct dns_bytes *part;

	if (s->stream.is_kept)
		return gather_kept(s, m, size);
	if (!held)
		return load_message(skb, s->stream.offset, size);
	part = bpf_map_lookup_elem(&dns_parts, &m->part_key);
	if (!part) {
		count_error(ERROR_DNS_PARTS_FULL);
		return -1;
	}
	if (held < DNS_MESSAGE_MAX) {
		__u32 fits = size > DNS_MESSAGE_MAX - held ? DNS_MESSAGE_MAX - held : size;

		barrier_var(at);
		if (read_bytes(skb, s->stream.offset, part->at + at, fits, DNS_MESSAGE_MASK) < 0)
			return -1;
	}
	if (bpf_map_update_elem(&dns_bytes, &zero, part, BPF_ANY) < 0) {
		count_error(ERROR_SCRATCH);
		return -1;
	}
	return held + size > DNS_MESSAGE_MAX ? DNS_MESSAGE_MAX : held + size;
}

/* Keeps what has come of a message that goes on. A part is its flow's: what is no packet of the flow leaves it as it is. */
static __always_inline int keep_part(struct scratch *s, struct dns_message *m, struct dns_bytes *bytes)
{
	return s->is_foreign || s->stream.is_apart ? 0 : put_dns_part(&m->part_key, bytes);
}

/* Moves on behind the `size` bytes that have been judged, and remembers them if the message goes on. Returns a reason. */
static __always_inline int leave_message(struct scratch *s, struct dns_message *m, struct dns_bytes *bytes, __u32 size)
{
	__u32 held = s->stream.held;

	advance(s, size);
	s->stream.held = held + size;
	if (m->is_awaited && ((held && !s->stream.is_kept) || keep_part(s, m, bytes) == 0))
		return REASON_ALLOWED;
	if (m->is_awaited) {
		count_error(ERROR_DNS_PARTS_FULL);
		if (s->direction == s->flow.direction)
			return malformed(m, DNS_FAULT_CUT, size);
	} else if (held) {
		bpf_map_delete_elem(&dns_parts, &m->part_key);
	}
	skip_message(s);
	return REASON_ALLOWED;
}

static __always_inline int judge_next_in_stream(struct __sk_buff *skb, struct scratch *s, struct dns_message *m)
{
	struct dns_bytes *bytes = get_dns_bytes();
	int reason = REASON_ALLOWED, there;
	__u32 size, left;

	if (!s->stream.length && (reason = read_length(skb, s, m)))
		return reason;
	left = s->stream.end - s->stream.offset;
	if (!left || !bytes)
		return MESSAGES_DONE; /* the length came alone, or the rest of an answer is still to come */
	size = s->stream.length - s->stream.held;
	if (size > left)
		size = left;
	m->part_key = s->key;
	m->part_key.padding[0] = s->direction;
	m->is_awaited = 0;
	there = gather_message(skb, s, m, size);
	if (there >= 0) {
		int continues = s->stream.held + size < s->stream.length;

		m->cut = continues || s->stream.length > DNS_MESSAGE_MAX;
		reason = judge_message(s, m, there, continues);
	} else if (!s->stream.held || s->direction == s->flow.direction) {
		return malformed(m, DNS_FAULT_CUT, 0); /* what came before is not known any more: of an answer, it is given up */
	}
	return reason ?: leave_message(s, m, bytes, size);
}

#endif
