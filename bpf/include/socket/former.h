/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * A socket that changes hands may still have bytes of its former user to send: they are sent again until they have been
 * acknowledged, or wait for more to be written. Until they have left, the former user is judged beside the new one.
 */
#ifndef PORTCULLIS_FORMER_H
#define PORTCULLIS_FORMER_H

#include <bpf/bpf_core_read.h>

#include "memory/maps.h"

#define STREAM_TYPE 1 /* SOCK_STREAM */
#define STREAM_PROTOCOL 6 /* TCP */
#define SCTP_PROTOCOL 132
#define RAW_TYPE 3 /* SOCK_RAW */
/* What the former user wrote is in the socket's queue, for as long as it takes. */
#define FORMER_QUEUED (~0ULL)
/* How long a datagram may take from its socket to the classifier: while its neighbour is looked for, three seconds (RFC 4861, 10). */
#define FORMER_GRACE 4000000000ULL

/* The flags that decide about rights. */
#define IDENTITY_FLAGS                                                                                           \
	(PROCESS_MODIFIED | PROCESS_DELETED | PROCESS_PATH_UNKNOWN | PROCESS_MOUNTED | PROCESS_SCRIPT_MOUNTED)

/* Of whatever user: a process that may become another one could have done as that one what it has done. */
static __always_inline int is_same_program(const struct actor *one, const struct actor *other)
{
	return one->path_id == other->path_id && one->script_id == other->script_id && one->ancestry == other->ancestry &&
	       one->cgroup_id == other->cgroup_id && (one->flags & IDENTITY_FLAGS) == (other->flags & IDENTITY_FLAGS);
}

static __always_inline int is_same_identity(const struct actor *one, const struct actor *other)
{
	return is_same_program(one, other) && one->uid == other->uid;
}

/*
 * The socket as a plain address, to be read with bpf_probe_read_kernel: the verifier takes no offset from the pointers that
 * it gives out as struct bpf_sock, which are the same.
 */
static __always_inline struct sock *address_of_socket(void *socket)
{
	struct sock *address = NULL;

	bpf_probe_read_kernel(&address, sizeof(address), &socket);
	return address;
}

/* Not by its protocol alone: a raw socket may be of any, and has nothing of a stream's. */
static __always_inline int is_stream(struct sock *socket)
{
	return BPF_CORE_READ(socket, sk_type) == STREAM_TYPE && BPF_CORE_READ(socket, sk_protocol) == STREAM_PROTOCOL;
}

/* What SCTP has to send, and to send again, is with its associations, of which a socket may have many. */
static __always_inline int is_sctp(struct sock *socket)
{
	return BPF_CORE_READ(socket, sk_protocol) == SCTP_PROTOCOL && BPF_CORE_READ(socket, sk_type) != RAW_TYPE;
}

/* An SCTP socket's never is, so that whoever has written into it stays its writer. */
static __always_inline int is_queue_empty(struct sock *socket)
{
	return !is_sctp(socket) && BPF_CORE_READ(socket, sk_write_queue.qlen) == 0;
}

/* Is anything that the former user wrote still to leave? */
static __always_inline int is_former_pending(void *pointer, struct socket_owner *owner)
{
	struct sock *socket;

	if (!owner->former_until)
		return 0;
	socket = address_of_socket(pointer);
	if (is_stream(socket))
		return BPF_CORE_READ((struct tcp_sock *)socket, bytes_acked) < owner->former_until;
	if (owner->former_until == FORMER_QUEUED && is_queue_empty(socket))
		owner->former_until = bpf_ktime_get_ns() + FORMER_GRACE;
	return bpf_ktime_get_ns() < owner->former_until;
}

/* "tls", as the kernel has it for the protocol on top of TCP (net/tls/tls_main.c). */
#define UPPER_PROTOCOL_TLS 0x00736c74

/* Kernel TLS keeps what has been written until a record is full or ended, where nothing shows of it. */
static __always_inline int has_records(struct sock *socket)
{
	const struct tcp_ulp_ops *upper = BPF_CORE_READ((struct inet_connection_sock *)socket, icsk_ulp_ops);
	__u32 name = 0;

	return upper && bpf_core_read(&name, sizeof(name), &upper->name) == 0 && name == UPPER_PROTOCOL_TLS;
}

/* When the socket has nothing more to send of what has been written up to now. */
static __always_inline __u64 time_of_last_byte(struct sock *socket)
{
	struct tcp_sock *tcp = (struct tcp_sock *)socket;

	if (!is_stream(socket))
		return is_queue_empty(socket) ? bpf_ktime_get_ns() + FORMER_GRACE : FORMER_QUEUED;
	if (has_records(socket))
		return FORMER_QUEUED;
	return BPF_CORE_READ(tcp, bytes_acked) + (__u32)(BPF_CORE_READ(tcp, write_seq) - BPF_CORE_READ(tcp, snd_una));
}

/*
 * Before `next` takes the user's place. The creator is judged for as long as there is a socket, and `next` from now on: they
 * need no place here.
 */
static __always_inline void keep_former(void *pointer, struct socket_owner *owner, const struct actor *next)
{
	if (is_same_program(&owner->user, &owner->creator) || is_same_program(&owner->user, next))
		return;
	if (!is_former_pending(pointer, owner))
		owner->flags &= ~SOCKET_SEVERAL_FORMER;
	else if (!is_same_program(&owner->former, &owner->user) && !is_same_program(&owner->former, next))
		owner->flags |= SOCKET_SEVERAL_FORMER;
	owner->former = owner->user;
	owner->former_until = time_of_last_byte(address_of_socket(pointer));
}

/* A connection that begins has nothing of anybody to send. */
static __always_inline void forget_former(struct socket_owner *owner)
{
	owner->former_until = 0;
	owner->flags &= ~SOCKET_SEVERAL_FORMER;
}

#endif
