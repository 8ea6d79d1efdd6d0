/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What a host says and hears to be on its link at all: neighbour discovery (RFC 4861) and group membership (MLD,
 * RFC 2710 and 3810; IGMP, RFC 3376). Only the kernel says it; what looks like it, but comes from a socket of a process,
 * is that process's.
 */
#ifndef PORTCULLIS_LINK_CONTROL_H
#define PORTCULLIS_LINK_CONTROL_H

#include "socket/owner.h"
#include "verdict/judge.h"

#define ICMPV6_MLD_QUERY 130
#define ICMPV6_MLD_REPORT 131
#define ICMPV6_MLD_DONE 132
#define ICMPV6_ROUTER_SOLICITATION 133
#define ICMPV6_ROUTER_ADVERTISEMENT 134
#define ICMPV6_NEIGHBOUR_SOLICITATION 135
#define ICMPV6_NEIGHBOUR_ADVERTISEMENT 136
#define ICMPV6_REDIRECT 137
#define ICMPV6_MLD2_REPORT 143
#define IGMP_QUERY 0x11

#define HOP_LIMIT_ON_LINK 255 /* RFC 4861, 7.1: a router would have lowered it */
#define HOP_LIMIT_MEMBERSHIP 1 /* RFC 3810, 5; RFC 3376, 4 */
#define LINK_CONTROL_MAX 1280 /* the smallest MTU of IPv6 */
#define ND_OPTIONS_MAX 32

static __always_inline int is_unspecified(const __u8 address[ADDRESS_LENGTH])
{
	const __u32 *words = (const __u32 *)address;

	return !words[0] && !words[1] && (!words[2] || words[2] == bpf_htonl(0xffff)) && !words[3];
}

static __always_inline int is_neighbour_discovery(struct packet *p)
{
	return is_icmpv6(p) && !(p->flags & PACKET_LATER_FRAGMENT) &&
	       p->icmp_type >= ICMPV6_ND_FIRST && p->icmp_type <= ICMPV6_ND_LAST;
}

/* Length of a message before its options: RFC 4861, 4.1 to 4.4. */
static __always_inline __u32 nd_header_length(__u8 type)
{
	if (type == ICMPV6_ROUTER_SOLICITATION)
		return 8;
	return type == ICMPV6_ROUTER_ADVERTISEMENT ? 16 : 24;
}

/* Do the options fill the message to its end? RFC 4861, 4.6: type, then length in units of 8 bytes, never 0. */
static __always_inline int nd_options_are_sound(struct __sk_buff *skb, struct packet *p)
{
	__u32 offset = p->l4_offset + nd_header_length(p->icmp_type);
	__u8 length;

	for (int i = 0; i < ND_OPTIONS_MAX; i++) {
		if (offset >= p->end)
			break;
		if (bpf_skb_load_bytes(skb, offset + 1, &length, sizeof(length)) < 0 || !length)
			return 0;
		offset += length * 8;
	}
	return offset == p->end;
}

/* RFC 4861, 6.1 and 7.1: what a host has to check before it believes a message. Fragments are none: RFC 6980. */
static __always_inline int nd_is_sound(struct __sk_buff *skb, struct packet *p)
{
	return p->hop_limit == HOP_LIMIT_ON_LINK && !p->icmp_code && !(p->flags & PACKET_FIRST_FRAGMENT) &&
	       p->end <= ETHERNET_LENGTH + LINK_CONTROL_MAX && nd_options_are_sound(skb, p);
}

static __always_inline int is_multicast(struct packet *p)
{
	if (p->ethertype == ETHERTYPE_VALUE_IPV6)
		return p->destination[0] == 0xff;
	return (p->destination[12] & 0xf0) == 0xe0;
}

/* What a member of groups says, or is asked by a router or a bridge. */
static __always_inline int is_membership(struct scratch *s)
{
	struct packet *p = &s->packet;
	int sends = s->direction == DIRECTION_EGRESS;

	if (p->icmp_code || p->hop_limit != HOP_LIMIT_MEMBERSHIP || !is_multicast(p) ||
	    (p->flags & PACKET_FIRST_FRAGMENT))
		return 0;
	if (!sends)
		return p->icmp_type == ICMPV6_MLD_QUERY && p->end <= ETHERNET_LENGTH + LINK_CONTROL_MAX;
	return p->icmp_type == ICMPV6_MLD_REPORT || p->icmp_type == ICMPV6_MLD_DONE ||
	       p->icmp_type == ICMPV6_MLD2_REPORT;
}

/* The same over IPv4, for workloads with a process that may speak IGMP: its groups are joined by the kernel. */
static __always_inline int is_igmp_membership(struct __sk_buff *skb, struct scratch *s)
{
	struct packet *p = &s->packet;
	__u8 type;

	if (!(s->workload.flags & WORKLOAD_GROUPS) || p->hop_limit != HOP_LIMIT_MEMBERSHIP || !is_multicast(p) ||
	    p->flags)
		return 0;
	if (s->direction == DIRECTION_EGRESS)
		return 1;
	return p->l4_offset < p->end && bpf_skb_load_bytes(skb, p->l4_offset, &type, sizeof(type)) == 0 &&
	       type == IGMP_QUERY && p->end <= ETHERNET_LENGTH + LINK_CONTROL_MAX;
}

/* Fills s->link_control. find_owner has run. */
__noinline int find_link_control(struct __sk_buff *skb)
{
	struct scratch *s = get_scratch();

	if (!s)
		return 0;
	s->link_control = 0;
	if (s->direction == DIRECTION_EGRESS && !is_from_kernel(s))
		return 0;
	if (is_neighbour_discovery(&s->packet))
		s->link_control = nd_is_sound(skb, &s->packet);
	else if (is_icmpv6(&s->packet))
		s->link_control = is_membership(s);
	else if (s->packet.protocol == PROTOCOL_IGMP && s->packet.ethertype == ETHERTYPE_VALUE_IPV4)
		s->link_control = is_igmp_membership(skb, s);
	return 0;
}

#endif
