/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * From bytes to `struct packet`: Ethernet, ARP, IPv4 with options, IPv6 with extension headers, fragments,
 * TCP, UDP, SCTP, ICMP, ICMPv6. Layouts: RFC 826, 791, 8200, 9293, 768, 9260, 792, 4443. The rules for what is
 * ill-formed are stated a second time, independently, in src/policy/packet.ts, and fuzzed against these.
 */
#ifndef PORTCULLIS_PACKET_H
#define PORTCULLIS_PACKET_H

#include <bpf/bpf_endian.h>

#include "maps.h"
#include "source_route.h"

#define ETHERNET_LENGTH 14
/* Of what lies before the IP header. Programs on a cgroup, whose packets begin with it, say 0 before they include this. */
#ifndef LINK_LENGTH
#define LINK_LENGTH ETHERNET_LENGTH
#endif
#define ETHERTYPE_VALUE_IPV4 0x0800
#define ETHERTYPE_VALUE_ARP 0x0806
#define ETHERTYPE_VALUE_IPV6 0x86dd

#define PROTOCOL_HOP_BY_HOP 0
#define PROTOCOL_ICMP 1
#define PROTOCOL_IGMP 2
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17
#define PROTOCOL_ROUTING 43
#define PROTOCOL_FRAGMENT 44
#define PROTOCOL_AUTHENTICATION 51
#define PROTOCOL_ICMPV6 58
#define PROTOCOL_DESTINATION_OPTIONS 60
#define PROTOCOL_SCTP 132

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define ICMP_ECHO_REPLY 0
#define ICMP_ECHO_REQUEST 8
#define ICMPV6_ECHO_REQUEST 128
#define ICMPV6_ECHO_REPLY 129
#define ICMPV6_ND_FIRST 133
#define ICMPV6_ND_LAST 136

#define EXTENSION_HEADERS_MAX 8

enum packet_flag {
	PACKET_LATER_FRAGMENT = 1, /* has no L4 header */
	PACKET_FIRST_FRAGMENT = 2, /* others follow */
};

struct packet {
	__u8 source[ADDRESS_LENGTH];
	__u8 destination[ADDRESS_LENGTH];
	__u32 l4_offset;
	__u32 payload_offset;
	__u32 end;            /* of the L3 packet; what lies behind is Ethernet padding */
	__u32 identification; /* of a fragmented datagram */
	__u32 fragment_offset; /* of a later fragment, in bytes from the datagram's L4 header on */
	__u32 sequence;       /* TCP, of the first payload byte */
	__u16 ethertype;      /* host order */
	__u16 source_port;    /* network order */
	__u16 destination_port;
	__u16 icmp_id;        /* network order, of echo messages */
	__u8 protocol;
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 hop_limit;       /* IPv4: time to live */
	__u8 flags;           /* enum packet_flag */
	__u8 padding[2];
};

/*
 * Reads `length` bytes, of which there is at least one and at most `mask` + 1 (a power of two), into `to`, which has
 * room for that many. Kernels before 6.8 learn nothing from a comparison with zero, so the bounds are made, not tested.
 */
static __always_inline long read_bytes(struct __sk_buff *skb, __u32 offset, void *to, __u32 length, const __u32 mask)
{
	/* Whatever clang knows of the length, the verifier has to see the mask. */
	barrier_var(length);
	length = (length - 1) & mask;
	barrier_var(length);
	return bpf_skb_load_bytes(skb, offset, to, length + 1);
}

/* Headers lie in the packet's first piece of memory almost always, and near its beginning. */
#define HEADERS_END 256
static __always_inline long read_header(struct __sk_buff *skb, __u32 offset, void *to, const __u32 size)
{
	void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;

	barrier_var(offset);
	if (offset < HEADERS_END && data + offset + size <= data_end) {
		__builtin_memcpy(to, data + offset, size);
		return 0;
	}
	return bpf_skb_load_bytes(skb, offset, to, size);
}

static __always_inline void set_ipv4(__u8 address[ADDRESS_LENGTH], __u32 ipv4)
{
	__u32 *words = (__u32 *)address;

	words[0] = 0;
	words[1] = 0;
	words[2] = bpf_htonl(0xffff);
	words[3] = ipv4;
}

/* 224.0.0.0/4 and the limited broadcast, or ff00::/8. Of other broadcasts the link-layer address tells. */
static __always_inline int is_group(const __u8 address[ADDRESS_LENGTH], __u16 ethertype)
{
	const __u32 *words = (const __u32 *)address;

	if (ethertype == ETHERTYPE_VALUE_IPV4)
		return (address[12] & 0xf0) == 0xe0 || words[3] == 0xffffffff;
	return address[0] == 0xff;
}

