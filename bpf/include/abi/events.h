/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What is reported. Part of abi.h. */
#ifndef PORTCULLIS_ABI_EVENTS_H
#define PORTCULLIS_ABI_EVENTS_H

enum event_type {
	EVENT_VERDICT = 1,
	EVENT_DNS = 2,      /* trace-dns: a question, or an answer with its code */
	EVENT_LISTEN = 3,
};

/* `events`: RINGBUF. */
struct event {
	__u64 time;
	struct actor actor;
	__u64 name_hash;     /* learned name of the remote address */
	__u64 mask;          /* blocks that allowed it, 0 for a violation */
	__u64 count;         /* packets that this event stands for */
	__u32 workload_id;
	__u32 table_id;
	__u32 binary_id;
	__u32 container_id;
	__u32 parent_tgid;
	__u32 parent_path_id;
	__u32 length;        /* of the packet */
	__u16 ethertype;     /* host order */
	__u16 local_port;    /* network order */
	__u16 remote_port;
	__u16 dns_type;
	__u8 local[ADDRESS_LENGTH];
	__u8 remote[ADDRESS_LENGTH];
	char comm[COMM_MAX];
	__u8 type;           /* enum event_type */
	__u8 verdict;
	__u8 reason;
	__u8 direction;
	__u8 protocol;
	__u8 application;
	__u8 dns_rcode;
	__u8 dns_response;
	__u8 dns_name_length;
	__u8 dns_name[NAME_TEXT_MAX];
	__u8 dns_fault;      /* enum dns_fault, with REASON_DNS_MALFORMED */
	__u8 dns_opcode;
	__u8 padding;
	__u16 dns_offset;    /* byte of the message, or of its segment, at which the fault was seen */
};

/* `limits`: HASH. The last event of a kind, and how many packets have been held back since. */
struct limit_key {
	__u32 workload_id;
	__u32 path_id;
	__u8 remote[ADDRESS_LENGTH];
	__u16 port;          /* the service's: remote for egress, local for ingress */
	__u8 protocol;
	__u8 direction;
	__u8 reason;
	__u8 verdict;
	__u8 padding[2];
	__u64 name_hash;     /* of the question, for DNS verdicts */
};
struct limit {
	__u64 last;
	__u64 suppressed;
};

#endif
