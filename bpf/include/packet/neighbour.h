/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* ARP, and what pretends to be somebody else: the attacks of section 8 that one packet shows. */
#ifndef PORTCULLIS_NEIGHBOUR_H
#define PORTCULLIS_NEIGHBOUR_H

#include "packet/link_control.h"
#include "socket/owner.h"

#define ARP_REQUEST 1
#define ARP_FRAME_MAX 60 /* the shortest frame of Ethernet, without its check sequence: IEEE 802.3, 4.2.3.3 */

/* ARP for IPv4 over Ethernet, RFC 826. */
struct arp_packet {
	__u16 hardware_type, protocol_type;
	__u8 hardware_length, protocol_length;
	__u16 operation;
	__u8 sender_mac[6];
	__u8 sender_ip[4];
	__u8 target_mac[6];
	__u8 target_ip[4];
};

static __always_inline int same_mac(const __u8 *a, const __u8 *b)
{
	__u8 difference = 0;

#pragma unroll
	for (int i = 0; i < 6; i++)
		difference |= a[i] ^ b[i];
	return !difference;
}

static __always_inline void arp_addresses(struct scratch *s, struct arp_packet *arp)
{
	__u32 sender, target;

	__builtin_memcpy(&sender, arp->sender_ip, 4);
	__builtin_memcpy(&target, arp->target_ip, 4);
	set_ipv4(s->packet.source, sender);
	set_ipv4(s->packet.destination, target);
	__builtin_memcpy(s->key.local, local_address(s), ADDRESS_LENGTH);
	__builtin_memcpy(s->key.remote, remote_address(s), ADDRESS_LENGTH);
}

static __always_inline int is_arp_spoofing(struct __sk_buff *skb, struct scratch *s, struct arp_packet *arp)
{
	__u8 ethernet_source[6];

	if (s->direction == DIRECTION_INGRESS)
		return is_own(s->workload.id, s->packet.source) &&
		       !is_own_hardware(s->workload.id, arp->sender_mac);
	/* The kernel speaks for itself: of an address that is new, and of every interface. */
	if (is_from_kernel(s))
		return 0;
	if (bpf_skb_load_bytes(skb, 6, ethernet_source, sizeof(ethernet_source)) < 0)
		return 1;
	return !is_own_hardware(s->workload.id, arp->sender_mac) || !same_mac(ethernet_source, arp->sender_mac) ||
	       (!is_unspecified(s->packet.source) && !is_own(s->workload.id, s->packet.source));
}

/*
 * Without a `default`: what the kernel says; and what it is asked, is answered, and hears of neighbours who announce
 * themselves. It answers for the addresses that it has, which the agent may not know yet.
 */
static __always_inline int arp_is_own(struct scratch *s, struct arp_packet *arp)
{
	if (s->direction == DIRECTION_EGRESS)
		return is_from_kernel(s);
	return arp->operation == bpf_htons(ARP_REQUEST) || is_own(s->workload.id, s->packet.destination) ||
	       same_address(s->packet.source, s->packet.destination);
}

/* Behind the message there is padding up to the shortest frame. What leaves has zeros there; not every card does it so. */
static __always_inline int arp_padding_is_sound(struct __sk_buff *skb, __u32 direction)
{
	__u32 length = skb->len - ETHERNET_LENGTH - sizeof(struct arp_packet);
	__u64 padding[4] = {};

	if (!length)
		return 1;
	if (skb->len > ARP_FRAME_MAX)
		return 0;
	if (direction == DIRECTION_INGRESS)
		return 1;
	if (read_bytes(skb, ETHERNET_LENGTH + sizeof(struct arp_packet), padding, length, sizeof(padding) - 1) < 0)
		return 0;
	return !(padding[0] | padding[1] | padding[2] | padding[3]);
}