static __always_inline bool same_address(const __u8 *a, const __u8 *b)
{
	const __u32 *x = (const __u32 *)a, *y = (const __u32 *)b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3];
}

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

/* A SYN without ACK begins a connection, whatever was there under its ports. */
static __always_inline int begins_tcp(struct packet *p)
{
	return p->protocol == PROTOCOL_TCP && (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/* Protocols whose first four bytes are the ports. */
static __always_inline int has_ports(__u8 protocol)
{
	return protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP || protocol == PROTOCOL_SCTP;
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

/* Generic layout of an extension header: RFC 8200, sections 4.3 to 4.6; authentication: RFC 4302. */
struct extension {
	__u8 next;
	__u8 length;
	__u16 fragment; /* of a routing header: its type, and how many stops are left */
	__u32 identification;
};

static __always_inline int is_extension(__u8 protocol)
{
	return protocol == PROTOCOL_HOP_BY_HOP || protocol == PROTOCOL_ROUTING ||
	       protocol == PROTOCOL_DESTINATION_OPTIONS || protocol == PROTOCOL_FRAGMENT ||
	       protocol == PROTOCOL_AUTHENTICATION;
}

#define EXTENSION_NONE 0
#define EXTENSION_SKIPPED 1

/* Steps over the extension header at p->l4_offset. Returns EXTENSION_SKIPPED or _NONE, else -reason. */
static __always_inline int skip_extension(struct __sk_buff *skb, struct packet *p)
{
	struct extension extension;
	__u32 length, fragment;

	if (!is_extension(p->protocol))
		return EXTENSION_NONE;
	if (p->l4_offset + sizeof(extension) > p->end)
		return -REASON_MALFORMED;
	if (bpf_skb_load_bytes(skb, p->l4_offset, &extension, sizeof(extension)) < 0) {
		count_error(ERROR_PACKET_READ);
		return -REASON_MALFORMED;
	}
	length = (extension.length + 1) * 8;
	if (p->protocol == PROTOCOL_FRAGMENT) {
		fragment = bpf_ntohs(extension.fragment);
		p->protocol = extension.next;
		p->l4_offset += sizeof(extension);
		if (fragment & 0xfff9) {
			p->identification = extension.identification;
			if (fragment & 0xfff8)
				return -later_fragment(p, fragment & 0xfff8);
			p->flags |= PACKET_FIRST_FRAGMENT;
		}
		return EXTENSION_SKIPPED;
	}
	if (p->protocol == PROTOCOL_AUTHENTICATION)
		length = (extension.length + 2) * 4;
	if (p->l4_offset + length > p->end)
		return -REASON_MALFORMED;
	if (p->protocol == PROTOCOL_ROUTING && (bpf_ntohs(extension.fragment) & 0xff))
		return -REASON_MALFORMED;
	p->protocol = extension.next;
	p->l4_offset += length;
	return EXTENSION_SKIPPED;
}

/* Steps over all extension headers, up to the L4 header or what a later fragment carries. Returns a reason. */
static __always_inline int skip_extensions(struct __sk_buff *skb, struct packet *p)
{
	int more = EXTENSION_SKIPPED;

	for (int i = 0; i < EXTENSION_HEADERS_MAX; i++) {
		more = skip_extension(skb, p);
		if (more != EXTENSION_SKIPPED || (p->flags & PACKET_LATER_FRAGMENT))
			break;
	}
	/* Still one: the ninth header is one too many. */
	if (more == EXTENSION_SKIPPED && !(p->flags & PACKET_LATER_FRAGMENT) && is_extension(p->protocol))
		return REASON_MALFORMED;
	return more < 0 ? -more : REASON_ALLOWED;
}

static __always_inline int has_ipv4_options(struct packet *p)
{
	return p->ethertype == ETHERTYPE_VALUE_IPV4 && p->l4_offset > LINK_LENGTH + sizeof(struct iphdr);
}

/* IPv4's form inside a host (::ffff:0:0/96). On the wire such an address would pass for the IPv4 address that it is not. */
static __always_inline int is_mapped(const __u8 address[ADDRESS_LENGTH])
{
	const __u32 *words = (const __u32 *)address;

	return !words[0] && !words[1] && words[2] == bpf_htonl(0xffff);
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
