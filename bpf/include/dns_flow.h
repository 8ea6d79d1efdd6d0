/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Flows on a DNS port: every message is parsed, questions are judged by name, answers teach. A packet may hold many:
 * over TCP each has its length before it (RFC 7766, 8), and with segmentation offload a packet stands for several
 * datagrams. Messages that segments cut are put together; of a question no more than a few bytes leave before it is judged.
 */
#ifndef PORTCULLIS_DNS_FLOW_H
#define PORTCULLIS_DNS_FLOW_H

#include "application.h"
#include "dns_answer.h"
#include "dns_question.h"
#include "report.h"

/* More than 64 KiB of the shortest messages: two loops of as many turns. */
#define MESSAGES_TURNS 64
#define MESSAGES_DONE -1

/*
 * Bytes of a question that may leave before the rest of it has come: more than one of the longest name has before its EDNS
 * record. If the question is refused then, its connection goes no further: so much is what a connection can carry away.
 */
#define QUESTION_PART_MAX 300

/* For so long an answer is awaited, again and again: as long as resolvers ask again at most (RES_MAXRETRANS of resolv.h). */
#define DNS_QUESTION_LIFETIME (30 * SECOND)

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
	query.connects = m->connects;
	if (s->flow.subject_count > 1) {
		query.second_path_id = s->flow.subjects[1].path_id;
		query.second_container_id = s->flow.subjects[1].container_id;
	}
	prepare_query_key(s, m);
	if (put_dns_query(&m->query_key, &query) < 0)
		count_error(ERROR_DNS_QUERIES_FULL);
	return 0;
}

/* Whether one subject may ask for the name in the scratch; and, in m->connects, whether it may connect to it. */
static __always_inline int judge_asker(struct scratch *s, struct dns_message *m, struct name_scratch *name, int index)
{
	struct subject *subject = &s->flow.subjects[index];
	__u32 id = subject->ruleset;
	struct ruleset *ruleset = bpf_map_lookup_elem(&rulesets, &id);
	struct name_rule *rule;
	__u64 mask, ask;

	if (!ruleset)
		return REASON_DNS_NAME;
	rule = find_name_rule(name, id);
	if (rule && mask_of_name_rule(rule, name->name_length, NAME_CONNECT) & ruleset->fqdn)
		m->connects |= 1 << index;
	mask = subject->mask & application_mask(subject, APPLICATION_DNS);
	if (!mask)
		return REASON_APPLICATION;
	ask = ruleset->ask_any;
	if (rule)
		ask |= mask_of_name_rule(rule, name->name_length, NAME_ASK);
	/* Records of the sender's own may go where somebody has listed the name as one that is asked for. */
	if (!m->is_plain)
		ask &= ruleset->ask_records;
	mask &= ask;
	if (!mask)
		return REASON_DNS_NAME;
	if (!index)
		s->mask = mask;
	return REASON_ALLOWED;
}

static __always_inline int judge_name(struct scratch *s, struct dns_message *m)
{
	struct name_scratch *name = get_name_scratch();
	int found = REASON_ALLOWED;

	if (!name)
		return REASON_DNS_MALFORMED;
	m->connects = 0;
	for (int i = 0; i < SUBJECTS_MAX; i++) {
		int reason;

		if (i >= s->flow.subject_count)
			break;
		reason = refine_reason(judge_asker(s, m, name, i), &s->flow.subjects[i]);
		if (!found)
			found = reason;
	}
	/* Who only learns is to know the names of all peers. */
	if (s->workload.mode & MODE_LEARN)
		m->connects = ~0U;
	return found;
}

