/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Registrations: what bpf/flows.bpf.c has seen of who uses which address. A registration counts as long as its socket
 * is registered under just this key.
 */
#ifndef PORTCULLIS_REGISTRATION_H
#define PORTCULLIS_REGISTRATION_H

#include "memory/maps.h"

#define REGISTRATION_KEY_WORDS (sizeof(struct registration_key) / sizeof(__u32))

static __always_inline int is_same_key(const struct registration_key *one, const struct registration_key *other)
{
	const __u32 *left = (const __u32 *)one, *right = (const __u32 *)other;
	__u32 difference = 0;

	for (__u32 i = 0; i < REGISTRATION_KEY_WORDS; i++)
		difference |= left[i] ^ right[i];
	return !difference;
}

/* The registration under a key if it counts, or null. */
static __always_inline struct registration *find_registration(const struct registration_key *key)
{
	struct registration *found = bpf_map_lookup_elem(&registrations, key);
	struct registered_socket *registered_socket;
	__u64 socket;

	if (!found)
		return NULL;
	socket = found->socket;
	registered_socket = bpf_map_lookup_elem(&registered, &socket);
	return registered_socket && is_same_key(&registered_socket->key, key) ? found : NULL;
}

#endif
