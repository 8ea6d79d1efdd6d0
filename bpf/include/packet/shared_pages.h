/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What a process sends by splice(2), sendfile(2), vmsplice(2) or MSG_ZEROCOPY is not copied: it can write into the pages until the packet
 * has left the node, when it has long been judged.
 */
#ifndef PORTCULLIS_SHARED_PAGES_H
#define PORTCULLIS_SHARED_PAGES_H

#include <bpf/bpf_core_read.h>

#include "memory/maps.h"

#define SKBFL_SHARED_FRAG 0x02 /* include/linux/skbuff.h; MSG_ZEROCOPY sets it too */
/* Before 5.12, in `tx_flags`. */
#define SKBTX_DEV_ZEROCOPY 0x08
#define SKBTX_SHARED_FRAG 0x20

/* The packet itself, to be read with bpf_probe_read_kernel: what programs are given as struct __sk_buff is the same. */
static __always_inline struct sk_buff *address_of_packet(struct __sk_buff *skb)
{
	struct sk_buff *address = NULL;

	bpf_probe_read_kernel(&address, sizeof(address), &skb);
	return address;
}

/* Can somebody still change the packet's bytes? So it is said of one that cannot be looked at. */
static __always_inline int has_shared_pages(struct __sk_buff *skb)
{
	struct sk_buff *packet = address_of_packet(skb);
	struct skb_shared_info *shared = (void *)(BPF_CORE_READ(packet, head) + BPF_CORE_READ(packet, end));
	__u8 flags = 0;
	long error;

	if (bpf_core_field_exists(shared->flags)) {
		error = bpf_core_read(&flags, sizeof(flags), &shared->flags);
		flags &= SKBFL_SHARED_FRAG;
	} else {
		error = bpf_core_read(&flags, sizeof(flags), &shared->tx_flags);
		flags &= SKBTX_DEV_ZEROCOPY | SKBTX_SHARED_FRAG;
	}
	if (error)
		count_error(ERROR_PACKET_READ);
	return error || flags;
}

#endif
