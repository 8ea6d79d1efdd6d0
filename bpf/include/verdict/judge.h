/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The layers of a rule set, in the order of docs/profiles.md, Rules. Each leaves of a subject's mask the blocks that
 * allow the packet there; an empty mask is a violation, and the layer its reason.
 */
#ifndef PORTCULLIS_JUDGE_H
#define PORTCULLIS_JUDGE_H

#include "dns/dns.h"
#include "process/identity.h"
#include "verdict/scratch.h"

/* For `names`: what is wanted of a rule. */
enum name_use { NAME_ASK = 0, NAME_CONNECT = 1 };

static __always_inline __u64 mask_of_name_rule(struct name_rule *rule, __u32 length, int use)
{
	if (rule->length == length)
		return use == NAME_ASK ? rule->exact_ask : rule->exact_connect;
	return use == NAME_ASK ? rule->below_ask : rule->below_connect;
}

/* The rule of a rule set for the question's name, null if none matches. */
static __always_inline struct name_rule *find_name_rule(struct name_scratch *name, __u32 ruleset)
{
	name->key.ruleset = ruleset;
	name->key.prefixlen = 16 + 8 * name->name_length;
	return bpf_map_lookup_elem(&names, &name->key);
}

/* The blocks of a rule set that allow connecting to a learned name. */
static __always_inline __u64 connect_mask(struct name_scratch *name, __u32 ruleset, __u32 workload_id, __u64 hash)
{
	struct dns_name *known = find_name(name, workload_id, hash);
	struct name_rule *rule;

	if (!known) {
		count_error(ERROR_DNS_NAME_EVICTED);
		return 0;
	}
	copy_text(question_text(name), known->text);
	name->key.ruleset = ruleset;
	name->key.prefixlen = 16 + 8 * known->length;
	rule = bpf_map_lookup_elem(&names, &name->key);
	return rule ? mask_of_name_rule(rule, known->length, NAME_CONNECT) : 0;
}

/* The blocks that allow the remote address because of a name that it was learned for, by this very subject. */
static __always_inline __u64 learned_mask(struct scratch *s, struct subject *subject)
{
	struct name_scratch *name = get_name_scratch();
	struct learned_key key = {
		.workload_id = s->workload.id,
		.path_id = subject->path_id,
		.container_id = subject->container_id,
	};
	struct learned *entry;
	__u64 mask = 0;

	if (!name) {
		count_error(ERROR_SCRATCH);
		return 0;
	}
	__builtin_memcpy(key.address, s->key.remote, ADDRESS_LENGTH);
	entry = bpf_map_lookup_elem(&learned, &key);
	if (!entry)
		return 0;
	for (int i = 0; i < LEARNED_NAMES_MAX; i++) {
		__u64 allowed;

		if (!entry->names[i].hash || entry->names[i].expires <= s->flow.allowed_since)
			continue;
		if (!s->flow.name_hash)
			s->flow.name_hash = entry->names[i].hash;
		allowed = connect_mask(name, subject->ruleset, s->workload.id, entry->names[i].hash);
		/* The name that lets it through is the one to report. */
		if (allowed && !mask)
			s->flow.name_hash = entry->names[i].hash;
		mask |= allowed;
	}
	return mask;
}

static __always_inline __u64 peer_mask(struct scratch *s, __u32 ruleset)
{
	__u64 *mask;

	if (s->packet.ethertype == ETHERTYPE_VALUE_IPV4) {
		struct peer4_key key = { .prefixlen = 64, .ruleset = ruleset };

		__builtin_memcpy(key.address, &s->key.remote[12], 4);
		mask = bpf_map_lookup_elem(&peers4, &key);
	} else {
		struct peer6_key key = { .prefixlen = 160, .ruleset = ruleset };

		__builtin_memcpy(key.address, s->key.remote, ADDRESS_LENGTH);
		mask = bpf_map_lookup_elem(&peers6, &key);
	}
	return mask ? *mask : 0;
}

/* Egress goes by the remote port, ingress by the one that the process listens on. */
static __always_inline __u64 port_mask(struct scratch *s, __u32 ruleset)
{
	struct port_key key = { .prefixlen = 64, .ruleset = ruleset, .protocol = s->packet.protocol };
	__u64 *mask;

	if (has_ports(key.protocol))
		key.port = s->flow.direction == DIRECTION_EGRESS ? s->key.remote_port : s->key.local_port;
	mask = bpf_map_lookup_elem(&ports, &key);
	return mask ? *mask : 0;
}

/* Protocol 58 within IPv4 is not ICMPv6. */
static __always_inline int is_icmpv6(struct packet *p)
{
	return p->protocol == PROTOCOL_ICMPV6 && p->ethertype == ETHERTYPE_VALUE_IPV6;
}

/* Where no profile gives a `default`, what a host says and hears to be on its link is all that is nobody's and allowed. */
static __always_inline int judge_without_default(struct scratch *s, struct subject *subject)
{
	if (s->link_control)
		return REASON_ALLOWED;
	return s->owner_flags & OWNER_FOUND ? REASON_BINARY_UNKNOWN : REASON_UNATTRIBUTED;
}

/* Layers 1 to 3 for one subject of the flow. Fills its mask. */
__noinline int judge_subject(__u32 index)
{
	struct scratch *s = get_scratch();
	struct ruleset *ruleset;
	struct subject *subject;
	__u64 peers;
	__u32 id;

	if (!s || index >= SUBJECTS_MAX)
		return REASON_CAPACITY;
	subject = &s->flow.subjects[index];
	if (!subject->binary_id && (s->workload.flags & WORKLOAD_DEFAULT_ABSENT))
		return judge_without_default(s, subject);
	id = subject->ruleset;
	ruleset = bpf_map_lookup_elem(&rulesets, &id);
	if (!ruleset)
		return REASON_PEER;
	subject->mask &= s->packet.ethertype == ETHERTYPE_VALUE_IPV4 ? ruleset->ethertype[ETHERTYPE_IPV4]
								       : ruleset->ethertype[ETHERTYPE_IPV6];
	if (!subject->mask)
		return REASON_ETHERTYPE;
	peers = 0;
	if (s->flow.direction == DIRECTION_EGRESS)
		peers = learned_mask(s, subject) & ruleset->fqdn;
	peers |= peer_mask(s, id);
	subject->mask &= peers;
	if (!subject->mask)
		return REASON_PEER;
	subject->mask &= port_mask(s, id);
	return subject->mask ? REASON_ALLOWED : REASON_PORT;
}

/* Why `default` judges a listed file is what is reported, whichever layer refused it. */
static __always_inline int refine_reason(int reason, struct subject *subject)
{
	if (!reason || subject->binary_id)
		return reason;
	if (subject->unmet)
		return subject->unmet;
	return subject->path_id & PATH_ID_MODIFIED ? REASON_BINARY_MODIFIED : reason;
}

/* Blocks of a subject that do not look at L7, or accept this application. */
static __always_inline __u64 application_mask(struct subject *subject, __u32 application)
{
	__u32 id = subject->ruleset;
	struct ruleset *ruleset = bpf_map_lookup_elem(&rulesets, &id);
	__u64 mask;

	if (!ruleset)
		return ~0ULL; /* `default` is absent: neighbour discovery, which has no layer 7 */
	mask = ruleset->any_application;
	if (application == APPLICATION_DNS)
		mask |= ruleset->application[APPLICATION_DNS];
	else if (application == APPLICATION_HTTP)
		mask |= ruleset->application[APPLICATION_HTTP];
	else if (application == APPLICATION_TLS)
		mask |= ruleset->application[APPLICATION_TLS];
	return mask;
}

#endif
