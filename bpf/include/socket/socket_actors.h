/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Who is judged for what a socket sends or receives: its user, who made it, and who has left bytes in it. */
#ifndef PORTCULLIS_SOCKET_ACTORS_H
#define PORTCULLIS_SOCKET_ACTORS_H

#include <bpf/bpf_core_read.h>

#include "process/identity.h"
#include "socket/former.h"
#include "verdict/scratch.h"

#define FAMILY_INET 2
#define FAMILY_INET6 10
#define SOCKET_TYPE_RAW 3

/*
 * Who made the socket, or has written to it, stays who it was then, whatever the process has executed since. But one that
 * was moved to another cgroup is still the same program.
 */
static __always_inline void actor_then(const struct actor *then, struct actor *out)
{
	current_actor(then, out);
	if (out->path_id != then->path_id || out->script_id != then->script_id || out->ancestry != then->ancestry)
		*out = *then;
}

/*
 * What the user has executed since is written down: the kernel goes on sending for a process that has ended, and then
 * the snapshot is all there is.
 */
static __always_inline void user_now(struct bpf_sock *sk, struct socket_owner *owner, struct actor *out)
{
	current_actor(&owner->user, out);
	if (is_same_identity(&owner->user, out))
		return;
	keep_former(sk, owner, out);
	owner->user = *out;
}

/*
 * What a former user wrote may be about to leave: he is judged as well. Not for what comes in, by which the bytes that have
 * left are acknowledged.
 */
static __always_inline void add_former(struct scratch *s, struct bpf_sock *sk, struct socket_owner *owner)
{
	if (!is_former_pending(sk, owner))
		return;
	s->owner_flags |= OWNER_FORMER;
	if (s->direction == DIRECTION_INGRESS)
		return;
	if (owner->flags & SOCKET_SEVERAL_FORMER) {
		s->actor_count = 0;
		return;
	}
	actor_then(&owner->former, &s->actors[s->actor_count == 1 ? 1 : 2]);
	s->actor_count++;
}

/* The user's epoch is read before the user: whoever takes the socket over from here on begins another one. */
static __always_inline void note_user_epoch(struct scratch *s, const struct socket_owner *owner)
{
	__u32 lineage = *(const volatile __u32 *)&owner->user.lineage;

	s->user_lineage = lineage;
	s->user_epoch = process_epoch(lineage);
	barrier();
}

static __always_inline void actors_from_owner(struct scratch *s, struct bpf_sock *sk, struct socket_owner *owner)
{
	note_user_epoch(s, owner);
	user_now(sk, owner, &s->actors[0]);
	actor_then(&owner->creator, &s->actors[1]);
	s->actor_count = is_same_identity(&s->actors[0], &s->actors[1]) ? 1 : 2;
	add_former(s, sk, owner);
	s->owner_flags |= OWNER_FOUND;
	if (owner->flags & SOCKET_ACCEPTED)
		s->owner_flags |= OWNER_ACCEPTED;
}

/*
 * Has the connection carried payload before this packet? A SYN and a FIN count as a byte each in what was acknowledged, a
 * FIN in what was received. What was refused has neither been acknowledged nor received.
 */
static __always_inline int has_spoken(struct bpf_sock *sk)
{
	struct bpf_tcp_sock *tcp = NULL;

	/* The kernel would take a raw socket of TCP's protocol for a stream, and read behind its end. */
	if (sk->type == STREAM_TYPE && sk->protocol == PROTOCOL_TCP)
		tcp = bpf_tcp_sock(sk);
	return tcp && (tcp->bytes_acked > 2 || tcp->bytes_received > 1);
}

/* Is this the address that the socket is connected to? A datagram may go elsewhere. */
static __always_inline int is_peer(struct scratch *s, struct bpf_sock *sk)
{
	__u32 *remote = (__u32 *)remote_address(s);
	__u32 ipv4 = sk->dst_ip4, word0 = sk->dst_ip6[0], word1 = sk->dst_ip6[1], word2 = sk->dst_ip6[2],
	      word3 = sk->dst_ip6[3];

	/* Read one by one: the verifier takes no offset from a socket that has been computed. */
	barrier_var(ipv4);
	barrier_var(word0);
	barrier_var(word1);
	barrier_var(word2);
	barrier_var(word3);
	if (!sk->dst_port)
		return 0;
	if (sk->family == FAMILY_INET)
		return ipv4 == remote[3];
	return word0 == remote[0] && word1 == remote[1] && word2 == remote[2] && word3 == remote[3];
}

/*
 * One of the kernel's control sockets: for resets, acknowledgements of dead connections, ICMP, neighbour discovery and
 * group membership. All of them are raw, and made by sock_create_kern (inet_ctl_sock_create in net/ipv4/af_inet.c),
 * which is what sk_kern_sock remembers: nothing that user space does to a socket of its own sets it.
 */
static __always_inline int is_control_socket(struct bpf_sock *sk)
{
	struct sock *socket = address_of_socket(sk);

	if (sk->type != SOCKET_TYPE_RAW || (sk->family != FAMILY_INET && sk->family != FAMILY_INET6))
		return 0;
	return BPF_CORE_READ_BITFIELD_PROBED(socket, sk_kern_sock);
}

/* The owner of a full socket. One without storage is AF_PACKET's, was never seen, or found no memory for it. */
static __noinline int owner_of_full_socket(struct scratch *s, struct bpf_sock *sk)
{
	struct socket_owner *owner = bpf_sk_storage_get(&socket_owners, sk, NULL, 0);

	if (sk->type == SOCKET_TYPE_RAW)
		s->owner_flags |= OWNER_RAW;
	if (owner) {
		actors_from_owner(s, sk, owner);
		if (sk->dst_port)
			s->owner_flags |= OWNER_CONNECTED;
		if (has_spoken(sk))
			s->owner_flags |= OWNER_HAS_SPOKEN;
		if (is_peer(s, sk))
			s->connected = owner->connected;
		return 0;
	}
	count_error(ERROR_SOCKET_WITHOUT_OWNER);
	if ((sk->family == FAMILY_INET || sk->family == FAMILY_INET6) && sk->type != SOCKET_TYPE_RAW)
		s->owner_flags |= OWNER_ADDRESS;
	return 0;
}

/* Half-open sockets have a listener, dying ones have nobody. Returns 1 if it has been found. */
static __always_inline int owner_of_mini_socket(struct scratch *s, struct bpf_sock *sk)
{
	struct bpf_sock *listener = bpf_get_listener_sock(sk);

	s->owner_flags |= OWNER_KERNEL;
	if (!listener)
		return 0;
	owner_of_full_socket(s, listener);
	s->owner_flags |= OWNER_LISTENER | OWNER_ACCEPTED;
	return 1;
}

#endif
