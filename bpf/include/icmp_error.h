/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* ICMP errors belong to the flow that they are about, which is named in the packet that they quote. */
#ifndef PORTCULLIS_ICMP_ERROR_H
#define PORTCULLIS_ICMP_ERROR_H

#include "flow.h"

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
		offset += sizeof(ip);
		if (is_mapped(inner->source) || is_mapped(inner->destination))
			return -1;
	}
	if (offset + 8 > outer->end)
		return -1;
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

/* An ICMP error about an allowed flow is part of it. Puts its subject into the scratch; returns 1, else 0. */
__noinline int is_related(struct __sk_buff *skb)
{
	struct scratch *s = get_scratch();
	struct flow *flow = NULL;
	struct packet outer;
	__u32 direction;

	if (!s)
		return 0;
	outer = s->packet;
	direction = s->direction;
	if (parse_inner(skb, &outer, &s->packet) == 0) {
		/* The error goes against the packet that it is about. */
		s->direction = direction == DIRECTION_EGRESS ? DIRECTION_INGRESS : DIRECTION_EGRESS;
		__builtin_memset(&s->key, 0, sizeof(s->key));
		key_of_packet(s);
		flow = bpf_map_lookup_elem(&flows, &s->key);
	}
	s->packet = outer;
	s->direction = direction;
	__builtin_memset(&s->key, 0, sizeof(s->key));
	key_of_packet(s);
	if (!flow || flow->reason || flow->table_id != s->workload.table_id)
		return 0;
	s->flow.subjects[0].path_id = flow->subjects[0].path_id;
	return 1;
}

#endif
