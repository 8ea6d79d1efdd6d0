/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * A packet, as it has been read: `struct packet`, and what its fields say. The rules for what is ill-formed are in packet/ip.h,
 * packet/extension.h and packet/transport.h.
 */
#ifndef PORTCULLIS_PACKET_H
#define PORTCULLIS_PACKET_H

#include <bpf/bpf_endian.h>

#include "memory/errors.h"

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
/* The receiver takes a byte out of the stream: RFC 6093, 3. What it reads is then not what the segments hold. */
#define TCP_URG 0x20

#define ICMP_ECHO_REPLY 0
#define ICMP_ECHO_REQUEST 8
#define ICMPV6_ECHO_REQUEST 128
#define ICMPV6_ECHO_REPLY 129
#define ICMPV6_ND_FIRST 133
#define ICMPV6_ND_LAST 136

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
	if (bpf_skb_load_bytes(skb, offset, to, length + 1) == 0)
		return 0;
	count_error(ERROR_PACKET_READ);
	return -1;
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

/* IPv4's form inside a host (::ffff:0:0/96). On the wire such an address would pass for the IPv4 address that it is not. */
static __always_inline int is_mapped(const __u8 address[ADDRESS_LENGTH])
{
	const __u32 *words = (const __u32 *)address;

	return !words[0] && !words[1] && words[2] == bpf_htonl(0xffff);
}

static __always_inline int has_ipv4_options(struct packet *p)
{
	return p->ethertype == ETHERTYPE_VALUE_IPV4 && p->l4_offset > LINK_LENGTH + sizeof(struct iphdr);
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

#endif
