/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Flows on a DNS port: every message is parsed, questions are judged by name, answers teach. Over TCP a message has
 * its length before it (RFC 7766, 8); a question has to come in one segment (its length may come alone).
 */
#ifndef PORTCULLIS_DNS_FLOW_H
#define PORTCULLIS_DNS_FLOW_H

#include "application.h"
#include "report.h"

#define TCP_MESSAGES_MAX 8

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

static __always_inline void prepare_query_key(struct scratch *s, struct dns_message *m)
{
	m->query_key.flow = s->key;
	m->query_key.id = m->id;
	m->query_key.padding = 0;
}

/* Not inlined, because the deepest calls are those of an answer, and the stack has 512 bytes for all of them. */
__noinline int remember_question(void)
{
	struct dns_message *m = get_dns_message();
	struct dns_query query = {};
	struct scratch *s = get_scratch();

	if (!s || !m)
		return -1;
	query.name_hash = m->name_hash;
	query.asked = s->now;
	query.path_id = s->flow.subjects[0].path_id;
	query.container_id = s->flow.subjects[0].container_id;
	query.second_path_id = query.path_id;
	query.second_container_id = query.container_id;
	query.type = m->type;
	if (s->flow.subject_count > 1) {
		query.second_path_id = s->flow.subjects[1].path_id;
		query.second_container_id = s->flow.subjects[1].container_id;
	}
	prepare_query_key(s, m);
	if (put_dns_query(&m->query_key, &query) < 0)
		count_error(ERROR_DNS_QUERIES_FULL);
	return 0;
}

static __always_inline int judge_name(struct scratch *s)
{
	struct name_scratch *name = get_name_scratch();

	if (!name)
		return REASON_DNS_MALFORMED;
	for (int i = 0; i < SUBJECTS_MAX; i++) {
		struct ruleset *ruleset;
		__u64 mask;
		__u32 id;

		if (i >= s->flow.subject_count)
			break;
		id = s->flow.subjects[i].ruleset;
		ruleset = bpf_map_lookup_elem(&rulesets, &id);
		if (!ruleset)
			return refine_reason(REASON_DNS_NAME, &s->flow.subjects[i]);
		mask = s->flow.subjects[i].mask & application_mask(&s->flow.subjects[i], APPLICATION_DNS);
		if (!mask)
			return refine_reason(REASON_APPLICATION, &s->flow.subjects[i]);
		mask &= ruleset->ask_any | ask_mask(name, id);
		if (!mask)
			return refine_reason(REASON_DNS_NAME, &s->flow.subjects[i]);
		if (!i)
			s->mask = mask;
	}
	return REASON_ALLOWED;
}

/* An answer counts if its question was asked, by this flow, with this id, name and type. It is then answered. */
static __always_inline int judge_answer(struct __sk_buff *skb, struct scratch *s, struct dns_message *m)
{
	struct dns_query *query;

	if (s->flow.direction == DIRECTION_INGRESS)
		return REASON_ALLOWED; /* what the workload answers to others teaches nothing */
	prepare_query_key(s, m);
	query = bpf_map_lookup_elem(&dns_queries, &m->query_key);
	if (!query || query->name_hash != m->name_hash || query->type != m->type)
		return s->workload.attacks & ATTACK_DNS_SPOOFING ? REASON_DNS_SPOOFING : REASON_ALLOWED;
	m->keys[0].workload_id = s->workload.id;
	m->keys[0].path_id = query->path_id;
	m->keys[0].container_id = query->container_id;
	m->keys[1].workload_id = s->workload.id;
	m->keys[1].path_id = query->second_path_id;
	m->keys[1].container_id = query->second_container_id;
	m->key_count = query->second_path_id == query->path_id && query->second_container_id == query->container_id
			       ? 1 : 2;
	if (bpf_map_delete_elem(&dns_queries, &m->query_key) < 0)
		return REASON_ALLOWED; /* another CPU has just taken this answer's like */
	return learn_answers(skb);
}

/* `cut`: the message goes on behind the packet's end. */
__noinline int judge_message(struct __sk_buff *skb, __u32 offset, __u32 end, int cut)
{
	struct dns_message *m = get_dns_message();
	struct scratch *s = get_scratch();
	int reason = parse_dns(skb, offset, end), asks;

	if (!m || !s)
		return REASON_DNS_MALFORMED;
	if (reason)
		return reason;
	s->dns_reported = 1;
	m->cut = cut;
	asks = !(m->flags & DNS_FLAG_RESPONSE);
	/* Who began the flow asks, the other side answers, and a question comes in one piece. */
	if (asks != (s->direction == s->flow.direction) || (asks && cut))
		return REASON_DNS_MALFORMED;
	s->flow.application = APPLICATION_DNS;
	if (!asks)
		return judge_answer(skb, s, m);
	reason = judge_name(s);
	if (s->flow.direction == DIRECTION_EGRESS && (!reason || !(s->workload.mode & MODE_ENFORCE)))
		remember_question();
	return reason;
}

