/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * From bytes to `struct packet`: Ethernet, IPv4 with options (RFC 791), IPv6 with extension headers (RFC 8200), fragments. The
 * rules for what is ill-formed are stated a second time, independently, in src/policy/packet/packet-ip.ts, and fuzzed against these.
 */
#ifndef PORTCULLIS_IP_H
#define PORTCULLIS_IP_H

#include "packet/extension.h"
#include "packet/source_route.h"

static __always_inline int parse_ipv4(struct __sk_buff *skb, struct packet *p)
{
	struct iphdr ip;
	__u32 header, total, fragment;

	if (skb->len < LINK_LENGTH + sizeof(ip))
		return REASON_MALFORMED;
	if (read_header(skb, LINK_LENGTH, &ip, sizeof(ip)) < 0) {
		count_error(ERROR_PACKET_READ);
		return REASON_MALFORMED;
	}
	header = ip.ihl * 4;
	total = bpf_ntohs(ip.tot_len);
	if (ip.version != 4 || header < sizeof(ip))
		return REASON_MALFORMED;
	/* The length field of a packet of more than 64 KiB (BIG TCP, one GSO packet) is 0 (include/linux/ip.h). */
	if (!total && skb->gso_segs > 1)
		total = skb->len - LINK_LENGTH;
	if (total < header || LINK_LENGTH + total > skb->len)
		return REASON_MALFORMED;
	if (header > sizeof(ip) && is_source_routed(skb, LINK_LENGTH + sizeof(ip), header - sizeof(ip)))
		return REASON_MALFORMED;
	set_ipv4(p->source, ip.saddr);
	set_ipv4(p->destination, ip.daddr);
	p->protocol = ip.protocol;
	p->hop_limit = ip.ttl;
	p->l4_offset = LINK_LENGTH + header;
	p->end = LINK_LENGTH + total;
	fragment = bpf_ntohs(ip.frag_off);
	if (fragment & 0x3fff) {
		p->identification = ip.id;
		if (fragment & 0x1fff)
			return later_fragment(p, (fragment & 0x1fff) * 8);
		p->flags |= PACKET_FIRST_FRAGMENT;
	}
	return parse_l4(skb, p);
}

static __always_inline int parse_ipv6(struct __sk_buff *skb, struct packet *p)
{
	struct ipv6hdr ip;
	__u32 length;
	int reason;

	if (skb->len < LINK_LENGTH + sizeof(ip))
		return REASON_MALFORMED;
	if (read_header(skb, LINK_LENGTH, &ip, sizeof(ip)) < 0) {
		count_error(ERROR_PACKET_READ);
		return REASON_MALFORMED;
	}
	length = bpf_ntohs(ip.payload_len);
	if (ip.version != 6)
		return REASON_MALFORMED;
	/* Jumbograms do not cross a veth, but BIG TCP does, with length 0 and more than one segment. */
	if (!length && skb->gso_segs > 1)
		length = skb->len - LINK_LENGTH - sizeof(ip);
	else if (!length && ip.nexthdr == PROTOCOL_HOP_BY_HOP)
		return REASON_MALFORMED;
	if (LINK_LENGTH + sizeof(ip) + length > skb->len)
		return REASON_MALFORMED;
	__builtin_memcpy(p->source, &ip.saddr, ADDRESS_LENGTH);
	__builtin_memcpy(p->destination, &ip.daddr, ADDRESS_LENGTH);
	p->protocol = ip.nexthdr;
	p->hop_limit = ip.hop_limit;
	p->l4_offset = LINK_LENGTH + sizeof(ip);
	p->end = p->l4_offset + length;
	if (is_mapped(p->source) || is_mapped(p->destination))
		return REASON_MALFORMED;
	reason = skip_extensions(skb, p);
	return reason || (p->flags & PACKET_LATER_FRAGMENT) ? reason : parse_l4(skb, p);
}

/*
 * Fills *p, which the caller has zeroed. Returns REASON_ALLOWED if the packet is well-formed IP or a later
 * fragment, REASON_ETHERTYPE if it is not IP (ARP included: p->ethertype tells), else what is wrong with it.
 */
static __always_inline int parse_packet(struct __sk_buff *skb, struct packet *p)
{
	p->ethertype = bpf_ntohs(skb->protocol);
	p->end = skb->len;
	if (skb->vlan_present)
		return REASON_ETHERTYPE;
	if (p->ethertype == ETHERTYPE_VALUE_IPV4)
		return parse_ipv4(skb, p);
	if (p->ethertype == ETHERTYPE_VALUE_IPV6)
		return parse_ipv6(skb, p);
	return REASON_ETHERTYPE;
}

#endif
