/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What is known about the packet under judgement. It lives in a per-CPU map, not on the stack: the classifier
 * runs with softirqs off, so a CPU judges one packet at a time; and the verifier, which forgets what is stored
 * in a map, then has far fewer states to look at.
 */
#ifndef PORTCULLIS_SCRATCH_H
#define PORTCULLIS_SCRATCH_H

#include "memory/clock.h"
#include "memory/siphash.h"
#include "packet/packet.h"

/* Where DNS messages are read in a packet and, over TCP, in its stream. */
struct dns_stream {
	__u32 offset;  /* in the packet, or in what has been kept of those that came ahead */
	__u32 end;     /* of what is there to be read */
	__u32 next;    /* sequence number of the next byte */
	__u32 length;  /* of the message that it belongs to, 0 if the length comes next */
	__u32 held;    /* bytes of that message that have come before; of its length, if that is not known */
	__u32 prefix;  /* the first byte of its length, if only that has come */
	__u32 is_kept; /* what came ahead is being read */
	__u32 is_read;  /* some of it has been judged */
	__u32 is_apart; /* a segment ahead is judged by itself: nothing of the stream changes */
};

struct scratch {
	struct packet packet;
	struct flow_key key;
	struct flow flow;                   /* being judged: a new one, or a copy of the one in `flows` */
	struct actor actors[SUBJECTS_MAX];  /* user of the socket, its creator if somebody else, its former user */
	struct subject subject;             /* one that is compared with the flow's */
	struct bpf_sock_tuple tuple;        /* for looking the packet's socket up */
	struct workload workload;           /* copy of the instance in force when the packet came */
	struct dns_stream stream;
	struct siphash hash;
	struct icmp_request_key request_key;
	__u64 cookie;
	__u64 now;
	__u64 connected;                    /* when the packet's socket was connected to its remote address, 0 if not */
	__u64 user_epoch;                   /* of the socket's user, from before it was read */
	__u64 mask;                         /* blocks that allowed the packet, for the event */
	__u32 actor_count;
	__u32 direction;                    /* the packet's: enum direction */
	__u32 owner_flags;                  /* enum owner_flag */
	__u32 user_lineage;                 /* whose user_epoch is; 0: no socket's user has been read */
	__u32 is_answer;                    /* against the direction of a flow that has been refused, and reported, already */
	__u32 is_foreign;                   /* another socket's than the flow's: nothing of it is kept for the flow */
	__u32 stream_lock;                  /* of its connection, in `stream_locks`; STREAM_LOCKS if it needs none */
	__u32 dns_reported;                 /* name_scratch holds the question that the verdict is about */
	__u32 link_control;                 /* what a host says and hears to be on its link: packet/link_control.h */
	__u32 error_length;                 /* of an ICMP error that leaves: as much as may, from ICMP's header on */
};

enum owner_flag {
	OWNER_FOUND = 1,     /* actors[] is filled */
	OWNER_ACCEPTED = 2,  /* socket accepted from a listener */
	OWNER_CONNECTED = 4, /* socket has a peer */
	OWNER_KERNEL = 8,    /* one of the kernel's control sockets, or a half-open or dying one */
	OWNER_LISTENER = 16, /* found by its half-open request */
	OWNER_HAS_SPOKEN = 32, /* the connection's first payload has gone by, in either direction */
	OWNER_ADDRESS = 64,  /* the kernel itself has made the headers, so their addresses say which process the packet belongs to */
	OWNER_RAW = 128,     /* a raw socket */
	OWNER_FORMER = 256,  /* what a former user of the socket wrote is still to leave */
	OWNER_NONE = 512,    /* the packet leaves without a socket, or there is none that would receive it */
};

PER_CPU_ROOM(scratch, struct scratch)

static __always_inline struct settings *get_settings(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&settings, &zero);
}

/* A workload that is only watched to learn is not judged: everything is allowed, and reported as such. */
static __always_inline int is_judged(struct scratch *s)
{
	return !(s->workload.mode & MODE_LEARN) || (s->workload.mode & (MODE_ALERT | MODE_ENFORCE));
}

static __always_inline __u32 verdict_of(struct scratch *s, __u32 reason)
{
	if (!reason)
		return VERDICT_ALLOWED;
	if (s->workload.mode & MODE_ENFORCE)
		return VERDICT_DROPPED;
	return s->workload.mode & MODE_ALERT ? VERDICT_ALERTED : VERDICT_COUNTED;
}

/* The workload's side of the packet, and the other. */
static __always_inline __u8 *local_address(struct scratch *s)
{
	return s->direction == DIRECTION_EGRESS ? s->packet.source : s->packet.destination;
}

static __always_inline __u8 *remote_address(struct scratch *s)
{
	return s->direction == DIRECTION_EGRESS ? s->packet.destination : s->packet.source;
}

static __always_inline int is_own(__u32 workload_id, const __u8 address[ADDRESS_LENGTH])
{
	struct address_key key = { .workload_id = workload_id };

	__builtin_memcpy(key.address, address, ADDRESS_LENGTH);
	return bpf_map_lookup_elem(&addresses, &key) != NULL;
}

static __always_inline int is_own_hardware(__u32 workload_id, const __u8 mac[6])
{
	struct address_key key = { .workload_id = workload_id };

	key.address[0] = HARDWARE_ADDRESS_PREFIX >> 8;
	key.address[1] = HARDWARE_ADDRESS_PREFIX & 0xff;
	__builtin_memcpy(key.address + ADDRESS_LENGTH - 6, mac, 6);
	return bpf_map_lookup_elem(&addresses, &key) != NULL;
}

#endif
