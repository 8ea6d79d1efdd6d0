/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Flows on a DNS port: every message is parsed, questions are judged by name, answers teach. A packet may hold many: over TCP, and
 * with segmentation offload, where a packet stands for several datagrams.
 */
#ifndef PORTCULLIS_DNS_FLOW_H
#define PORTCULLIS_DNS_FLOW_H

#include "dns/stream.h"
#include "packet/shared_pages.h"

/* More than 64 KiB of the shortest messages: two loops of as many turns. */
#define MESSAGES_TURNS 64

static __always_inline int is_dns_port(__u16 port)
{
	struct settings *set = get_settings();
	__u16 host = bpf_ntohs(port);

	if (!set || !host)
		return host == 53;
	for (int i = 0; i < DNS_PORTS_MAX; i++)
		if (set->dns_ports[i] == host)
			return 1;
	return 0;
}

static __always_inline int on_dns_port(struct scratch *s)
{
	if (s->packet.protocol != PROTOCOL_TCP && s->packet.protocol != PROTOCOL_UDP)
		return 0;
	return is_dns_port(s->flow.direction == DIRECTION_EGRESS ? s->key.remote_port : s->key.local_port);
}

static __always_inline int judge_next_datagram(struct __sk_buff *skb, struct scratch *s, struct dns_message *m)
{
	__u32 offset = s->stream.offset, size = s->packet.end - offset;
	int loaded;

	if (offset >= s->packet.end && offset != s->packet.payload_offset)
		return MESSAGES_DONE;
	s->dns_reported = 0;
	if (skb->gso_segs > 1 && skb->gso_size && skb->gso_size < size)
		size = skb->gso_size;
	loaded = load_message(skb, offset, size);
	if (loaded < 0)
		return malformed(m, DNS_FAULT_HEADER, 0);
	m->cut = (s->packet.flags & PACKET_FIRST_FRAGMENT) || size > DNS_MESSAGE_MAX;
	s->stream.offset = offset + size;
	return judge_message(s, m, loaded, 0);
}

/* Judges the message at s->stream.offset, and moves on. Returns a reason, or MESSAGES_DONE if there is none any more. */
__noinline int judge_next_message(struct __sk_buff *skb)
{
	struct dns_message *m = get_dns_message();
	struct scratch *s = get_scratch();
	int reason;

	if (!m || !s)
		return REASON_DNS_MALFORMED;
	if (s->packet.protocol == PROTOCOL_UDP) {
		reason = judge_next_datagram(skb, s, m);
		/* The report of the packet is about the message before, of which nothing has been forgotten. */
		if (reason == MESSAGES_DONE)
			return reason;
	} else {
		s->dns_reported = 0;
		reason = judge_next_in_stream(skb, s, m);
		/* A question that came ahead has been told of then. */
		if (s->stream.is_kept && s->direction == s->flow.direction)
			return reason;
	}
	trace_dns(skb, s, reason < 0 ? REASON_ALLOWED : reason);
	return reason;
}

__noinline int judge_messages(struct __sk_buff *skb)
{
	int reason = REASON_ALLOWED;

	for (int i = 0; i < MESSAGES_TURNS; i++) {
		reason = judge_next_message(skb);
		if (reason)
			break;
	}
	return reason;
}

/* Judges the packet's messages until there is none any more, or one fails. */
static __always_inline int judge_all_messages(struct __sk_buff *skb)
{
	struct dns_message *m = get_dns_message();
	int reason = REASON_ALLOWED;

	for (int i = 0; i < MESSAGES_TURNS; i++) {
		reason = judge_messages(skb);
		if (reason)
			break;
	}
	if (reason)
		return reason < 0 ? REASON_ALLOWED : reason;
	return m ? malformed(m, DNS_FAULT_COUNTS, 0) : REASON_DNS_MALFORMED;
}

/*
 * A segment ahead of the stream passes if it can be kept: the receiver can do nothing with it before those in front of it, with
 * which it is judged. A question would be on its way then, so that it has to be allowed by itself, too. Whatever else is
 * ahead has to come again; under a mode that drops nothing, the stream goes on behind it instead.
 */
