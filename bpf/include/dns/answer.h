/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What DNS answers teach. They are learned here, before the reply reaches the workload, so that the first packet to a
 * learned address finds it known. First the records are read, then the CNAME chain is followed from the question on, so
 * that their order does not matter.
 */
#ifndef PORTCULLIS_DNS_ANSWER_H
#define PORTCULLIS_DNS_ANSWER_H

#include "dns/dns.h"
#include "memory/clock.h"

/* Records read of one answer: its addresses, its chain, and as many signatures of them. */
#define DNS_ANSWERS_MAX 320

#define SECOND 1000000000ULL

/* Remembers the text behind the hash of the name at hand. Returns 0, or -1 if the hash cannot be used. */
__noinline int remember_name(__u32 workload_id)
{
	struct name_scratch *name = get_name_scratch();
	struct dns_name *known;

	if (!name)
		return -1;
	known = find_name(name, workload_id, name->hash);
	if (known) {
		if (known->length == name->name_length && same_text(known->text, question_text(name)))
			return 0;
		count_error(ERROR_DNS_NAME_COLLISION);
		return -1;
	}
	copy_text(name->fresh.text, question_text(name));
	name->fresh.length = name->name_length;
	name->fresh.padding = 0;
	if (put_dns_name(&name->stored, &name->fresh) < 0) {
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
static __always_inline void learn_address(struct dns_message *m, __u32 ttl)
{
	__u64 expires = coarse_now() + lifetime(ttl);

	for (int i = 0; i < DNS_LEARNERS_MAX; i++) {
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
}

static __always_inline int in_chain(struct dns_message *m, __u64 hash)
{
	for (int i = 0; i < DNS_LINKS_MAX + 1; i++) {
		if (i >= (int)m->chain_length)
			break;
		if (m->chain[i] == hash)
			return 1;
	}
	return 0;
}

/* Learns the `index`th address that has been read, if it is the question's. Returns 0. */
__noinline int learn_read_address(__u32 index)
{
	struct dns_message *m = get_dns_message();
	struct dns_bytes *bytes = get_dns_bytes();
	struct dns_address *read;
	__u8 *address;
	__u32 offset;

	if (!m || !bytes || index >= DNS_ADDRESSES_MAX)
		return 0;
	read = &m->addresses[index];
	if (!in_chain(m, read->owner))
		return 0;
	offset = read->offset & DNS_MESSAGE_MASK;
	barrier_var(offset);
	address = m->keys[0].address;
	if (read->length == ADDRESS_LENGTH)
		__builtin_memcpy(address, bytes->at + offset, ADDRESS_LENGTH);
	else
		set_ipv4(address, *(__u32 *)(bytes->at + offset));
	__builtin_memcpy(m->keys[1].address, address, ADDRESS_LENGTH);
	learn_address(m, read->ttl);
	return 0;
}

static __always_inline int keep_address(struct dns_message *m, __u64 owner)
{
	__u32 length = m->record.type == DNS_TYPE_A ? 4 : ADDRESS_LENGTH, index = m->address_count;
	struct dns_address *kept;

	if (m->record.end - m->record.data != length) {
		malformed(m, DNS_FAULT_RECORD, m->record.data);
		return -1;
	}
	if (index >= DNS_ADDRESSES_MAX) {
		if (index == DNS_ADDRESSES_MAX)
			count_error(ERROR_DNS_ADDRESSES_LEFT);
		m->address_count = DNS_ADDRESSES_MAX + 1;
		return 0;
	}
	kept = &m->addresses[index];
	kept->owner = owner;
	kept->ttl = m->record.ttl;
	kept->offset = m->record.data;
	kept->length = length;
	m->address_count = index + 1;
	return 0;
}

static __always_inline int keep_link(struct dns_message *m, struct name_scratch *name, __u64 owner)
{
	__u32 index = m->link_count;

	if (hash_name(m->record.data) < 0 || name->next > m->record.end) {
		malformed(m, DNS_FAULT_NAME, m->record.data);
		return -1;
	}
	if (index >= DNS_LINKS_MAX) {
		if (index == DNS_LINKS_MAX)
			count_error(ERROR_DNS_CHAIN_LEFT);
		m->link_count = DNS_LINKS_MAX + 1;
		return 0;
	}
	m->links[index].owner = owner;
	m->links[index].target = name->hash;
	m->links[index].followed = 0;
	m->link_count = index + 1;
	return 0;
}

/* Reads the next record of the answer section. Returns 0, or -1 if it is ill-formed or cut off. */
__noinline int read_answer(void)
{
	struct name_scratch *name = get_name_scratch();
	struct dns_message *m = get_dns_message();
	struct dns_bytes *bytes = get_dns_bytes();
	__u64 owner;

	if (!m || !name || !bytes || read_record(m, name, bytes) < 0)
		return -1;
	owner = name->hash;
	if (m->record.class != DNS_CLASS_IN)
		return 0;
	if (m->record.type == DNS_TYPE_A || m->record.type == DNS_TYPE_AAAA)
		return keep_address(m, owner);
	if (m->record.type == DNS_TYPE_CNAME)
		return keep_link(m, name, owner);
	return 0;
}

/* Puts the targets of the CNAME records of one name behind the chain. Each record is followed once. */
__noinline int follow_links(__u32 position)
{
	struct dns_message *m = get_dns_message();

	if (!m || position >= DNS_LINKS_MAX + 1)
		return -1;
	for (int i = 0; i < DNS_LINKS_MAX; i++) {
		if (i >= (int)m->link_count)
			break;
		if (m->links[i].followed || m->links[i].owner != m->chain[position])
			continue;
		m->links[i].followed = 1;
		m->chain[m->chain_length++ & (DNS_LINKS_MAX * 2 - 1)] = m->links[i].target;
	}
	return 0;
}

/* Follows the CNAME records from the question on, in whichever order they came. */
static __always_inline void follow_chain(struct dns_message *m)
{
	m->chain[0] = m->name_hash;
	m->chain_length = 1;
	for (__u32 i = 0; i < DNS_LINKS_MAX + 1; i++) {
		if (!m->link_count || i >= m->chain_length)
			break;
		follow_links(i);
	}
}

/* Reads the answer section. Returns REASON_ALLOWED, or REASON_DNS_MALFORMED for a whole one that is ill-formed. */
static __always_inline int read_answers(struct dns_message *m)
{
	m->link_count = 0;
	m->address_count = 0;
	for (int i = 0; i < DNS_ANSWERS_MAX; i++) {
		if (i >= m->counts[0])
			return REASON_ALLOWED;
		if (read_answer() == 0)
			continue;
		if (!m->cut && !(m->flags & DNS_FLAG_TRUNCATED))
			return REASON_DNS_MALFORMED;
		count_error(ERROR_DNS_ANSWERS_TRUNCATED);
		return REASON_ALLOWED;
	}
	if (m->counts[0] > DNS_ANSWERS_MAX)
		count_error(ERROR_DNS_ANSWERS_TRUNCATED);
	return REASON_ALLOWED;
}

/*
 * Reads the answers of the response that parse_dns has read, and learns those to the question for the subjects in
 * m->keys: all that could be read, also of an answer that is ill-formed from there on.
 */
__noinline int learn_answers(void)
{
	struct name_scratch *name = get_name_scratch();
	struct dns_message *m = get_dns_message();
	int reason;

	if (!m || !name)
		return REASON_DNS_MALFORMED;
	reason = read_answers(m);
	name->hash = m->name_hash;
	/* The root has no addresses, and its hash would mean a free slot. */
	if (!m->key_count || !m->address_count || !m->name_hash || remember_name(m->keys[0].workload_id) < 0)
		return reason;
	follow_chain(m);
	for (__u32 i = 0; i < DNS_ADDRESSES_MAX; i++) {
		if (i >= m->address_count)
			break;
		learn_read_address(i);
	}
	return reason;
}

#endif
