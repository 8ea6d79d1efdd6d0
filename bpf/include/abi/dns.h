/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Questions, answers, and what was learned from them. Part of abi.h. */
#ifndef PORTCULLIS_ABI_DNS_H
#define PORTCULLIS_ABI_DNS_H

#define LEARNED_NAMES_MAX 4 /* names remembered per learned address */
/* Bytes of one DNS message that are read: 256 AAAA records and more. */
#define DNS_MESSAGE_MAX 8192

/* What is wrong with a message that is no well-formed DNS: goes with REASON_DNS_MALFORMED. */
enum dns_fault {
	DNS_FAULT_NONE = 0,
	DNS_FAULT_HEADER,    /* shorter than a header */
	DNS_FAULT_OPCODE,    /* one that asks for nothing by a name, or is not assigned */
	DNS_FAULT_COUNTS,    /* more or fewer questions than one, or records where none belong */
	DNS_FAULT_NAME,      /* too long, cut off, compressed in a question, or in a circle */
	DNS_FAULT_CLASS,
	DNS_FAULT_RECORD,    /* cut off, of a length that its type does not have, or of a type that does not belong there */
	DNS_FAULT_OPTIONS,   /* EDNS options that are cut off, or hold more than a question needs */
	DNS_FAULT_PADDING,   /* EDNS padding that is not of zeros, or too long */
	DNS_FAULT_TRAILING,  /* bytes behind the last record */
	DNS_FAULT_DIRECTION, /* an answer from the side that asks, or a question from the side that answers */
	DNS_FAULT_CUT,       /* it goes on behind the packet's end */
	DNS_FAULT_LENGTH,    /* TCP: a length that is shorter than a header */
	DNS_FAULT_COUNT,
};

/* `dns_queries`: HASH of questions. They are outstanding for DNS_QUESTION_LIFETIME (bpf/include/dns/flow.h). */
struct dns_query_key {
	struct flow_key flow;
	__u16 id;
	__u16 padding;
};
struct dns_query {
	__u64 name_hash;
	__u64 asked;
	__u32 path_id;       /* the subject that asked */
	__u32 container_id;
	__u32 second_path_id;      /* the second subject, if the flow has one */
	__u32 second_container_id;
	__u16 type;
	__u16 connects;      /* bit n: a rule of subject n connects to the name, so that its addresses are worth a place */
	__u16 answered;      /* 1 after an answer: to forget it is no loss */
	__u16 padding;
};

/* `dns_names`: HASH, of the names that a workload has learned addresses of -> the name as in name_key. */
struct dns_name_key {
	__u64 hash;
	__u32 workload_id;
	__u32 padding;
};
struct dns_name {
	__u8 text[NAME_TEXT_MAX];
	__u8 length;
	__u8 padding;
};

/* `learned`: HASH. Which names an address was an answer to, for one process of one workload. */
struct learned_key {
	__u32 workload_id;
	__u32 path_id;
	__u32 container_id;
	__u8 address[ADDRESS_LENGTH];
};
struct learned_name {
	__u64 hash;
	__u64 expires;
};
struct learned {
	struct learned_name names[LEARNED_NAMES_MAX];
};

/* `stream_locks`: ARRAY. Connections of DNS over TCP share them by hash: bpf/include/dns/lock.h. */
#define STREAM_LOCKS 4096
struct stream_lock {
	struct bpf_spin_lock lock;
	__u32 is_held;       /* 1 while a packet is judged */
};

#endif
