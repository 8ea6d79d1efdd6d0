/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Conversations, datagrams in fragments, and requests that the kernel answers. Part of abi.h. */
#ifndef PORTCULLIS_ABI_FLOWS_H
#define PORTCULLIS_ABI_FLOWS_H

/* `flows`: HASH. ICMP and ICMPv6 echo: both ports are the identifier. */
struct flow_key {
	__u32 workload_id;
	__u8 protocol;
	__u8 padding[3];
	__u8 local[ADDRESS_LENGTH];
	__u8 remote[ADDRESS_LENGTH];
	__u16 local_port;
	__u16 remote_port;
};

enum flow_flag {
	FLOW_DNS = 1,          /* on a DNS port: every message is parsed */
	FLOW_L7_PENDING = 2,   /* first payload not seen yet, and some block looks at it */
	FLOW_PAYLOAD_REFUSED = 4, /* its first payload was refused, which nothing but other rules can change */
	FLOW_COOKIE_KNOWN = 8,
	FLOW_DNS_SEQUENCE_EGRESS = 16,   /* dns_next[DIRECTION_EGRESS] is known */
	FLOW_DNS_SEQUENCE_INGRESS = 32,
	FLOW_ENDED_EGRESS = 64,  /* TCP: a FIN or reset has gone this way; both: the connection is over */
	FLOW_ENDED_INGRESS = 128,
	FLOW_PREFACED = 256,     /* what may stand before the first payload has come, at dns_next of its direction */
};

/*
 * Whose rights apply: the socket's user, its creator if that is somebody else, and its former user while bytes of his may
 * be about to leave.
 */
struct subject {
	__u32 path_id;       /* script's or binary's, PATH_ID_MODIFIED; 0: no process */
	__u32 container_id;
	__u32 ruleset;       /* in the flow's direction */
	__u32 binary_id;     /* in the table; 0 is `default` */
	__u32 ancestry;
	__u32 uid;
	__u32 unmet;         /* REASON_ANCESTRY or REASON_USER: what it fails of its binary's rules, so that `default` judges it */
	__u32 padding;
	__u64 mask;          /* blocks that allow the flow so far */
};
#define SUBJECTS_MAX 3

/*
 * What has passed of a flow one way, where flows are counted (bpf/include/verdict/flow_count.h). What every packet changes stands
 * first, and is in another cache line than that of the other way, whose packets may be on another processor.
 */
struct flow_count {
	__u64 packets;
	__u64 bytes;          /* of the link layer on, as interfaces count */
	__u64 first_payload;  /* when its first bytes of payload passed, 0: none so far */
	__u32 tcp_flags;      /* of all its segments */
	__u32 padding;
	__u8 padding2[32];
};

/*
 * How long the peer of who began took to answer, where flows are counted: from the last bytes of payload of one side to the first of
 * the other. A request in several packets within one tick of the clock counts from its first.
 */
#define RESPONSE_BUCKETS 16
#define RESPONSE_FIRST_BUCKET 7 /* below 2^7 us; each next one reaches twice as far, the last one any */
struct flow_response {
	__u64 asked;         /* when, 0: nothing is to be answered */
	__u64 sum;           /* ns */
	__u64 longest;
	__u32 count;
	__u32 asked_tick;    /* jiffies (low half) when `asked` was written */
	__u32 histogram[RESPONSE_BUCKETS];
};

/* What TCP knew of a connection, from the workload's own socket, where its figures are kept (bpf/telemetry.bpf.c). */
struct flow_tcp {
	__u64 handshake;     /* ns from the first segment until the connection stood; 0: not seen */
	__u32 rtt_least;     /* us; 0: never measured */
	__u32 rtt_smoothed;  /* us */
	__u32 retransmits;
	__u32 lost;
	__u32 out_of_order;  /* segments that came so */
	__u8 closed_from;    /* the state before it was closed: include/net/tcp_states.h; 0: it is not */
	__u8 shutdown;       /* of the socket when it was closed: 1 reads, 2 writes no more */
	__u8 error;          /* errno of the socket when it was closed */
	__u8 refused;        /* enum reason: a packet of its connect was dropped */
	__u32 isn;           /* of the side that began, host order; 0: its SYN was not seen */
	__u8 unreachable;    /* an ICMP error has said so */
	__u8 padding[3];
};

/* `connects`: LRU_HASH, address of the socket (__u64) -> a connect that has not been answered. */
struct connect {
	struct actor actor;
	__u64 began;
	__u64 owner;         /* that the entry counts for, see struct claim_key */
	__u32 refused;       /* enum reason, as in struct flow_tcp */
	__u32 padding;
};

struct flow {
	struct flow_count counts[2]; /* by enum direction */
	__u64 began;         /* when its first packet was judged; counts go back as far */
	__u64 counted;       /* when the last packet was; `last_seen` is for judging, and of datagrams alone */
	__u32 counted_tick;  /* jiffies (low half) when `counted` was written */
	__u32 padding;
	struct flow_tcp tcp;
	struct flow_response response;
	__u64 cookie;
	__u64 last_seen;
	__u64 epoch;         /* sum of the process's and the network namespace's */
	__u64 name_hash;     /* the learned name that its remote address had, 0 if none */
	__u64 allowed_since; /* a name that was good then is good for as long as the flow is open */
	__u64 start_time;    /* of the process that used it last, with tgid and cgroup_id */
	__u64 cgroup_id;
	struct subject subjects[SUBJECTS_MAX];
	__u32 table_id;
	__u32 tgid;
	__u32 dns_next[2];   /* DNS over TCP: sequence number of the next byte to be read. See FLOW_PREFACED */
	__u8 subject_count;
	__u8 direction;      /* who began: enum direction */
	__u8 reason;         /* REASON_ALLOWED or why not */
	__u8 application;
	__u32 flags;         /* enum flow_flag */
	__u16 dns_length[2]; /* DNS over TCP: of the message whose length has been read, 0 if that comes next */
	__u16 dns_held[2];   /* DNS over TCP: bytes of that message that have come, in `dns_parts`; of its length, if that is 0 */
	__u8 dns_prefix[2];  /* DNS over TCP: the first byte of a length, which came alone */
	__u8 dns_ahead[2];   /* DNS over TCP: 1 if some of what comes behind dns_next is in `dns_parts` already */
	__u32 tick;          /* jiffies (low half) when last_seen was looked at last */
	__u32 lineage;       /* of the process that used it last */
	__u32 used;          /* 1 after a packet, until its place in the ring has its next turn */
};

/* `fragments`: HASH. The verdict of a datagram's first fragment, for the others of the same sender. */
struct fragment_key {
	__u64 socket;        /* cookie of the sending one; 0 for what comes in, or leaves without */
	__u32 workload_id;
	__u32 identification;
	__u8 source[ADDRESS_LENGTH];
	__u8 destination[ADDRESS_LENGTH];
	__u8 protocol;
	__u8 direction;
	__u8 padding[6];
};
struct fragment {
	__u64 seen;
	__u32 table_id;
	__u32 path_id;
	__u32 length;        /* of what the first carries: none of the others may reach into it */
	__u8 reason;
	__u8 padding[3];
};

/* `icmp_requests`: HASH of requests that have come in and may be answered -> when (__u64). See packet/kernel_answer.h. */
struct icmp_request_key {
	__u64 hash;
	__u32 workload_id;
	__u32 padding;
};

#endif
