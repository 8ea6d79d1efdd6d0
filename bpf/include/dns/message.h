/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* One DNS message of a flow: a question is judged by its name and remembered, an answer is held against it and teaches. */
#ifndef PORTCULLIS_DNS_MESSAGE_H
#define PORTCULLIS_DNS_MESSAGE_H

#include "dns/answer.h"
#include "dns/question.h"
#include "verdict/application.h"
#include "verdict/report.h"

/*
 * Bytes of a question that may leave before the rest of it has come: more than one of the longest name has before its EDNS
 * record. If the question is refused then, its connection goes no further: so much is what a connection can carry away.
 */
#define QUESTION_PART_MAX 300

/* For so long an answer is awaited, again and again: as long as resolvers ask again at most (RES_MAXRETRANS of resolv.h). */
#define DNS_QUESTION_LIFETIME (30 * SECOND)

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

#endif
