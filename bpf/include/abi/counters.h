/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What is counted: packets by verdict, and failures. Part of abi.h. */
#ifndef PORTCULLIS_ABI_COUNTERS_H
#define PORTCULLIS_ABI_COUNTERS_H

/* `counters`: PERCPU_HASH. path_id 0 also stands in when the workload's share is full. */
struct counter_key {
	__u32 workload_id;
	__u32 path_id;
	__u8 direction;
	__u8 reason;
	__u8 verdict;
	__u8 padding;
};
struct counter {
	__u64 packets;
	__u64 bytes;
};

/* `errors`: PERCPU_ARRAY of __u64: every helper that failed, by what it was for. */
enum error {
	ERROR_FLOWS_FULL = 0,
	ERROR_FRAGMENTS_FULL,
	ERROR_COUNTERS_FULL,
	ERROR_VIOLATION_RECORDS_LOST,  /* their ring buffer was full */
	ERROR_ALLOWED_RECORDS_LOST,
	ERROR_DNS_RECORDS_LOST,
	ERROR_FLOW_RECORDS_LOST,
	ERROR_CONNECTS_FULL,
	ERROR_LIMITS_FULL,
	ERROR_PACKET_READ,
	ERROR_SCRATCH,
	ERROR_DNS_QUERIES_FULL,
	ERROR_DNS_NAMES_FULL,
	ERROR_LEARNED_FULL,
	ERROR_DNS_NAME_COLLISION,
	ERROR_DNS_NAME_EVICTED,
	ERROR_DNS_ANSWERS_TRUNCATED,  /* the end of an answer was not there, or behind what is read of one */
	ERROR_DNS_ADDRESSES_LEFT,     /* an answer with more addresses than are learned of one */
	ERROR_DNS_CHAIN_LEFT,         /* an answer with more CNAME records than are followed */
	ERROR_DNS_PARTS_FULL,         /* an answer over TCP in several segments was not kept until its end */
	ERROR_DNS_SEGMENT_AHEAD,      /* a segment of DNS over TCP ahead of its turn that could not be kept, and has to come again */
	ERROR_DNS_STREAM_BUSY,        /* a packet of DNS over TCP while another of its connection was judged, for longer than is waited */
	ERROR_PROCESSES_FULL,
	ERROR_PATHS_FULL,
	ERROR_PATH_TOO_LONG,
	ERROR_TASK_READ,
	ERROR_SOCKET_STORAGE,
	ERROR_SOCKET_WITHOUT_PROCESS,
	ERROR_SOCKET_WITHOUT_OWNER,
	ERROR_SOCKET_LOOKUP,
	ERROR_GATE_FULL,
	ERROR_DEVICES_FULL,
	ERROR_REGISTRATIONS_FULL,
	ERROR_SHARES_FULL,
	ERROR_OWNER_DISAGREEMENT,     /* the socket's storage and its registration name different processes */
	ERROR_SCRIPT_FILE,            /* of a script that was executed, not found: it goes by its interpreter */
	ERROR_LISTENERS_FULL,
	ERROR_ICMP_REQUESTS_FULL,
	ERROR_ANCESTRIES_FULL,        /* what led to a process could not be kept: it meets no condition */
	ERROR_SENT_WITHOUT_SOCKET,    /* by nobody; TCP of everybody where GRO is on at a veth's host side, and TSO off in the container */
	ERROR_COUNT,
};

#define ERROR_FILE_MAX 32

/* `error_sites`: PERCPU_HASH -> __u64: the same, by the line that counted it. No more entries than there are such lines. */
struct error_site {
	__u32 error;                /* enum error */
	__u32 line;
	char file[ERROR_FILE_MAX];  /* its name below bpf/include or bpf */
};

#endif