/* Those who asked and have a rule that connects to the name. */
static __always_inline void prepare_keys(struct scratch *s, struct dns_message *m, struct dns_query *query)
{
	int is_one = query->second_path_id == query->path_id && query->second_container_id == query->container_id;

	m->key_count = 0;
	m->keys[0].workload_id = s->workload.id;
	m->keys[1].workload_id = s->workload.id;
	m->keys[1].path_id = query->second_path_id;
	m->keys[1].container_id = query->second_container_id;
	if (query->connects & 1) {
		m->keys[0].path_id = query->path_id;
		m->keys[0].container_id = query->container_id;
		m->key_count = !is_one && query->connects & 2 ? 2 : 1;
	} else if (query->connects & 2) {
		m->keys[0].path_id = query->second_path_id;
		m->keys[0].container_id = query->second_container_id;
		m->key_count = 1;
	}
}

/*
 * An answer counts if its question was asked: by this flow, with this id, name and type, and not long ago. Late and
 * repeated ones count as well. `continues`: the rest of it comes with the next segments, and it is looked at then.
 */
static __always_inline int judge_answer(struct scratch *s, struct dns_message *m, int continues)
{
	struct dns_query *query;

	m->key_count = 0;
	if (s->flow.direction == DIRECTION_INGRESS)
		return REASON_ALLOWED; /* what the workload answers to others teaches nothing */
	prepare_query_key(s, m);
	query = bpf_map_lookup_elem(&dns_queries, &m->query_key);
	if (!query || (__s64)(s->now - query->asked) > (__s64)DNS_QUESTION_LIFETIME ||
	    (m->questions && (query->name_hash != m->name_hash || query->type != m->type)))
		return s->workload.attacks & ATTACK_DNS_SPOOFING ? REASON_DNS_SPOOFING : REASON_ALLOWED;
	query->answered = 1;
	if (!m->questions || DNS_OPCODE(m->flags) != DNS_QUERY)
		return REASON_ALLOWED;
	prepare_keys(s, m, query);
	if (continues && m->key_count)
		return REASON_ALLOWED;
	return learn_answers();
}

/*
 * A question has to be whole: what has come of one is judged by its name, and again with the rest. Of an update over TCP,
 * which may be long, as much counts as tells its zone.
 */
static __always_inline int judge_question(struct scratch *s, struct dns_message *m, int continues)
{
	int reason;

	m->is_plain = DNS_OPCODE(m->flags) == DNS_QUERY;
	if (!m->cut) {
		reason = judge_sections();
		if (reason)
			return reason;
	} else if (m->is_plain || s->packet.protocol != PROTOCOL_TCP) {
		if (!continues || m->end > QUESTION_PART_MAX)
			return malformed(m, DNS_FAULT_CUT, m->end);
		m->is_awaited = 1;
	}
	reason = judge_name(s, m);
	if (m->is_awaited) {
		s->dns_reported = !!reason;
		return reason;
	}
	if (s->flow.direction == DIRECTION_EGRESS && (!reason || !(s->workload.mode & MODE_ENFORCE)))
		remember_question();
	return reason;
}

/*
 * Judges the message in `dns_bytes`, of which `size` bytes are there. `continues`: the rest comes with the next segments; an
 * answer is then awaited if it teaches something, or if its question is not there yet.
 */
static __always_inline int judge_message(struct scratch *s, struct dns_message *m, __u32 size, int continues)
{
	int is_answer = s->direction != s->flow.direction, reason = parse_dns(size);

	m->is_awaited = 0;
	s->dns_reported = !reason;
	if (reason) {
		m->is_awaited = continues && (m->fault == DNS_FAULT_HEADER || m->fault == DNS_FAULT_NAME) &&
				(is_answer || size <= QUESTION_PART_MAX);
		return m->is_awaited ? REASON_ALLOWED : reason;
	}
	/* Who began the flow asks, and the other side answers. */
	if (is_answer != !!(m->flags & DNS_FLAG_RESPONSE))
		return malformed(m, DNS_FAULT_DIRECTION, 2);
	s->flow.application = APPLICATION_DNS;
	if (is_answer) {
		reason = judge_answer(s, m, continues);
		m->is_awaited = continues && m->key_count;
		s->dns_reported = !m->is_awaited;
	} else {
		reason = judge_question(s, m, continues);
	}
	/* Whoever is not judged may ask what he likes, and the packet's next message is of interest too. */
	return reason != REASON_DNS_MALFORMED && !is_judged(s) ? REASON_ALLOWED : reason;
}

