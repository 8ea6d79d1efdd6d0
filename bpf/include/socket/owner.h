/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Which process does a packet belong to? What the workload sends carries its socket across the veth; what leaves
 * without one is nobody's, whatever ports it claims (docs/verdicts.md). For what the workload receives the socket is
 * looked up in its network namespace. The socket's storage says who made it and who used it last; where it has none,
 * or nothing was found for a packet that comes in, the registrations of bpf/flows.bpf.c are the second source.
 */
#ifndef PORTCULLIS_OWNER_H
#define PORTCULLIS_OWNER_H

#include "socket/provenance.h"
#include "socket/registration.h"
#include "socket/socket_actors.h"

#define TEST_MILLISECOND 1000000ULL

/*
 * For BPF_PROG_TEST_RUN only: the packet's mark is its process's path id (the lowest 16 bits, and the highest two), ancestry id (8
 * bits, all ones for ANCESTRY_UNKNOWN) and user (6 bits), and priority that of a second one, cb[4] of a third; cb[0] is what else its socket would tell (enum owner_flag), cb[1] tells sockets apart (the lowest byte) and for
 * how many ms the socket has been connected, cb[3] is their cgroup. The answer is in cb[2]: see finish.
 */
const volatile __u8 subject_from_mark = 0;

static __always_inline void tuple_of(struct scratch *s, struct bpf_sock_tuple *tuple)
{
	struct packet *p = &s->packet;

	if (p->ethertype == ETHERTYPE_VALUE_IPV4) {
		tuple->ipv4.saddr = *(__u32 *)(p->source + 12);
		tuple->ipv4.daddr = *(__u32 *)(p->destination + 12);
		tuple->ipv4.sport = p->source_port;
		tuple->ipv4.dport = p->destination_port;
		return;
	}
	__builtin_memcpy(tuple->ipv6.saddr, p->source, ADDRESS_LENGTH);
	__builtin_memcpy(tuple->ipv6.daddr, p->destination, ADDRESS_LENGTH);
	tuple->ipv6.sport = p->source_port;
	tuple->ipv6.dport = p->destination_port;
}

/* Fills the scratch from the socket that has been found, and gives it back. Returns 0 if its owner is not to be had any more. */
static __always_inline int owner_of_receiver(struct scratch *s, struct bpf_sock *sk)
{
	struct bpf_sock *full = bpf_sk_fullsock(sk);
	int found = 1;

	if (full)
		owner_of_full_socket(s, full);
	else
		found = owner_of_mini_socket(s, sk);
	bpf_sk_release(sk);
	return found;
}

/*
 * What is left of a connection, in TIME_WAIT or of a listener that is gone, gives way to one that begins with the same ends: the
 * kernel then looks for a listener, and so is it looked for here, by the workload's end alone.
 */
static __always_inline void ask_listener(struct __sk_buff *skb, struct scratch *s, __u32 length)
{
	struct bpf_sock *sk;

	if (s->packet.ethertype == ETHERTYPE_VALUE_IPV4) {
		s->tuple.ipv4.saddr = 0;
		s->tuple.ipv4.sport = 0;
	} else {
		__builtin_memset(s->tuple.ipv6.saddr, 0, ADDRESS_LENGTH);
		s->tuple.ipv6.sport = 0;
	}
	s->owner_flags = 0;
	sk = bpf_skc_lookup_tcp(skb, &s->tuple, length, s->workload.nsid, 0);
	if (sk)
		owner_of_receiver(s, sk);
	else
		s->owner_flags |= OWNER_ADDRESS | OWNER_NONE;
}

/* The socket that would receive the packet. */
__noinline int look_up_socket(struct __sk_buff *skb)
{
	struct scratch *s = get_scratch();
	struct bpf_sock *sk = NULL;
	__u32 length;

	if (!s)
		return 0;
	if (s->workload.nsid < 0) {
		count_error(ERROR_SOCKET_LOOKUP);
		return 0;
	}
	tuple_of(s, &s->tuple);
	length = s->packet.ethertype == ETHERTYPE_VALUE_IPV4 ? sizeof(s->tuple.ipv4) : sizeof(s->tuple.ipv6);
	if (s->packet.protocol == PROTOCOL_TCP)
		sk = bpf_skc_lookup_tcp(skb, &s->tuple, length, s->workload.nsid, 0);
	else if (s->packet.protocol == PROTOCOL_UDP)
		sk = bpf_sk_lookup_udp(skb, &s->tuple, length, s->workload.nsid, 0);
	if (!sk)
		s->owner_flags |= OWNER_ADDRESS | OWNER_NONE;
	else if (!owner_of_receiver(s, sk) && begins_tcp(&s->packet))
		ask_listener(skb, s, length);
	return 0;
}

static __always_inline void actor_from_mark(struct scratch *s, __u32 mark, __u32 cgroup)
{
	__u32 index = s->actor_count;

	if (!mark || index >= SUBJECTS_MAX)
		return;
	__builtin_memset(&s->actors[index], 0, sizeof(s->actors[index]));
	s->actors[index].cgroup_id = cgroup;
	s->actors[index].path_id = mark & (PATH_ID_USER | 0xffff);
	s->actors[index].ancestry = (mark >> 16 & 0xff) == 0xff ? ANCESTRY_UNKNOWN : mark >> 16 & 0xff;
	s->actors[index].uid = mark >> 24 & 0x3f;
	s->actors[index].flags = mark & PATH_ID_MODIFIED ? PROCESS_MODIFIED : 0;
	s->actor_count = index + 1;
	s->owner_flags |= OWNER_FOUND;
}

