/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * An ICMP error quotes the packet that it is about, and whoever may write raw packets can make the kernel quote bytes of
 * theirs: by a packet to the workload's own address that claims to come from a peer. So no more of it leaves than its headers
 * and the first 8 bytes behind them (RFC 792), by which its sender knows it again.
 */
#ifndef PORTCULLIS_ERROR_QUOTE_H
#define PORTCULLIS_ERROR_QUOTE_H

#include "dns/name.h"
#include "verdict/scratch.h"

#define QUOTED_PAYLOAD 8
#define ICMP_CHECKSUM 2 /* offsets, in ICMP's header and in IP's */
#define IPV4_LENGTH 2
#define IPV4_CHECKSUM 10
#define IPV6_LENGTH 4
/* Of what is left, from ICMP's header on: with all options of IPv4, or 20 bytes of IPv6's extension headers. */
#define CUT_ERROR_MAX 76
#define CUT_ERROR_MASK 0x7c /* in words of 4 bytes, as bpf_csum_diff counts */

/* What ICMPv6's checksum is about, beside the message: RFC 8200, 8.1. */
struct pseudo_header {
	__u8 source[ADDRESS_LENGTH];
	__u8 destination[ADDRESS_LENGTH];
	__u32 length, protocol;
};

static __always_inline __u16 fold_sum(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return ~((sum & 0xffff) + (sum >> 16));
}

static __always_inline __s64 sum_of_pseudo_header(struct packet *p, __u32 length)
{
	struct pseudo_header pseudo;

	if (p->ethertype == ETHERTYPE_VALUE_IPV4)
		return 0;
	__builtin_memcpy(pseudo.source, p->source, ADDRESS_LENGTH);
	__builtin_memcpy(pseudo.destination, p->destination, ADDRESS_LENGTH);
	pseudo.length = bpf_htonl(length);
	pseudo.protocol = bpf_htonl(PROTOCOL_ICMPV6);
	return bpf_csum_diff(NULL, 0, (void *)&pseudo, sizeof(pseudo), 0);
}

/* The checksum of the message of `length` bytes. Returns 0, or -1 if it cannot be read or written. */
static __always_inline int renew_checksum(struct __sk_buff *skb, struct packet *p, __u32 length)
{
	struct dns_bytes *bytes = get_dns_bytes();
	__s64 sum = sum_of_pseudo_header(p, length);
	__u16 checksum;

	if (!bytes || read_bytes(skb, p->l4_offset, bytes->at, length, 127) < 0)
		return -1;
	*(__u16 *)(bytes->at + ICMP_CHECKSUM) = 0;
	barrier_var(length);
	sum = bpf_csum_diff(NULL, 0, (void *)bytes->at, length & CUT_ERROR_MASK, sum);
	if (sum < 0)
		return -1;
	checksum = fold_sum(sum);
	return bpf_skb_store_bytes(skb, p->l4_offset + ICMP_CHECKSUM, &checksum, sizeof(checksum), 0);
}

static __always_inline int renew_length(struct __sk_buff *skb, struct packet *p, __u32 end)
{
	__u16 before = bpf_htons(p->end - LINK_LENGTH), now = bpf_htons(end - LINK_LENGTH);

	if (p->ethertype == ETHERTYPE_VALUE_IPV4) {
		if (bpf_l3_csum_replace(skb, LINK_LENGTH + IPV4_CHECKSUM, before, now, sizeof(now)) < 0)
			return -1;
		return bpf_skb_store_bytes(skb, LINK_LENGTH + IPV4_LENGTH, &now, sizeof(now), 0);
	}
	now = bpf_htons(end - LINK_LENGTH - sizeof(struct ipv6hdr));
	return bpf_skb_store_bytes(skb, LINK_LENGTH + IPV6_LENGTH, &now, sizeof(now), 0);
}

/* How much of an error may leave whose quoted packet has its headers end at `quoted`. Returns 0, or -1 if that is too much. */
static __always_inline int measure_error(struct scratch *s, __u32 quoted)
{
	s->error_length = quoted + QUOTED_PAYLOAD - s->packet.l4_offset;
	return s->error_length > CUT_ERROR_MAX ? -1 : 0;
}

/*
 * Cuts the error that leaves, after it has been measured and counted, unless the workload is only watched. Returns 0, or -1,
 * counted, if that could not be done.
 */
__noinline int cut_error(struct __sk_buff *skb)
{
	struct scratch *s = get_scratch();
	__u32 length, end;

	if (!s)
		return -1;
	length = s->error_length;
	end = s->packet.l4_offset + length;
	if (s->packet.end <= end || !(s->workload.mode & MODE_ENFORCE))
		return 0;
	if (bpf_skb_change_tail(skb, end, 0) == 0 && renew_length(skb, &s->packet, end) == 0 &&
	    renew_checksum(skb, &s->packet, length) == 0)
		return 0;
	count_error(ERROR_PACKET_READ);
	return -1;
}

#endif
