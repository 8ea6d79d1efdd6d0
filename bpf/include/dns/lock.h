/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Of a connection of DNS over TCP, one packet is judged at a time. Each goes on where the one before has left the stream, and several
 * may come at once, on several processors: questions and answers, what is sent again, a sender that moves from one to another.
 *
 * A bpf_spin_lock cannot be held while helpers are called. So it guards a word; who finds that set tries again, for as long as the
 * longest packets take. If that is not enough, a hypervisor has taken the other processor away: the packet is refused, and TCP
 * sends it again.
 */
#ifndef PORTCULLIS_LOCK_H
#define PORTCULLIS_LOCK_H

#include "dns/flow.h"
#include "memory/siphash.h"

/* Tries, in two loops: at some 60 ns each, 2 ms. */
#define LOCK_TURNS 512
#define LOCK_ROUNDS 64

static __always_inline int is_stream_locked(struct scratch *s)
{
	return s->stream_lock < STREAM_LOCKS;
}

/* Connections share locks by a keyed hash, so that nobody can choose those that wait for his. */
static __always_inline __u32 stream_lock_of(struct scratch *s)
{
	struct siphash hash;

	siphash_begin(&hash, name_hash_multiplier, ~name_hash_multiplier);
	siphash_add(&hash, s->key.workload_id);
	siphash_add(&hash, *(__u64 *)s->key.local);
	siphash_add(&hash, *(__u64 *)(s->key.local + 8));
	siphash_add(&hash, *(__u64 *)s->key.remote);
	siphash_add(&hash, *(__u64 *)(s->key.remote + 8));
	siphash_add(&hash, (__u32)s->key.local_port << 16 | s->key.remote_port);
	return siphash_end(&hash) % STREAM_LOCKS;
}

/* Returns whether the lock was free, and is now held. */
__noinline int try_stream_lock(__u32 index)
{
	struct stream_lock *lock = bpf_map_lookup_elem(&stream_locks, &index);

	if (!lock)
		return 0;
	for (int i = 0; i < LOCK_TURNS; i++) {
		__u32 was_held;

		bpf_spin_lock(&lock->lock);
		was_held = lock->is_held;
		lock->is_held = 1;
		bpf_spin_unlock(&lock->lock);
		if (!was_held)
			return 1;
	}
	return 0;
}

/*
 * Waits until no other packet of the connection is judged, if it is one of DNS. Returns 0, or -1 if that takes too long.
 */
__noinline int lock_stream(void)
{
	struct scratch *s = get_scratch();
	__u32 index;

	if (!s)
		return -1;
	s->stream_lock = STREAM_LOCKS;
	if (s->packet.protocol != PROTOCOL_TCP || (!is_dns_port(s->key.remote_port) && !is_dns_port(s->key.local_port)))
		return 0;
	index = stream_lock_of(s);
	for (int i = 0; i < LOCK_ROUNDS; i++) {
		if (!try_stream_lock(index))
			continue;
		s->stream_lock = index;
		return 0;
	}
	count_error(ERROR_DNS_STREAM_BUSY);
	return -1;
}

__noinline int unlock_stream(void)
{
	struct scratch *s = get_scratch();
	struct stream_lock *lock;

	if (!s)
		return 0;
	lock = bpf_map_lookup_elem(&stream_locks, &s->stream_lock);
	if (!lock)
		return 0;
	bpf_spin_lock(&lock->lock);
	lock->is_held = 0;
	bpf_spin_unlock(&lock->lock);
	return 0;
}

#endif
