/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * DNS messages: the header and the question (RFC 1035, 4.1) or zone (RFC 2136, 2.3), and their records one by one.
 * A message is copied to `dns_bytes` and read there; offsets are those within it.
 */
#ifndef PORTCULLIS_DNS_H
#define PORTCULLIS_DNS_H

#include "dns/name.h"
#include "memory/share.h"

#define DNS_FLAG_RESPONSE 0x8000
#define DNS_OPCODE(flags) ((flags) >> 11 & 0xf)
#define DNS_FLAG_TRUNCATED 0x0200
#define DNS_RCODE 0x000f

/* IANA, "DNS OpCodes". */
enum dns_opcode { DNS_QUERY = 0, DNS_STATUS = 2, DNS_NOTIFY = 4, DNS_UPDATE = 5 };

#define DNS_TYPE_A 1
#define DNS_TYPE_CNAME 5
#define DNS_TYPE_AAAA 28
#define DNS_CLASS_IN 1

/* Of the subjects of a flow, so many profit from what they ask: the user of the socket, and its creator. */
#define DNS_LEARNERS_MAX 2
#define DNS_ADDRESSES_MAX 256
#define DNS_LINKS_MAX 32

/* An address of an answer: where it is, and of which name. */
struct dns_address {
	__u64 owner;
	__u32 ttl;
	__u16 offset;
	__u16 length;
};

/* A CNAME record: hashes of both names. */
struct dns_link {
	__u64 owner;
	__u64 target;
	__u64 followed;
};

struct dns_record {
	__u16 type, class;
	__u32 ttl;
	__u32 data;           /* offset of its data, */
	__u32 end;            /* and behind it */
};

struct dns_message {
	__u64 name_hash;
	__u16 id;             /* network order */
	__u16 flags;          /* host order */
	__u16 type;
	__u16 questions;      /* 1, or 0 in an answer that repeats none */
	__u16 counts[3];      /* records of the sections behind the question */
	__u16 fault_offset;
	__u32 offset;         /* of the next record */
	__u32 end;            /* of what is there of the message */
	__u8 fault;           /* enum dns_fault */
	__u8 cut;             /* the end of the message is not there */
	__u8 is_plain;        /* a question with nothing but the question, and EDNS */
	__u8 has_options;     /* an EDNS record has been read */
	__u8 is_awaited;      /* a message of which the next segment is needed */
	__u8 padding[3];
	__u32 connects;       /* as in struct dns_query */
	struct dns_record record; /* the one read last */
	/* While answers are learned: */
	__u64 chain[DNS_LINKS_MAX * 2]; /* hashes of the question and of the CNAME targets behind it */
	__u32 chain_length;
	__u32 link_count;
	__u32 address_count;
	__u32 key_count;
	struct dns_link links[DNS_LINKS_MAX];
	struct dns_address addresses[DNS_ADDRESSES_MAX];
	struct learned_key keys[DNS_LEARNERS_MAX];
	struct learned fresh; /* with one name, the others stay free; here because this is where the stack is deepest */
	struct dns_query_key query_key;
	struct flow_key part_key;
	struct flow_key ahead_key;
};

PER_CPU_ROOM(dns_message, struct dns_message)

static __always_inline int malformed(struct dns_message *m, __u32 fault, __u32 offset)
{
	m->fault = fault;
	m->fault_offset = offset;
	return REASON_DNS_MALFORMED;
}

/* Copies `size` bytes of the packet, at most DNS_MESSAGE_MAX. Returns how many, or -1. */
static __always_inline int load_message(struct __sk_buff *skb, __u32 offset, __u32 size)
{
	struct dns_bytes *bytes = get_dns_bytes();

	if (!bytes) {
		count_error(ERROR_SCRATCH);
		return -1;
	}
	if (size > DNS_MESSAGE_MAX)
		size = DNS_MESSAGE_MAX;
	if (!size)
		return 0;
	if (read_bytes(skb, offset, bytes->at, size, DNS_MESSAGE_MASK) < 0)
		return -1;
	return size;
}