static __always_inline int judge_next_datagram(struct __sk_buff *skb, struct scratch *s, struct dns_message *m)
{
	__u32 offset = s->stream.offset, size = s->packet.end - offset;
	int loaded;

	if (offset >= s->packet.end && offset != s->packet.payload_offset)
		return MESSAGES_DONE;
	if (skb->gso_segs > 1 && skb->gso_size && skb->gso_size < size)
		size = skb->gso_size;
	loaded = load_message(skb, offset, size);
	if (loaded < 0)
		return malformed(m, DNS_FAULT_HEADER, 0);
	m->cut = (s->packet.flags & PACKET_FIRST_FRAGMENT) || size > DNS_MESSAGE_MAX;
	s->stream.offset = offset + size;
	return judge_message(s, m, loaded, 0);
}

static __always_inline int sequence_flag(__u32 direction)
{
	return direction == DIRECTION_EGRESS ? FLOW_DNS_SEQUENCE_EGRESS : FLOW_DNS_SEQUENCE_INGRESS;
}

static __always_inline void load_stream(struct scratch *s)
{
	int egress = s->direction == DIRECTION_EGRESS;

	s->stream.next = egress ? s->flow.dns_next[0] : s->flow.dns_next[1];
	s->stream.length = egress ? s->flow.dns_length[0] : s->flow.dns_length[1];
	s->stream.held = egress ? s->flow.dns_held[0] : s->flow.dns_held[1];
	s->stream.prefix = egress ? s->flow.dns_prefix[0] : s->flow.dns_prefix[1];
	if (s->flow.flags & sequence_flag(s->direction))
		return;
	s->stream.next = s->packet.sequence;
	s->stream.length = 0;
	s->stream.held = 0;
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

static __always_inline void advance(struct scratch *s, __u32 bytes)
{
	s->stream.offset += bytes;
	s->stream.next += bytes;
}

/* The rest of the message is not looked at: the next one begins behind it. */
static __always_inline void skip_message(struct scratch *s)
{
	s->stream.next += s->stream.length - s->stream.held;
	s->stream.length = 0;
	s->stream.held = 0;
}

/* Reads the length before a message. Returns REASON_ALLOWED if some of the message is there. */
static __always_inline int read_length(struct __sk_buff *skb, struct scratch *s, struct dns_message *m)
{
	__u32 offset = s->stream.offset, left = s->packet.end - offset, length;
	__u8 prefix[2] = { s->stream.prefix };

	if (!left)
		return MESSAGES_DONE;
	if (s->stream.held) {
		if (bpf_skb_load_bytes(skb, offset, &prefix[1], 1) < 0)
			return malformed(m, DNS_FAULT_LENGTH, 0);
		advance(s, 1);
	} else if (left == 1) {
		if (bpf_skb_load_bytes(skb, offset, &prefix[0], 1) < 0)
			return malformed(m, DNS_FAULT_LENGTH, 0);
		s->stream.prefix = prefix[0];
		s->stream.held = 1;
		advance(s, 1);
		return MESSAGES_DONE;
	} else {
		if (bpf_skb_load_bytes(skb, offset, prefix, sizeof(prefix)) < 0)
			return malformed(m, DNS_FAULT_LENGTH, offset - s->packet.payload_offset);
		advance(s, sizeof(prefix));
	}
	length = prefix[0] << 8 | prefix[1];
	if (length < DNS_HEADER_LENGTH)
		return malformed(m, DNS_FAULT_LENGTH, offset - s->packet.payload_offset);
	s->stream.length = length;
	s->stream.held = 0;
	return s->packet.end > s->stream.offset ? REASON_ALLOWED : MESSAGES_DONE;
}

/* Copies the next `size` bytes of the message behind those that have come before. Returns how many are there, or -1. */
static __always_inline int gather_message(struct __sk_buff *skb, struct scratch *s, struct dns_message *m, __u32 size)
{
	__u32 held = s->stream.held, at = held & DNS_MESSAGE_MASK, zero = 0;
	struct dns_bytes *part;

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
		if (read_bytes(skb, s->stream.offset, part->at + at, fits, DNS_MESSAGE_MASK) < 0) {
			count_error(ERROR_PACKET_READ);
			return -1;
		}
	}
	if (bpf_map_update_elem(&dns_bytes, &zero, part, BPF_ANY) < 0) {
		count_error(ERROR_SCRATCH);
		return -1;
	}
	return held + size > DNS_MESSAGE_MAX ? DNS_MESSAGE_MAX : held + size;
}

