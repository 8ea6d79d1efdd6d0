/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Who made a socket, who uses it, and who listened. Part of abi.h. */
#ifndef PORTCULLIS_ABI_SOCKETS_H
#define PORTCULLIS_ABI_SOCKETS_H

enum socket_flag {
	SOCKET_ACCEPTED = 1,  /* a listener's child: the remote side began */
	SOCKET_FOUND = 2,     /* older than the agent, found by the iterator */
	SOCKET_PORT_ASKED = 4, /* bound to a port of its own choice: it listens, if it is UDP */
	SOCKET_SEVERAL_FORMER = 8, /* more former users than the storage holds: nobody's, until their bytes have left */
};

/* `socket_owners`: SK_STORAGE, cloned to accepted sockets. */
struct socket_owner {
	struct actor creator;
	struct actor user;    /* the last one seen to use it; both must be allowed */
	struct actor former;  /* the user before, who must be allowed too until what it wrote has left */
	__u64 former_until;   /* TCP: `bytes_acked` by then; others: ns, all ones while it is queued; 0: it has left */
	__u64 epoch;          /* of the user's lineage, in which it was found to be who it is */
	__u64 connected;      /* ns, when a datagram socket was connected; 0: it was not seen to be */
	__u64 netns_cookie;   /* of its network namespace, 0 if not known */
	__u32 flags;          /* enum socket_flag */
	__u32 netns_inum;
};

/*
 * `registrations`: LRU_HASH. The second source of who owns a socket, by addresses as the network stack has them
 * (bpf/flows.bpf.c): for packets that come in and find no socket, and for sockets without storage. Unconnected sockets have
 * no remote side in it, and sockets bound to any address no local one (zeros).
 */
struct registration_key {
	__u32 netns_inum;
	__u8 protocol;
	__u8 raw;            /* 1: a raw socket's last datagram, by the remote address alone: to compare only */
	__u8 padding[2];
	__u8 local[ADDRESS_LENGTH];
	__u8 remote[ADDRESS_LENGTH];
	__u16 local_port;    /* a ping socket's identifier */
	__u16 remote_port;
};

enum registration_flag {
	REGISTRATION_SHARED = 1, /* by sockets of different identities: it says nothing */
};

struct registration {
	struct actor actor;
	__u64 time;          /* ns */
	__u64 socket;        /* tells sockets apart, and means nothing else */
	__u32 flags;         /* enum registration_flag */
	__u32 padding;
};

/* `registered`: LRU_HASH, socket (__u64) -> under which key it is registered. Who is not in there has no registration. */
struct registered_socket {
	struct registration_key key;
	__u32 padding;
	__u64 owner;         /* see struct claim_key */
};

/*
 * `last_listeners`: HASH -> struct actor. Who listened on a port last, and might. When nobody does, what comes for the
 * port is judged as if it still did: it reaches nobody, and the kernel's refusal is an answer to it.
 */
struct last_listener_key {
	__u32 workload_id;
	__u16 port;          /* network order */
	__u8 protocol;
	__u8 padding;
};

#endif
