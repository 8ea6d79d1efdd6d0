/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What a DNS question holds beside the question. A plain one is a question and, at most, EDNS (RFC 6891) with so little
 * data that it carries nothing away: it may be asked wherever its name may be. What carries records of the sender's
 * (updates, notifications, transfers, signatures, keys) needs a word of its own: see judge_name.
 */
#ifndef PORTCULLIS_DNS_QUESTION_H
#define PORTCULLIS_DNS_QUESTION_H

#include "dns/dns.h"

#define DNS_TYPE_SOA 6
#define DNS_TYPE_SIG 24
#define DNS_TYPE_OPT 41
#define DNS_TYPE_TKEY 249
#define DNS_TYPE_TSIG 250
#define DNS_TYPE_IXFR 251

#define EDNS_PADDING 12
#define EDNS_OPTIONS_MAX 8
/*
 * All options but padding, headers included: the longest cookie (44 bytes, RFC 7873), a client subnet of IPv6 (24,
 * RFC 7871), and three that are empty in questions, such as NSID, EXPIRE and keepalive.
 */
#define EDNS_DATA_MAX 80
/* Four times what clients pad questions to: RFC 8467, 4.1. */
#define EDNS_PADDING_MAX 512
/* OPT, TKEY, and TSIG or SIG(0). */
#define QUESTION_ADDITIONAL_MAX 3
/* Records of an update or notification that are read; what comes behind is not. */
#define QUESTION_RECORDS_MAX 128

/* Whether the `length` bytes at `offset` are zeros: eight at a time. */
__noinline int is_zeros(__u32 offset, __u32 length)
{
	struct dns_bytes *bytes = get_dns_bytes();
	__u64 found = 0;

	if (!bytes || length > EDNS_PADDING_MAX)
		return 0;
	for (__u32 i = 0; i < EDNS_PADDING_MAX / 8; i++) {
		__u32 at = (offset + i * 8) & DNS_MESSAGE_MASK, left = length - i * 8;
		__u64 word;

		if (i * 8 >= length)
			break;
		barrier_var(at);
		word = *(__u64 *)(bytes->at + at);
		if (left < 8)
			word <<= 64 - 8 * left; /* the machine's first bytes are the low ones */
		found |= word;
	}
	return !found;
}

/* The options of the EDNS record that has been read. */
__noinline int judge_options(void)
{
	struct dns_message *m = get_dns_message();
	struct dns_bytes *bytes = get_dns_bytes();
	__u32 offset, end, held = 0;

	if (!m || !bytes)
		return REASON_DNS_MALFORMED;
	offset = m->record.data;
	end = m->record.end;
	for (int i = 0; i < EDNS_OPTIONS_MAX; i++) {
		__u32 size;

		if (offset == end)
			return REASON_ALLOWED;
		size = 4 + word_at(bytes, offset + 2);
		if (offset + 4 > end || offset + size > end)
			return malformed(m, DNS_FAULT_OPTIONS, offset);
		if (word_at(bytes, offset) != EDNS_PADDING)
			held += size;
		else if (!is_zeros(offset + 4, size - 4))
			return malformed(m, DNS_FAULT_PADDING, offset);
		if (held > EDNS_DATA_MAX)
			return malformed(m, DNS_FAULT_OPTIONS, offset);
		offset += size;
	}
	return offset == end ? REASON_ALLOWED : malformed(m, DNS_FAULT_OPTIONS, offset);
}

/* Reads the `index`th record behind the question. A query has few that belong there. */
__noinline int judge_record(__u32 index)
{
	struct name_scratch *name = get_name_scratch();
	struct dns_message *m = get_dns_message();
	struct dns_bytes *bytes = get_dns_bytes();
	__u32 start, type;

	if (!m || !name || !bytes)
		return REASON_DNS_MALFORMED;
	start = m->offset;
	if (read_record(m, name, bytes) < 0)
		return REASON_DNS_MALFORMED;
	if (DNS_OPCODE(m->flags) != DNS_QUERY)
		return REASON_ALLOWED;
	type = m->record.type;
	if (type == DNS_TYPE_OPT && index >= m->counts[1] && !m->has_options && name->next == start + 1) {
		m->has_options = 1;
		return judge_options();
	}
	m->is_plain = 0;
	if (index < m->counts[1] ? type == DNS_TYPE_SOA
				 : type == DNS_TYPE_TSIG || type == DNS_TYPE_SIG ||
				   (type == DNS_TYPE_TKEY && m->type == DNS_TYPE_TKEY))
		return REASON_ALLOWED;
	return malformed(m, DNS_FAULT_RECORD, start);
}

/* The records of a query: a transfer's start of authority (RFC 1995, 3), EDNS, keys and signatures, nothing else. */
static __always_inline int judge_query_counts(struct dns_message *m)
{
	if (m->counts[0])
		return malformed(m, DNS_FAULT_COUNTS, 6);
	if (m->counts[1] > (m->type == DNS_TYPE_IXFR))
		return malformed(m, DNS_FAULT_COUNTS, 8);
	return m->counts[2] > QUESTION_ADDITIONAL_MAX ? malformed(m, DNS_FAULT_COUNTS, 10) : REASON_ALLOWED;
}

/* Reads what is behind the question that parse_dns has read. Returns a reason, and says in m->is_plain what it is. */
__noinline int judge_sections(void)
{
	struct dns_message *m = get_dns_message();
	int reason = REASON_ALLOWED;
	__u32 records;

	if (!m)
		return REASON_DNS_MALFORMED;
	records = m->counts[0] + m->counts[1] + m->counts[2];
	m->is_plain = DNS_OPCODE(m->flags) == DNS_QUERY;
	m->has_options = 0;
	if (m->is_plain)
		reason = judge_query_counts(m);
	if (reason)
		return reason;
	for (__u32 i = 0; i < QUESTION_RECORDS_MAX; i++) {
		if (i >= records)
			break;
		reason = judge_record(i);
		if (reason)
			return reason;
	}
	if (records <= QUESTION_RECORDS_MAX && m->offset != m->end)
		return malformed(m, DNS_FAULT_TRAILING, m->offset);
	return REASON_ALLOWED;
}

#endif
