/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The short way for almost all packets: those of a flow that is open, has been allowed, and is not looked into any
 * more. It is taken or not; whatever is unusual about packet or flow goes the long way, which comes to the same verdict
 * for the others. Headers are read in place, nothing is copied, and the scratch stays untouched.
 */
#ifndef PORTCULLIS_OPEN_FLOW_H
#define PORTCULLIS_OPEN_FLOW_H

#include "verdict/flow.h"
#include "verdict/flow_count.h"

#define IPV4_WITHOUT_OPTIONS 0x45 /* version and header length, RFC 791, 3.1 */

/* Both begin with their ports. */
union l4_header {
	struct tcphdr tcp;
	struct udphdr udp;
};

/* What is counted of a packet beside its length, in one register: the stack is short. 0: it is none for the short way. */
#define COMMON_PACKET 1
#define COMMON_FLAGS_SHIFT 8
#define COMMON_PAYLOAD_SHIFT 32

/* Is this a whole, well-formed TCP or UDP header, `length` bytes before the packet's end, that begins and ends nothing? */
static __always_inline __u64 common_l4(void *header, void *data_end, __u8 protocol, __u32 length)
{
	union l4_header *l4 = header;

	if (protocol == PROTOCOL_TCP) {
		__u64 flags, payload;

		if ((void *)(&l4->tcp + 1) > data_end || l4->tcp.doff * 4 < sizeof(l4->tcp) || l4->tcp.doff * 4 > length)
			return 0;
		if (l4->tcp.fin || l4->tcp.rst || (l4->tcp.syn && !l4->tcp.ack))
			return 0;
		if (!counts_flows)
			return COMMON_PACKET;
		flags = ((__u8 *)l4)[13];
		payload = length - l4->tcp.doff * 4;
		return COMMON_PACKET | flags << COMMON_FLAGS_SHIFT | payload << COMMON_PAYLOAD_SHIFT;
	}
	if (protocol != PROTOCOL_UDP || (void *)(&l4->udp + 1) > data_end)
		return 0;
	if (bpf_ntohs(l4->udp.len) < sizeof(l4->udp) || bpf_ntohs(l4->udp.len) > length)
		return 0;
	return COMMON_PACKET | (__u64)(length - sizeof(l4->udp)) << COMMON_PAYLOAD_SHIFT;
}

static __always_inline void set_ports(struct flow_key *key, union l4_header *l4, __u32 direction)
{
	__u16 source = l4->udp.source, destination = l4->udp.dest;

	key->local_port = direction == DIRECTION_EGRESS ? source : destination;
	key->remote_port = direction == DIRECTION_EGRESS ? destination : source;
}

static __always_inline __u64 common_key4(struct __sk_buff *skb, __u32 direction, struct flow_key *key)
{
	void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
	struct iphdr *ip = data + LINK_LENGTH;
	union l4_header *l4 = (void *)(ip + 1);
	__u32 total;
	__u64 common;

	if ((void *)(&l4->udp + 1) > data_end || *(__u8 *)ip != IPV4_WITHOUT_OPTIONS || ip->frag_off & bpf_htons(0x3fff))
		return 0;
	total = bpf_ntohs(ip->tot_len);
	if (total < sizeof(*ip) || LINK_LENGTH + total > skb->len)
		return 0;
	common = common_l4(l4, data_end, ip->protocol, total - sizeof(*ip));
	if (!common)
		return 0;
	key->protocol = ip->protocol;
	set_ipv4(key->local, direction == DIRECTION_EGRESS ? ip->saddr : ip->daddr);
	set_ipv4(key->remote, direction == DIRECTION_EGRESS ? ip->daddr : ip->saddr);
	set_ports(key, l4, direction);
	return common;
}

static __always_inline __u64 common_key6(struct __sk_buff *skb, __u32 direction, struct flow_key *key)
{
	void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
	struct ipv6hdr *ip = data + LINK_LENGTH;
	union l4_header *l4 = (void *)(ip + 1);
	__u32 length;
	__u64 common;

	if ((void *)(&l4->udp + 1) > data_end || ip->version != 6 || is_mapped((__u8 *)&ip->saddr) ||
	    is_mapped((__u8 *)&ip->daddr))
		return 0;
	length = bpf_ntohs(ip->payload_len);
	if (LINK_LENGTH + sizeof(*ip) + length > skb->len)
		return 0;
	common = common_l4(l4, data_end, ip->nexthdr, length);
	if (!common)
		return 0;
	key->protocol = ip->nexthdr;
	__builtin_memcpy(key->local, direction == DIRECTION_EGRESS ? &ip->saddr : &ip->daddr, ADDRESS_LENGTH);
	__builtin_memcpy(key->remote, direction == DIRECTION_EGRESS ? &ip->daddr : &ip->saddr, ADDRESS_LENGTH);
	set_ports(key, l4, direction);
	return common;
}

/*
 * The clock is read once in a tick, which is all that idle times need. `last_seen` may be ahead of the coarse clock, by
 * less than a tick.
 */
static __always_inline int is_idle(struct flow *flow)
{
	__u32 tick = bpf_jiffies64();
	struct settings *set;
	__u64 now;

	if (flow->tick == tick)
		return 0;
	set = get_settings();
	now = coarse_now();
	if (!set || (__s64)(now - flow->last_seen) > (__s64)set->udp_idle)
		return 1;
	flow->tick = tick;
	if ((__s64)(now - flow->last_seen) > 0)
		flow->last_seen = now;
	return 0;
}

/*
 * 1 if the packet is one of an open flow, and has been counted; 0 if it has to be judged. Puts the flow that it may be
 * of into *found, if it has looked.
 */
static __always_inline int is_of_open_flow(struct __sk_buff *skb, struct workload *workload, __u32 direction,
					   struct flow **found)
{
	struct flow_key key = { .workload_id = workload->id };
	struct flow *flow;
	__u64 common = 0;

	if (workload->flags & WORKLOAD_PENDING || skb->vlan_present)
		return 0;
	if (skb->protocol == bpf_htons(ETHERTYPE_VALUE_IPV4))
		common = common_key4(skb, direction, &key);
	else if (skb->protocol == bpf_htons(ETHERTYPE_VALUE_IPV6))
		common = common_key6(skb, direction, &key);
	if (!common)
		return 0;
	flow = bpf_map_lookup_elem(&flows, &key);
	*found = flow;
	if (!flow || flow->reason || flow->flags & (FLOW_DNS | FLOW_L7_PENDING))
		return 0;
	if (flow->table_id != workload->table_id || is_epoch_over(flow, workload->netns_inum))
		return 0;
	if (direction == DIRECTION_EGRESS &&
	    (!(flow->flags & FLOW_COOKIE_KNOWN) || cookie_of(skb) != flow->cookie))
		return 0;
	if (key.protocol == PROTOCOL_UDP && is_idle(flow))
		return 0;
	note_use(flow);
	if (counts_flows)
		count_in_flow(flow, direction, skb->len, common >> COMMON_PAYLOAD_SHIFT, common >> COMMON_FLAGS_SHIFT);
	count_packet(workload->id, flow->subjects[0].path_id, direction, REASON_ALLOWED, VERDICT_ALLOWED, skb->len);
	return 1;
}

#endif
