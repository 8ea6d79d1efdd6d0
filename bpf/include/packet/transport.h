/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What stands behind the IP headers: TCP (RFC 9293), UDP (RFC 768), SCTP (RFC 9260), ICMP (RFC 792), ICMPv6 (RFC 4443). */
#ifndef PORTCULLIS_TRANSPORT_H
#define PORTCULLIS_TRANSPORT_H

#include "packet/packet.h"

static __always_inline int parse_tcp(struct __sk_buff *skb, struct packet *p)
{
	struct tcphdr tcp;
	__u32 header;

	if (p->l4_offset + sizeof(tcp) > p->end)
		return REASON_MALFORMED;
	if (read_header(skb, p->l4_offset, &tcp, sizeof(tcp)) < 0) {
		count_error(ERROR_PACKET_READ);
		return REASON_MALFORMED;
	}
	header = tcp.doff * 4;
	if (header < sizeof(tcp) || p->l4_offset + header > p->end)
		return REASON_MALFORMED;
	p->source_port = tcp.source;
	p->destination_port = tcp.dest;
	p->tcp_flags = ((__u8 *)&tcp)[13];
	p->sequence = bpf_ntohl(tcp.seq) + !!(p->tcp_flags & TCP_SYN);
	p->payload_offset = p->l4_offset + header;
	return REASON_ALLOWED;
}

static __always_inline int parse_udp(struct __sk_buff *skb, struct packet *p)
{
	struct udphdr udp;
	__u32 length;

	if (p->l4_offset + sizeof(udp) > p->end)
		return REASON_MALFORMED;
	if (read_header(skb, p->l4_offset, &udp, sizeof(udp)) < 0) {
		count_error(ERROR_PACKET_READ);
		return REASON_MALFORMED;
	}
	length = bpf_ntohs(udp.len);
	/* A first fragment carries the whole datagram's length; a GSO packet, that of one segment. */
	if (length < sizeof(udp))
		return REASON_MALFORMED;
	if (!(p->flags & PACKET_FIRST_FRAGMENT)) {
		if (p->l4_offset + length > p->end)
			return REASON_MALFORMED;
		if (!skb->gso_segs || skb->gso_segs == 1)
			p->end = p->l4_offset + length;
	}
	p->source_port = udp.source;
	p->destination_port = udp.dest;
	p->payload_offset = p->l4_offset + sizeof(udp);
	return REASON_ALLOWED;
}

/* The common header: RFC 9260, 3.1. */
struct sctp_header {
	__u16 source, destination;
	__u32 tag, checksum;
};

static __always_inline int parse_sctp(struct __sk_buff *skb, struct packet *p)
{
	struct sctp_header sctp;

	if (p->l4_offset + sizeof(sctp) > p->end)
		return REASON_MALFORMED;
	if (bpf_skb_load_bytes(skb, p->l4_offset, &sctp, sizeof(sctp)) < 0) {
		count_error(ERROR_PACKET_READ);
		return REASON_MALFORMED;
	}
	p->source_port = sctp.source;
	p->destination_port = sctp.destination;
	p->payload_offset = p->l4_offset + sizeof(sctp);
	return REASON_ALLOWED;
}

static __always_inline int parse_icmp(struct __sk_buff *skb, struct packet *p)
{
	struct icmphdr icmp;

	if (p->l4_offset + sizeof(icmp) > p->end)
		return REASON_MALFORMED;
	if (bpf_skb_load_bytes(skb, p->l4_offset, &icmp, sizeof(icmp)) < 0) {
		count_error(ERROR_PACKET_READ);
		return REASON_MALFORMED;
	}
	p->icmp_type = icmp.type;
	p->icmp_code = icmp.code;
	p->icmp_id = icmp.un.echo.id;
	p->payload_offset = p->l4_offset + sizeof(icmp);
	return REASON_ALLOWED;
}

static __always_inline int parse_l4(struct __sk_buff *skb, struct packet *p)
{
	int reason = REASON_ALLOWED;

	if (p->flags & PACKET_LATER_FRAGMENT)
		return REASON_ALLOWED;
	p->payload_offset = p->l4_offset;
	if (p->protocol == PROTOCOL_TCP)
		reason = parse_tcp(skb, p);
	else if (p->protocol == PROTOCOL_UDP)
		reason = parse_udp(skb, p);
	else if (p->protocol == PROTOCOL_SCTP)
		reason = parse_sctp(skb, p);
	else if (p->protocol == PROTOCOL_ICMP || p->protocol == PROTOCOL_ICMPV6)
		reason = parse_icmp(skb, p);
	/* A first fragment too short for its L4 header hides it from us on purpose. */
	if (reason && (p->flags & PACKET_FIRST_FRAGMENT))
		return REASON_FRAGMENT;
	return reason;
}

/* A later fragment may not begin within the L4 header that the first one was judged by. */
static __always_inline int later_fragment(struct packet *p, __u32 offset)
{
	__u32 header = p->protocol == PROTOCOL_TCP	  ? sizeof(struct tcphdr)
		       : p->protocol == PROTOCOL_SCTP ? sizeof(struct sctp_header)
						      : sizeof(struct udphdr);

	p->flags |= PACKET_LATER_FRAGMENT;
	p->fragment_offset = offset;
	return offset < header ? REASON_FRAGMENT : REASON_ALLOWED;
}

#endif
