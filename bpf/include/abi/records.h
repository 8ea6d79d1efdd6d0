/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What is reported. Part of abi.h. */
#ifndef PORTCULLIS_ABI_RECORDS_H
#define PORTCULLIS_ABI_RECORDS_H

/*
 * Each kind has a RINGBUF of its own, and a share of each workload's: however many there are of one kind, those of another
 * are neither lost nor held back.
 */
enum record_kind {
	RECORD_KIND_VIOLATION = 0, /* `violation_records` */
	RECORD_KIND_ALLOWED = 1,   /* `allowed_records`: first packets of allowed flows */
	RECORD_KIND_DNS = 2,       /* `dns_records`: trace-dns, every question and answer */
	RECORD_KIND_FLOW = 3,      /* `flow_records`: flows whose entry is about to go */
};

/* What stands behind the header. */
enum record_type {
	RECORD_VERDICT = 1,         /* struct verdict_record */
	RECORD_MESSAGE_VERDICT = 2, /* struct message_record: a verdict on a DNS message that could be read, or was malformed */
	RECORD_DNS = 3,             /* struct message_record: trace-dns, a question, or an answer with its code */
	RECORD_LISTEN = 4,          /* struct verdict_record without a remote side */
	RECORD_FLOW = 5,            /* struct flow_record */
};

struct record_header {
	__u64 time;
	__u64 count;         /* packets that this record stands for */
	__u32 workload_id;
	__u32 table_id;
	__u8 type;           /* enum record_type */
	__u8 padding[7];
};

struct record_process {
	struct actor actor;
	__u32 binary_id;
	__u32 container_id;
	__u32 parent_tgid;
	__u32 parent_path_id;
	char comm[COMM_MAX];
};

struct record_packet {
	__u64 name_hash;     /* learned name of the remote address */
	__u64 mask;          /* blocks that allowed it, 0 for a violation */
	__u32 length;
	__u16 ethertype;     /* host order */
	__u16 local_port;    /* network order */
	__u16 remote_port;
	__u8 verdict;
	__u8 reason;
	__u8 direction;
	__u8 protocol;
	__u8 application;
	__u8 padding;
	__u8 local[ADDRESS_LENGTH];
	__u8 remote[ADDRESS_LENGTH];
};

struct record_message {
	__u16 type;
	__u16 offset;        /* byte of the message, or of its segment, at which the fault was seen */
	__u8 fault;          /* enum dns_fault, with REASON_DNS_MALFORMED */
	__u8 rcode;
	__u8 opcode;
	__u8 is_response;
	__u8 name_length;    /* 0: no question could be read */
	__u8 name[NAME_TEXT_MAX];
	__u8 padding;
};

struct verdict_record {
	struct record_header header;
	struct record_process process;
	struct record_packet packet;
};

struct message_record {
	struct verdict_record verdict;
	struct record_message message;
};

/*
 * A flow that was counted, and whose entry in `flows` is about to be another's: another one has its key now, or its place. All
 * others are read where they are. Or a connect that failed and had no entry, because none of its packets may pass, or none came.
 */
struct flow_record {
	struct record_header header;
	struct flow_key key;
	__u32 is_replaced;   /* by another flow with its key */
	struct flow flow;
};

/* `limits`: HASH. The last record of its like, and how many packets have been held back since. */
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