/* Moves on behind the `size` bytes that have been judged, and remembers them if the message goes on. Returns a reason. */
static __always_inline int leave_message(struct scratch *s, struct dns_message *m, struct dns_bytes *bytes, __u32 size)
{
	__u32 held = s->stream.held;

	advance(s, size);
	s->stream.held = held + size;
	if (m->is_awaited && (held || bpf_map_update_elem(&dns_parts, &m->part_key, bytes, BPF_ANY) == 0))
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
	left = s->packet.end - s->stream.offset;
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

/* Judges the message at s->stream.offset, and moves on. Returns a reason, or MESSAGES_DONE if there is none any more. */
__noinline int judge_next_message(struct __sk_buff *skb)
{
	struct dns_message *m = get_dns_message();
	struct scratch *s = get_scratch();
	int reason;

	if (!m || !s)
		return REASON_DNS_MALFORMED;
	s->dns_reported = 0;
	if (s->packet.protocol == PROTOCOL_UDP)
		reason = judge_next_datagram(skb, s, m);
	else
		reason = judge_next_in_stream(skb, s, m);
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
 * Where the segment's first new byte is. A gap before it means that part of an answer is missing: the answer is given up,
 * and whatever lies behind has to wait.
 */
static __always_inline __s32 seen_bytes(struct scratch *s)
{
	__s32 skip = s->stream.next - s->packet.sequence;

	if (skip >= 0 || !s->stream.held || !s->stream.length || s->direction == s->flow.direction)
		return skip;
	count_error(ERROR_DNS_ANSWERS_TRUNCATED);
	skip_message(s);
	store_stream(s);
	return s->stream.next - s->packet.sequence;
}

static __always_inline int judge_dns_segment(struct __sk_buff *skb, struct scratch *s)
{
	struct dns_message *m = get_dns_message();
	__u32 size = s->packet.end - s->packet.payload_offset;
	int reason;
	__s32 skip;

	if (!m)
		return REASON_DNS_MALFORMED;
	load_stream(s);
	/* Where the stream starts is known from its SYN on: nothing can be put before the first segment that is seen. */
	if (s->packet.tcp_flags & TCP_SYN)
		store_stream(s);
	if (s->packet.end <= s->packet.payload_offset)
		return REASON_ALLOWED;
	skip = seen_bytes(s);
	if (skip >= (__s32)size)
		return REASON_ALLOWED; /* judged before: sent again, or the rest of an answer */
	if (skip < 0)
		return malformed(m, DNS_FAULT_GAP, 0); /* what lies between has not been seen */
	s->stream.offset = s->packet.payload_offset + skip;
	reason = judge_all_messages(skb);
	if (!reason) {
		store_stream(s);
	} else if (!(s->workload.mode & MODE_ENFORCE)) {
		/* Watched, not enforced: go on behind what could not be read, with the next segment. */
		s->stream.next = s->packet.sequence + size;
		s->stream.length = 0;
		s->stream.held = 0;
		store_stream(s);
	}
	return reason;
}

static __always_inline int judge_dns(struct __sk_buff *skb, struct scratch *s)
{
	if (s->packet.protocol != PROTOCOL_UDP)
		return judge_dns_segment(skb, s);
	s->stream.offset = s->packet.payload_offset;
	return judge_all_messages(skb);
}

#endif