/* The name of a question or zone, its type and class. */
static __always_inline int parse_question(struct dns_message *m, struct name_scratch *name, struct dns_bytes *bytes)
{
	__u32 class;

	if (read_question_name() < 0)
		return malformed(m, DNS_FAULT_NAME, DNS_HEADER_LENGTH);
	m->offset = name->next + 4;
	if (m->offset > m->end)
		return malformed(m, DNS_FAULT_NAME, name->next);
	m->name_hash = name->hash;
	m->type = word_at(bytes, name->next);
	class = word_at(bytes, name->next + 2);
	/* IN, CH, HS, NONE and ANY: RFC 6895, 3.2. */
	if (class != DNS_CLASS_IN && class != 3 && class != 4 && class != 254 && class != 255)
		return malformed(m, DNS_FAULT_CLASS, name->next + 2);
	return REASON_ALLOWED;
}

/*
 * Reads header and question of the message in `dns_bytes`, of which `end` bytes are there, into the per-CPU
 * `dns_message` and `name_scratch`. Returns REASON_ALLOWED, or REASON_DNS_MALFORMED.
 */
__noinline int parse_dns(__u32 end)
{
	struct name_scratch *name = get_name_scratch();
	struct dns_message *m = get_dns_message();
	struct dns_bytes *bytes = get_dns_bytes();
	__u32 opcode;

	if (!m || !name || !bytes) {
		count_error(ERROR_SCRATCH);
		return REASON_DNS_MALFORMED;
	}
	m->end = end;
	m->name_hash = 0;
	m->type = 0;
	m->flags = 0;
	m->fault = DNS_FAULT_NONE;
	name->end = end;
	name->name_length = 0;
	if (end < DNS_HEADER_LENGTH)
		return malformed(m, DNS_FAULT_HEADER, end);
	m->id = *(__u16 *)bytes->at;
	m->flags = word_at(bytes, 2);
	m->questions = word_at(bytes, 4);
	m->counts[0] = word_at(bytes, 6);
	m->counts[1] = word_at(bytes, 8);
	m->counts[2] = word_at(bytes, 10);
	m->offset = DNS_HEADER_LENGTH;
	opcode = DNS_OPCODE(m->flags);
	if (opcode != DNS_QUERY && opcode != DNS_STATUS && opcode != DNS_NOTIFY && opcode != DNS_UPDATE)
		return malformed(m, DNS_FAULT_OPCODE, 2);
	/* Answers may repeat no question: errors of a bare header, and zone transfers (RFC 5936, 2.2.1). */
	if (m->questions > 1 || (!m->questions && !(m->flags & DNS_FLAG_RESPONSE)))
		return malformed(m, DNS_FAULT_COUNTS, 4);
	if (m->questions)
		return parse_question(m, name, bytes);
	clear_text(question_text(name));
	return REASON_ALLOWED;
}

/* The text behind a hash, if the workload has learned addresses of the name. Leaves its key in name->stored. */
static __always_inline struct dns_name *find_name(struct name_scratch *name, __u32 workload_id, __u64 hash)
{
	name->stored.hash = hash;
	name->stored.workload_id = workload_id;
	name->stored.padding = 0;
	return bpf_map_lookup_elem(&dns_names, &name->stored);
}

/* The name that a record is about. Almost always a pointer to the question's name, which has been read, or the root. */
static __always_inline int read_owner(struct dns_message *m, struct name_scratch *name, struct dns_bytes *bytes)
{
	if (m->offset + 2 <= m->end && word_at(bytes, m->offset) == (0xc000 | DNS_HEADER_LENGTH) && m->questions) {
		name->hash = m->name_hash;
		name->next = m->offset + 2;
		return 0;
	}
	if (m->offset < m->end && !bytes->at[m->offset & DNS_MESSAGE_MASK]) {
		name->hash = 0;
		name->next = m->offset + 1;
		return 0;
	}
	return hash_name(m->offset);
}

/* Reads the record at m->offset, but for its data, and moves on to the next. Returns 0, or -1: see m->fault. */
static __always_inline int read_record(struct dns_message *m, struct name_scratch *name, struct dns_bytes *bytes)
{
	__u32 at;

	if (read_owner(m, name, bytes) < 0) {
		malformed(m, DNS_FAULT_NAME, m->offset);
		return -1;
	}
	at = name->next;
	m->record.data = at + 10;
	m->record.end = at + 10 + word_at(bytes, at + 8);
	if (at + 10 > m->end || m->record.end > m->end) {
		malformed(m, DNS_FAULT_RECORD, m->offset);
		return -1;
	}
	m->record.type = word_at(bytes, at);
	m->record.class = word_at(bytes, at + 2);
	m->record.ttl = (__u32)word_at(bytes, at + 4) << 16 | word_at(bytes, at + 6);
	m->offset = m->record.end;
	return 0;
}

#endif
