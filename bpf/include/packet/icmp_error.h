/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * ICMP errors belong to the flow that they are about, which is named in the packet that they quote. Their bytes are
 * free for whoever can send one, so an error has to be one that a host or router makes: of its length, about a flow
 * that is alive, to the sender of the packet that it quotes, and outward from the workload's kernel itself.
 */
#ifndef PORTCULLIS_ICMP_ERROR_H
#define PORTCULLIS_ICMP_ERROR_H

#include "packet/error_quote.h"
#include "packet/extension.h"
#include "verdict/flow.h"
#include "verdict/flow_count.h"

/* As much of a packet as fits may be quoted: RFC 1812, 4.3.2.3; RFC 4443, 2.4 (c). */
#define ICMP_ERROR_MAX 576
#define ICMPV6_ERROR_MAX 1280

/* ICMP's ways to say that a packet did not arrive: RFC 792; RFC 4443, 3. */
static __always_inline int is_icmp_error(struct packet *p)
{
	if (p->protocol == PROTOCOL_ICMP && p->ethertype == ETHERTYPE_VALUE_IPV4)
		return p->icmp_type == 3 || p->icmp_type == 11 || p->icmp_type == 12;
	return is_icmpv6(p) && p->icmp_type >= 1 && p->icmp_type <= 4;
}

/* Reads the header of the packet that an ICMP error is about, as sent, into *inner. Returns 0, or -1. */
static __always_inline int parse_inner(struct __sk_buff *skb, struct packet *outer, struct packet *inner)
{
	__u32 offset = outer->l4_offset + 8;
	__u16 ports[2];

	if (outer->protocol == PROTOCOL_ICMP) {
		struct iphdr ip;

		if (offset + sizeof(ip) > outer->end || bpf_skb_load_bytes(skb, offset, &ip, sizeof(ip)) < 0 ||
		    ip.version != 4 || ip.ihl < 5)
			return -1;
		/* What stands behind the header of a later fragment is not the ports. */
		if (ip.frag_off & bpf_htons(0x1fff))
			return -1;
		set_ipv4(inner->source, ip.saddr);
		set_ipv4(inner->destination, ip.daddr);
		inner->protocol = ip.protocol;
		offset += ip.ihl * 4;
	} else {
		struct ipv6hdr ip;

		if (offset + sizeof(ip) > outer->end || bpf_skb_load_bytes(skb, offset, &ip, sizeof(ip)) < 0 ||
		    ip.version != 6)
			return -1;
		__builtin_memcpy(inner->source, &ip.saddr, ADDRESS_LENGTH);
		__builtin_memcpy(inner->destination, &ip.daddr, ADDRESS_LENGTH);
		inner->protocol = ip.nexthdr;
		if (is_mapped(inner->source) || is_mapped(inner->destination))
			return -1;
		inner->l4_offset = offset + sizeof(ip);
		inner->end = outer->end;
		if (skip_extensions(skb, inner) || (inner->flags & PACKET_LATER_FRAGMENT))
			return -1;
		offset = inner->l4_offset;
	}
	if (offset + 8 > outer->end)
		return -1;
	inner->l4_offset = offset;
	if (is_icmp(inner)) {
		if (bpf_skb_load_bytes(skb, offset, &inner->icmp_type, 1) < 0 ||
		    bpf_skb_load_bytes(skb, offset + 4, &inner->icmp_id, 2) < 0)
			return -1;
		return 0;
	}
	if (!has_ports(inner->protocol))
		return 0;
	if (bpf_skb_load_bytes(skb, offset, ports, sizeof(ports)) < 0)
		return -1;
	inner->source_port = ports[0];
	inner->destination_port = ports[1];
	return 0;
}

/* Can this be an error, whatever it is about? */
static __always_inline int is_sound_error(struct scratch *s)
{
	struct packet *p = &s->packet;
	__u32 max = p->ethertype == ETHERTYPE_VALUE_IPV4 ? ICMP_ERROR_MAX : ICMPV6_ERROR_MAX;

	if (p->end > ETHERNET_LENGTH + max || (p->flags & PACKET_FIRST_FRAGMENT))
		return 0;
	return s->direction == DIRECTION_INGRESS || (is_from_kernel(s) && !has_ipv4_options(p));
}

/* There is no way to the destination: neither that its port is closed, nor that the packet is too big for the way. */
static __always_inline int is_unreachable(const struct packet *p)
{
	if (p->ethertype == ETHERTYPE_VALUE_IPV4)
		return p->icmp_type == 3 && p->icmp_code != 3 && p->icmp_code != 4;
	return p->icmp_type == 1 && p->icmp_code != 4;
}

/* It goes to whom the quoted packet came from; outward, from where that was meant to go, or another own address. */
static __always_inline int ends_agree(struct scratch *s, struct packet *outer, struct packet *inner)
{
	if (!same_address(outer->destination, inner->source))
		return 0;
	return s->direction == DIRECTION_INGRESS || same_address(outer->source, inner->destination) ||
	       is_own(s->workload.id, outer->source);
}

/*
 * An ICMP error about an allowed flow is part of it. Puts its subject into the scratch; returns 1, else 0. For what
 * leaves, find_owner has run.
 */
__noinline int is_related(struct __sk_buff *skb)
{
	struct scratch *s = get_scratch();
	struct flow *flow = NULL;
	struct packet outer;
	__u32 direction, quoted;
	__u8 protocol;

	if (!s || !is_sound_error(s))
		return 0;
	outer = s->packet;
	direction = s->direction;
	s->packet.flags = 0;
	if (parse_inner(skb, &outer, &s->packet) == 0 && ends_agree(s, &outer, &s->packet)) {
		/* The error goes against the packet that it is about. */
		s->direction = direction == DIRECTION_EGRESS ? DIRECTION_INGRESS : DIRECTION_EGRESS;
		__builtin_memset(&s->key, 0, sizeof(s->key));
		key_of_packet(s);
		flow = bpf_map_lookup_elem(&flows, &s->key);
	}
	protocol = s->packet.protocol;
	quoted = s->packet.l4_offset;
	s->packet = outer;
	s->direction = direction;
	__builtin_memset(&s->key, 0, sizeof(s->key));
	key_of_packet(s);
	if (!flow || flow->reason || flow->table_id != s->workload.table_id || !is_alive(s, flow, protocol))
		return 0;
	s->flow.subjects[0].path_id = flow->subjects[0].path_id;
	if (direction == DIRECTION_EGRESS && measure_error(s, quoted))
		return 0;
	count_error_of_flow(flow, direction, skb->len);
	if (counts_flows && direction == DIRECTION_INGRESS && is_unreachable(&s->packet))
		flow->tcp.unreachable = 1;
	return 1;
}

#endif
