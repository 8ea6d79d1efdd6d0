/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Who has made a packet that leaves: a process by its socket, or the workload's kernel by itself. */
#ifndef PORTCULLIS_PROVENANCE_H
#define PORTCULLIS_PROVENANCE_H

#include "verdict/scratch.h"

/* A segment that holds nothing of anybody's: a reset, an acknowledgement, the end of a connection. */
static __always_inline int is_bare_tcp(struct packet *p)
{
	return p->protocol == PROTOCOL_TCP && !(p->flags & (PACKET_FIRST_FRAGMENT | PACKET_LATER_FRAGMENT)) &&
	       !(p->tcp_flags & TCP_SYN) && p->end <= p->payload_offset;
}

/*
 * Has the workload's kernel made this packet by itself? It does so by its control sockets; and without any socket it
 * sends ARP, IGMP, and (over IPv6, before 6.13) bare TCP segments. Segments of a forged GSO packet have no socket
 * either, but they always carry payload. find_owner has run.
 */
static __always_inline int is_from_kernel(struct scratch *s)
{
	struct packet *p = &s->packet;

	if (s->direction != DIRECTION_EGRESS || (s->owner_flags & OWNER_FOUND))
		return 0;
	if (s->owner_flags & OWNER_KERNEL)
		return 1;
	if (!(s->owner_flags & OWNER_NONE))
		return 0;
	return p->ethertype == ETHERTYPE_VALUE_ARP || is_bare_tcp(p) ||
	       (p->ethertype == ETHERTYPE_VALUE_IPV4 && p->protocol == PROTOCOL_IGMP);
}

#endif