static __always_inline int judge_ahead(struct __sk_buff *skb, struct scratch *s, __u32 missing)
{
	int reason = REASON_ALLOWED;

	if (s->direction == s->flow.direction) {
		begin_stream(s, s->packet.sequence);
		s->stream.offset = s->packet.payload_offset;
		s->stream.is_apart = 1;
		reason = judge_all_messages(skb);
		if (reason && reason != REASON_DNS_MALFORMED)
			return reason;
		if (s->stream.length || s->stream.held)
			reason = REASON_DNS_MALFORMED; /* its end is not there */
	}
	if (!reason && missing <= DNS_GAP_MAX && !keep_ahead(skb))
		return REASON_ALLOWED;
	count_error(ERROR_DNS_SEGMENT_AHEAD);
	return REASON_CAPACITY;
}

/* Watched, not enforced: goes on with the next segment, behind what could not be read and what came ahead. */
static __always_inline int refuse_segment(struct scratch *s, int reason)
{
	if (s->workload.mode & MODE_ENFORCE)
		return reason;
	begin_stream(s, s->packet.sequence + s->packet.end - s->packet.payload_offset);
	forget_ahead();
	store_stream(s);
	return reason;
}

/* The segment, and what came ahead if its turn has come with it. */
enum stream_part { PART_SEGMENT, PART_KEPT, STREAM_PARTS };

/* Turns to what the stream goes on with. Returns whether there is anything. */
static __always_inline int turn_to_part(struct scratch *s, int part)
{
	if (part == PART_KEPT)
		return turn_to_kept();
	s->stream.end = s->packet.end;
	s->stream.is_kept = 0;
	s->stream.offset = s->packet.payload_offset + (s->stream.next - s->packet.sequence);
	/* Otherwise it is ahead; or has been judged before: sent again, or the rest of an answer. */
	return s->stream.offset >= s->packet.payload_offset && s->stream.offset < s->packet.end;
}

/* Judges what the stream goes on with, and remembers its place behind that. Returns a reason. */
static __always_inline int judge_stream(struct __sk_buff *skb, struct scratch *s)
{
	for (int part = 0; part < STREAM_PARTS; part++) {
		int reason;

		if (!turn_to_part(s, part))
			continue;
		reason = judge_all_messages(skb);
		if (reason)
			return reason;
		s->stream.is_read = 1;
		if (part == PART_KEPT)
			forget_ahead();
	}
	/* Only now: if what came ahead is refused, the segment that leads to it does not pass, and has to be judged again. */
	if (s->stream.is_read)
		store_stream(s);
	return REASON_ALLOWED;
}

/* What came ahead in an earlier connection of the same ports is none of this one's. */
static __always_inline void begin_connection(struct scratch *s, struct dns_message *m)
{
	if (!has_ahead(s) && !s->is_foreign)
		bpf_map_delete_elem(&dns_parts, &m->ahead_key);
	store_stream(s);
}

/* Can who sends it still change it? Nobody's resolver library sends a question so. */
static __always_inline int may_change(struct __sk_buff *skb, struct scratch *s)
{
	return s->direction == DIRECTION_EGRESS && has_shared_pages(skb);
}

static __always_inline int judge_dns_segment(struct __sk_buff *skb, struct scratch *s)
{
	struct dns_message *m = get_dns_message();
	int reason;

	if (!m)
		return REASON_DNS_MALFORMED;
	load_stream(s);
	/* Where the stream starts is known from its SYN on: nothing can be put before the first segment that is seen. */
	prepare_ahead_key(s, m);
	if (s->packet.tcp_flags & TCP_SYN)
		begin_connection(s, m);
	if ((s->packet.tcp_flags & TCP_URG) || may_change(skb, s))
		return refuse_segment(s, REASON_DNS_MALFORMED);
	if (s->packet.end <= s->packet.payload_offset)
		return REASON_ALLOWED;
	if (is_question_lost(s, m))
		return refuse_segment(s, REASON_CAPACITY);
	reason = judge_stream(skb, s);
	if (!reason && (__s32)(s->stream.next - s->packet.sequence) < 0)
		reason = judge_ahead(skb, s, s->packet.sequence - s->stream.next);
	return reason ? refuse_segment(s, reason) : REASON_ALLOWED;
}

static __always_inline int judge_dns(struct __sk_buff *skb, struct scratch *s)
{
	if (s->packet.protocol != PROTOCOL_UDP)
		return judge_dns_segment(skb, s);
	if (may_change(skb, s))
		return REASON_DNS_MALFORMED;
	s->stream.offset = s->packet.payload_offset;
	return judge_all_messages(skb);
}

#endif