static __always_inline void owner_from_mark(struct __sk_buff *skb, struct scratch *s)
{
	__u32 connected = skb->cb[1] >> 8;

	s->owner_flags = skb->cb[0];
	if (!skb->mark)
		return;
	if (connected)
		s->connected = s->now - connected * TEST_MILLISECOND;
	actor_from_mark(s, skb->mark, skb->cb[3]);
	actor_from_mark(s, skb->priority, skb->cb[3]);
	if (s->direction == DIRECTION_INGRESS && skb->cb[4])
		s->owner_flags |= OWNER_FORMER;
	else
		actor_from_mark(s, skb->cb[4], skb->cb[3]);
}

/* The registration of the packet's socket, by the addresses; *exact says whether by those of both sides. */
static __always_inline struct registration *registration_of(struct scratch *s, __u32 netns_inum, int *exact)
{
	struct registration_key key = { .netns_inum = netns_inum, .protocol = s->key.protocol };
	struct registration *found;

	__builtin_memcpy(key.remote, s->key.remote, ADDRESS_LENGTH);
	*exact = 1;
	if (s->owner_flags & OWNER_RAW) {
		key.raw = 1;
		return find_registration(&key);
	}
	__builtin_memcpy(key.local, s->key.local, ADDRESS_LENGTH);
	key.local_port = s->key.local_port;
	key.remote_port = s->key.remote_port;
	found = find_registration(&key);
	if (found)
		return found;
	*exact = 0;
	__builtin_memset(key.remote, 0, ADDRESS_LENGTH);
	key.remote_port = 0;
	found = find_registration(&key);
	if (found)
		return found;
	__builtin_memset(key.local, 0, ADDRESS_LENGTH);
	return find_registration(&key);
}

static __always_inline int is_actor(const struct registration *registration, const struct actor *actor)
{
	return registration->actor.tgid == actor->tgid && registration->actor.start_time == actor->start_time;
}

/*
 * The second source. Where the first one knows the owner, the two are compared: not for accepted connections, which
 * only their listener's registration could be taken for.
 */
__noinline int ask_registrations(__u32 netns_inum)
{
	struct scratch *s = get_scratch();
	struct registration *found;
	int exact;

	if (!s)
		return 0;
	found = registration_of(s, netns_inum, &exact);
	if (!found || (found->flags & REGISTRATION_SHARED))
		return 0;
	if (s->owner_flags & OWNER_FOUND) {
		if ((exact || s->key.protocol != PROTOCOL_TCP) && !is_actor(found, &s->actors[0]) &&
		    !is_actor(found, &s->actors[1]))
			count_error(ERROR_OWNER_DISAGREEMENT);
		return 0;
	}
	/* Neither what leaves without a socket nor a raw socket without storage borrows another's addresses. */
	if (!(s->owner_flags & OWNER_ADDRESS))
		return 0;
	current_actor(&found->actor, &s->actors[0]);
	s->actor_count = 1;
	s->owner_flags |= OWNER_FOUND;
	if (exact && s->key.protocol == PROTOCOL_TCP)
		s->owner_flags |= OWNER_CONNECTED;
	return 0;
}

/* Asks the socket that the packet has been sent from. */
__noinline int ask_sender(struct __sk_buff *skb)
{
	struct scratch *s = get_scratch();
	struct bpf_sock *sk = skb->sk, *full;

	if (!s)
		return 0;
	if (!sk) {
		s->owner_flags |= OWNER_NONE;
		if (!is_from_kernel(s))
			count_error(ERROR_SENT_WITHOUT_SOCKET);
		return 0;
	}
	full = bpf_sk_fullsock(sk);
	if (!full)
		owner_of_mini_socket(s, sk);
	else if (is_control_socket(full))
		s->owner_flags |= OWNER_KERNEL;
	else
		owner_of_full_socket(s, full);
	return 0;
}

/*
 * Nobody would receive this attempt: whoever listened there last, and might, is judged in its stead. If it may be made, the
 * kernel's refusal is an answer to it, and whoever meets a server that restarts hears so at once.
 */
__noinline int ask_last_listener(__u32 workload_id)
{
	struct last_listener_key key = { .workload_id = workload_id };
	struct scratch *s = get_scratch();
	struct actor *last;

	if (!s || (s->packet.protocol != PROTOCOL_UDP && !begins_tcp(&s->packet)))
		return 0;
	key.port = s->packet.destination_port;
	key.protocol = s->packet.protocol;
	last = bpf_map_lookup_elem(&last_listeners, &key);
	if (!last)
		return 0;
	s->actors[0] = *last;
	s->actor_count = 1;
	s->owner_flags |= OWNER_FOUND;
	return 0;
}

/* Fills s->actors and s->owner_flags. */
__noinline int find_owner(struct __sk_buff *skb)
{
	struct settings *set = get_settings();
	struct scratch *s = get_scratch();

	if (!s)
		return 0;
	s->owner_flags = 0;
	s->actor_count = 0;
	s->connected = 0;
	s->user_lineage = 0;
	if (subject_from_mark) {
		owner_from_mark(skb, s);
		return 0;
	}
	if (s->direction == DIRECTION_EGRESS)
		ask_sender(skb);
	else
		look_up_socket(skb);
	if (set && (set->flags & SETTING_REGISTRATIONS))
		ask_registrations(s->workload.netns_inum);
	if (s->direction == DIRECTION_INGRESS && (s->owner_flags & OWNER_NONE) && !(s->owner_flags & OWNER_FOUND))
		ask_last_listener(s->workload.id);
	return 0;
}

#endif