static __always_inline int judge_dns_datagram(struct __sk_buff *skb, struct scratch *s)
{
	struct packet *p = &s->packet;

	/* Several datagrams in one segmentation-offload packet would hide all questions but the first. */
	if (skb->gso_segs > 1)
		return REASON_DNS_MALFORMED;
	return judge_message(skb, p->payload_offset, p->end, p->flags & PACKET_FIRST_FRAGMENT);
}

static __always_inline int sequence_flag(__u32 direction)
{
	return direction == DIRECTION_EGRESS ? FLOW_DNS_SEQUENCE_EGRESS : FLOW_DNS_SEQUENCE_INGRESS;
}

/* Where in a TCP stream its DNS messages start, for one direction of the flow. */
struct dns_stream {
	__u32 next;    /* sequence number of the next message's length or, if `length`, of the message itself */
	__u16 length;
};

static __always_inline void load_stream(struct scratch *s, struct dns_stream *stream)
{
	int egress = s->direction == DIRECTION_EGRESS;

	stream->next = egress ? s->flow.dns_next[0] : s->flow.dns_next[1];
	stream->length = egress ? s->flow.dns_length[0] : s->flow.dns_length[1];
	if (!(s->flow.flags & sequence_flag(s->direction))) {
		stream->next = s->packet.sequence;
		stream->length = 0;
	}
}

static __always_inline void store_stream(struct scratch *s, struct dns_stream *stream)
{
	if (s->direction == DIRECTION_EGRESS) {
		s->flow.dns_next[0] = stream->next;
		s->flow.dns_length[0] = stream->length;
	} else {
		s->flow.dns_next[1] = stream->next;
		s->flow.dns_length[1] = stream->length;
	}
	s->flow.flags |= sequence_flag(s->direction);
}

/* Judges the message at `offset`. Returns a reason, or -1 if the segment holds nothing more to judge. */
static __always_inline int judge_next_message(struct __sk_buff *skb, struct scratch *s, struct dns_stream *stream,
					      __u32 *offset)
{
	int asks = s->direction == s->flow.direction, cut, reason;
	__u32 end = s->packet.end, length = stream->length;
	__u16 prefix;

	if (!length) {
		if (*offset + sizeof(prefix) > end)
			return *offset == end ? -1 : REASON_DNS_MALFORMED;
		if (bpf_skb_load_bytes(skb, *offset, &prefix, sizeof(prefix)) < 0)
			return REASON_DNS_MALFORMED;
		length = bpf_ntohs(prefix);
		if (length < DNS_HEADER_LENGTH)
			return REASON_DNS_MALFORMED;
		*offset += sizeof(prefix);
		stream->next += sizeof(prefix);
		stream->length = length;
	}
	if (*offset == end)
		return -1; /* the length came alone */
	cut = *offset + length > end;
	if (cut && asks)
		return REASON_DNS_MALFORMED;
	reason = judge_message(skb, *offset, cut ? end : *offset + length, cut);
	if (reason)
		return reason;
	*offset += length;
	stream->next += length;
	stream->length = 0;
	return cut ? -1 : REASON_ALLOWED;
}

static __always_inline int judge_dns_segment(struct __sk_buff *skb, struct scratch *s)
{
	struct dns_stream stream;
	int reason = REASON_ALLOWED, i = 0;
	__u32 offset, size;
	__s32 skip;

	offset = s->packet.payload_offset;
	size = s->packet.end - offset;
	load_stream(s, &stream);
	/* Where the stream starts is known from its SYN on: nothing can be put before the first segment that is seen. */
	if (s->packet.tcp_flags & TCP_SYN)
		store_stream(s, &stream);
	if (s->packet.end <= offset)
		return REASON_ALLOWED;
	skip = stream.next - s->packet.sequence;
	if (skip >= (__s32)size)
		return REASON_ALLOWED; /* judged before: sent again, or the rest of an answer */
	if (skip < 0)
		return REASON_DNS_MALFORMED; /* what lies between has not been seen */
	offset += skip;
	/*
	 * The barriers keep clang from entering the loop in its middle, past what it knows for the first message already:
	 * kernels before 6.5 take such a loop for an endless one.
	 */
	barrier_var(i);
	for (; i < TCP_MESSAGES_MAX; i++) {
		barrier();
		reason = judge_next_message(skb, s, &stream, &offset);
		if (reason < 0) {
			store_stream(s, &stream);
			return REASON_ALLOWED;
		}
		if (reason)
			break;
	}
	if (!reason && offset != s->packet.end)
		reason = REASON_DNS_MALFORMED; /* more messages in one segment than are read */
	if (!reason) {
		store_stream(s, &stream);
	} else if (!(s->workload.mode & MODE_ENFORCE)) {
		/* Watched, not enforced: go on behind what could not be read, with the next segment. */
		stream.next = s->packet.sequence + size;
		stream.length = 0;
		store_stream(s, &stream);
	}
	return reason;
}

static __always_inline int judge_dns(struct __sk_buff *skb, struct scratch *s)
{
	if (s->packet.protocol == PROTOCOL_UDP)
		return judge_dns_datagram(skb, s);
	return judge_dns_segment(skb, s);
}

#endif