__noinline int judge_arp(struct __sk_buff *skb)
{
	struct scratch *s = get_scratch();
	struct arp_packet arp;
	struct ruleset *ruleset;
	__u32 id;

	if (!s)
		return REASON_CAPACITY;
	if (skb->len < ETHERNET_LENGTH + sizeof(arp) ||
	    bpf_skb_load_bytes(skb, ETHERNET_LENGTH, &arp, sizeof(arp)) < 0)
		return REASON_MALFORMED;
	if (arp.hardware_type != bpf_htons(1) || arp.protocol_type != bpf_htons(ETHERTYPE_VALUE_IPV4) ||
	    arp.hardware_length != 6 || arp.protocol_length != 4 || !arp_padding_is_sound(skb, s->direction))
		return REASON_MALFORMED;
	arp_addresses(s, &arp);
	if (s->direction == DIRECTION_EGRESS)
		find_owner(skb);
	if ((s->workload.attacks & ATTACK_ARP_SPOOFING) && is_arp_spoofing(skb, s, &arp))
		return REASON_ARP_SPOOFING;
	if (s->workload.flags & WORKLOAD_DEFAULT_ABSENT)
		return arp_is_own(s, &arp) ? REASON_ALLOWED : REASON_ETHERTYPE;
	id = by_direction(s->workload.default_ruleset, s->direction);
	ruleset = bpf_map_lookup_elem(&rulesets, &id);
	return ruleset && ruleset->ethertype[ETHERTYPE_ARP] ? REASON_ALLOWED : REASON_ETHERTYPE;
}

/* A host that has no address yet may say so: duplicate address detection, multicast reports, DHCP (RFC 2131). */
static __always_inline int may_be_unspecified(struct scratch *s)
{
	struct packet *p = &s->packet;
	__u32 *destination = (__u32 *)p->destination;

	if (!is_unspecified(p->source))
		return 0;
	if (p->ethertype == ETHERTYPE_VALUE_IPV6)
		return is_neighbour_discovery(p) ||
		       (is_icmpv6(p) && p->icmp_type == ICMPV6_MLD2_REPORT);
	return p->protocol == PROTOCOL_UDP && p->source_port == bpf_htons(68) &&
	       p->destination_port == bpf_htons(67) && destination[3] == ~0U;
}

/* The neighbour's address that a solicitation or advertisement is about: RFC 4861, 4.3 and 4.4. */
static __always_inline int is_ndp_spoofing(struct __sk_buff *skb, struct scratch *s)
{
	struct packet *p = &s->packet;
	__u8 target[ADDRESS_LENGTH];

	if (!is_icmpv6(p) || (p->flags & PACKET_LATER_FRAGMENT))
		return 0;
	if (p->icmp_type == ICMPV6_ROUTER_ADVERTISEMENT || p->icmp_type == ICMPV6_REDIRECT)
		return 1;
	if (p->icmp_type != ICMPV6_NEIGHBOUR_SOLICITATION && p->icmp_type != ICMPV6_NEIGHBOUR_ADVERTISEMENT)
		return 0;
	if (!is_unspecified(p->source) && !is_own(s->workload.id, p->source))
		return 1;
	if (p->icmp_type == ICMPV6_NEIGHBOUR_SOLICITATION)
		return 0;
	if (p->l4_offset + 8 + sizeof(target) > p->end ||
	    bpf_skb_load_bytes(skb, p->l4_offset + 8, target, sizeof(target)) < 0)
		return 1;
	return !is_own(s->workload.id, target);
}

/* Attacks that the workload itself would be the origin of. Its kernel is none: it uses the addresses that it has. */
__noinline int judge_origin(struct __sk_buff *skb)
{
	struct scratch *s = get_scratch();

	if (!s)
		return REASON_CAPACITY;
	if (s->direction != DIRECTION_EGRESS || is_from_kernel(s))
		return REASON_ALLOWED;
	if ((s->workload.attacks & ATTACK_NDP_SPOOFING) && is_ndp_spoofing(skb, s))
		return REASON_NDP_SPOOFING;
	if ((s->workload.attacks & ATTACK_IP_SPOOFING) && !is_own(s->workload.id, s->packet.source) &&
	    !may_be_unspecified(s))
		return REASON_IP_SPOOFING;
	return REASON_ALLOWED;
}

#endif
