/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * DNS messages (RFC 1035, 4.1): one question, and what its answers teach. Answers are learned here, before the
 * reply reaches the workload, so that the first packet to a learned address finds it known.
 */
#ifndef PORTCULLIS_DNS_H
#define PORTCULLIS_DNS_H

#include "clock.h"
#include "name.h"
#include "share.h"

#define DNS_FLAG_RESPONSE 0x8000
#define DNS_OPCODE 0x7800
#define DNS_FLAG_TRUNCATED 0x0200
#define DNS_RCODE 0x000f

#define DNS_TYPE_A 1
#define DNS_TYPE_CNAME 5
#define DNS_TYPE_AAAA 28
#define DNS_CLASS_IN 1

#define DNS_ANSWERS_MAX 64
#define DNS_CHAIN_MAX 8

#define SECOND 1000000000ULL

struct dns_message {
	__u64 name_hash;
	__u32 answers;        /* offset of the answer section in the packet */
	__u16 id;             /* network order */
	__u16 flags;          /* host order */
	__u16 type;
	__u16 answer_count;
	__u8 cut;             /* the end of the message is not in this packet */
	__u8 padding[7];
	/* While answers are learned: */
	__u64 chain[DNS_CHAIN_MAX]; /* hashes of the question and of the CNAME targets behind it */
	__u32 chain_length;
	__u32 offset;         /* of the next answer */
	struct learned_key keys[SUBJECTS_MAX];
	__u32 key_count;
	__u32 learned;        /* addresses learned */
	struct learned fresh; /* with one name, the others stay free; here because this is where the stack is deepest */
	struct dns_query_key query_key;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct dns_message);
} dns_message SEC(".maps");

struct dns_header {
	__u16 id, flags, questions, answers, authorities, additional;
};

static __always_inline struct dns_message *get_dns_message(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&dns_message, &zero);
}

/*
 * Reads header and question of the message in [offset, end) into the per-CPU `dns_message` and `name_scratch`.
 * Returns REASON_ALLOWED, or REASON_DNS_MALFORMED.
 */
__noinline int parse_dns(struct __sk_buff *skb, __u32 offset, __u32 end)
{
	struct name_scratch *name = get_name_scratch();
	struct dns_message *m = get_dns_message();
	struct dns_header header;
	__u16 question[2];

	if (!m || !name) {
		count_error(ERROR_SCRATCH);
		return REASON_DNS_MALFORMED;
	}
	if (offset + sizeof(header) > end || bpf_skb_load_bytes(skb, offset, &header, sizeof(header)) < 0)
		return REASON_DNS_MALFORMED;
	m->id = header.id;
	m->flags = bpf_ntohs(header.flags);
	m->answer_count = bpf_ntohs(header.answers);
	if ((m->flags & DNS_OPCODE) || bpf_ntohs(header.questions) != 1)
		return REASON_DNS_MALFORMED;
	if (!(m->flags & DNS_FLAG_RESPONSE) && (header.answers || header.authorities))
		return REASON_DNS_MALFORMED;
	name->message = offset;
	name->end = end;
	if (read_question_name(skb, offset + sizeof(header)) < 0)
		return REASON_DNS_MALFORMED;
	if (name->next + sizeof(question) > end ||
	    bpf_skb_load_bytes(skb, name->next, question, sizeof(question)) < 0)
		return REASON_DNS_MALFORMED;
	m->name_hash = name->hash;
	m->type = bpf_ntohs(question[0]);
	m->answers = name->next + sizeof(question);
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

/* Remembers the text behind the hash of the name at hand. Returns 0, or -1 if the hash cannot be used. */
__noinline int remember_name(__u32 workload_id)
{
	struct name_scratch *name = get_name_scratch();
	struct dns_name *known, *fresh;

	if (!name)
		return -1;
	known = find_name(name, workload_id, name->hash);
	fresh = (struct dns_name *)name->wire; /* as many bytes, and not needed any more */
	if (known) {
		if (known->length == name->name_length && same_text(known->text, name->key.text))
			return 0;
		count_error(ERROR_DNS_NAME_COLLISION);
		return -1;
	}
	copy_text(fresh->text, name->key.text);
	fresh->length = name->name_length;
	fresh->padding = 0;
	if (put_dns_name(&name->stored, fresh) < 0) {
		count_error(ERROR_DNS_NAMES_FULL);
		return -1;
	}
	return 0;
}

/* The lifetime of a learned address: its TTL within floor and ceiling, and a grace period. */
static __always_inline __u64 lifetime(__u32 ttl)
{
	__u32 zero = 0;
	struct settings *s = bpf_map_lookup_elem(&settings, &zero);
	__u64 life = (__u64)ttl * SECOND;

	if (!s)
		return life;
	if (life < s->fqdn_min_ttl)
		life = s->fqdn_min_ttl;
	if (life > s->fqdn_max_ttl)
		life = s->fqdn_max_ttl;
	return life + s->fqdn_grace;
}

/* Puts (hash, expires) into `slots`: its own slot, else a free one, else the one that expires first. */
static __always_inline void put_learned_name(struct learned *entry, __u64 hash, __u64 expires)
{
	__u64 earliest = ~0ULL;
	int slot = 0;

	for (int i = 0; i < LEARNED_NAMES_MAX; i++) {
		if (entry->names[i].hash == hash) {
			entry->names[i].expires = expires;
			return;
		}
		if (entry->names[i].expires < earliest) {
			earliest = entry->names[i].expires;
			slot = i;
		}
	}
	entry->names[slot & (LEARNED_NAMES_MAX - 1)].hash = hash;
	entry->names[slot & (LEARNED_NAMES_MAX - 1)].expires = expires;
}

/* Learns m->keys[0..1].address for the question's name. */
__noinline int learn_address(__u32 ttl)
{
	struct dns_message *m = get_dns_message();
	__u64 expires = coarse_now() + lifetime(ttl);

	if (!m)
		return -1;
	/* The root has no addresses, and its hash would mean a free slot. */
	if (!m->name_hash)
		return 0;
	for (int i = 0; i < SUBJECTS_MAX; i++) {
		struct learned *known;

		if (i >= (int)m->key_count)
			break;
		known = bpf_map_lookup_elem(&learned, &m->keys[i]);
		if (known) {
			put_learned_name(known, m->name_hash, expires);
			continue;
		}
		m->fresh.names[0].hash = m->name_hash;
		m->fresh.names[0].expires = expires;
		if (put_learned(&m->keys[i], &m->fresh) < 0)
			count_error(ERROR_LEARNED_FULL);
	}
	m->learned++;
	return 0;
}

static __always_inline int in_chain(struct dns_message *m, __u64 hash)
{
	for (int i = 0; i < DNS_CHAIN_MAX; i++)
		if (i < (int)m->chain_length && m->chain[i] == hash)
			return 1;
	return 0;
}

struct dns_record {
	__u16 type, class;
	__u16 ttl[2];
	__u16 length;
};

/*
 * Reads the address of an A or AAAA record, `length` bytes, and learns it. Not inlined: the names that read_answer goes
 * on to are at the stack's deepest point.
 */
__noinline int learn_record(struct __sk_buff *skb, __u32 offset, __u32 length, __u32 ttl)
{
	struct dns_message *m = get_dns_message();
	__u8 address[ADDRESS_LENGTH];
	__u32 ipv4;

	if (!m)
		return -1;
	if (length == sizeof(ipv4)) {
		if (bpf_skb_load_bytes(skb, offset, &ipv4, sizeof(ipv4)) < 0)
			return -1;
		set_ipv4(address, ipv4);
	} else if (bpf_skb_load_bytes(skb, offset, address, sizeof(address)) < 0) {
		return -1;
	}
	__builtin_memcpy(m->keys[0].address, address, ADDRESS_LENGTH);
	__builtin_memcpy(m->keys[1].address, address, ADDRESS_LENGTH);
	return learn_address(ttl);
}

static __always_inline int address_record(struct __sk_buff *skb, struct dns_record *r, __u32 offset)
{
	__u32 length = r->type == bpf_htons(DNS_TYPE_A) ? 4 : ADDRESS_LENGTH;

	if (bpf_ntohs(r->length) != length)
		return -1;
	return learn_record(skb, offset, length, (__u32)bpf_ntohs(r->ttl[0]) << 16 | bpf_ntohs(r->ttl[1]));
}

/* The name that an answer is about. Almost always a pointer to the question's name, which has been read. */
static __always_inline int answer_owner(struct __sk_buff *skb, struct dns_message *m, struct name_scratch *name)
{
	__u16 pointer;

	if (m->offset + sizeof(pointer) > name->end ||
	    bpf_skb_load_bytes(skb, m->offset, &pointer, sizeof(pointer)) < 0 ||
	    pointer != bpf_htons(0xc000 | DNS_HEADER_LENGTH))
		return hash_name(skb, m->offset);
	name->hash = m->name_hash;
	name->next = m->offset + sizeof(pointer);
	return 0;
}

/* Reads the answer at m->offset and moves on to the next. Returns 0, or -1 if it is ill-formed or cut off. */
__noinline int read_answer(struct __sk_buff *skb)
{
	struct name_scratch *name = get_name_scratch();
	struct dns_message *m = get_dns_message();
	struct dns_record record;
	__u32 offset, end;

	if (!m || !name)
		return -1;
	if (answer_owner(skb, m, name) < 0)
		return -1;
	if (name->next + sizeof(record) > name->end ||
	    bpf_skb_load_bytes(skb, name->next, &record, sizeof(record)) < 0)
		return -1;
	offset = name->next + sizeof(record);
	end = offset + bpf_ntohs(record.length);
	if (end > name->end)
		return -1;
	m->offset = end;
	if (record.class != bpf_htons(DNS_CLASS_IN) || !in_chain(m, name->hash))
		return 0;
	if (record.type == bpf_htons(DNS_TYPE_A) || record.type == bpf_htons(DNS_TYPE_AAAA))
		return address_record(skb, &record, offset);
	if (record.type == bpf_htons(DNS_TYPE_CNAME)) {
		if (hash_name(skb, offset) < 0 || name->next > end)
			return -1;
		if (m->chain_length < DNS_CHAIN_MAX && !in_chain(m, name->hash))
			m->chain[m->chain_length++ & (DNS_CHAIN_MAX - 1)] = name->hash;
	}
	return 0;
}

/*
 * Learns from the answer section of the response that parse_dns has read, for the subjects in m->keys.
 * Returns REASON_ALLOWED, or REASON_DNS_MALFORMED for a whole message whose answers are ill-formed.
 */
__noinline int learn_answers(struct __sk_buff *skb)
{
	struct name_scratch *name = get_name_scratch();
	struct dns_message *m = get_dns_message();

	if (!m || !name)
		return REASON_DNS_MALFORMED;
	m->learned = 0;
	if (remember_name(m->keys[0].workload_id) < 0)
		return REASON_ALLOWED;
	m->chain[0] = m->name_hash;
	m->chain_length = 1;
	m->offset = m->answers;
	for (int i = 0; i < DNS_ANSWERS_MAX; i++) {
		if (i >= m->answer_count)
			return REASON_ALLOWED;
		if (read_answer(skb) == 0)
			continue;
		if (!m->cut && !(m->flags & DNS_FLAG_TRUNCATED))
			return REASON_DNS_MALFORMED;
		count_error(ERROR_DNS_ANSWERS_TRUNCATED);
		return REASON_ALLOWED;
	}
	if (m->answer_count > DNS_ANSWERS_MAX)
		count_error(ERROR_DNS_ANSWERS_TRUNCATED);
	return REASON_ALLOWED;
}

#endif
