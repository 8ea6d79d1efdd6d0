/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Packets and bytes of flows, where the agent was told to count them. They stand in the flow's entry, which every packet has
 * at hand: a map of their own would cost another lookup. User space reads the entries; what is about to go is reported.
 */
#ifndef PORTCULLIS_FLOW_COUNT_H
#define PORTCULLIS_FLOW_COUNT_H

#include "memory/clock.h"
#include "memory/flow_record.h"

/* Two processors may have packets of one direction at once, so the sums are atomic: that costs nothing where they have not. */
static __always_inline void add_packet(struct flow_count *count, __u32 length)
{
	__sync_fetch_and_add(&count->packets, 1);
	__sync_fetch_and_add(&count->bytes, length);
}

/* An ICMP error about the flow. */
static __always_inline void count_error_of_flow(struct flow *flow, __u32 direction, __u32 length)
{
	if (counts_flows)
		add_packet(&flow->counts[direction & 1], length);
}

/* Without branches, of which the verifier would look at every combination. */
static __always_inline __u32 response_bucket(__u64 took)
{
	__u64 us = took / 1000;
	__u32 bucket = 0;

	for (int i = 0; i < RESPONSE_BUCKETS - 1; i++) {
		__u64 beyond = us >> (RESPONSE_FIRST_BUCKET + i);

		bucket += (beyond | -beyond) >> 63;
	}
	return bucket & (RESPONSE_BUCKETS - 1);
}

/* The clock is read where the direction of payload changes, and once a tick while a request goes on. */
static __always_inline void time_response(struct flow *flow, __u32 direction, __u32 tick)
{
	struct flow_response *response = &flow->response;
	__u64 took;

	if (direction == flow->direction) {
		if (response->asked && response->asked_tick == tick)
			return;
		response->asked = bpf_ktime_get_ns();
		response->asked_tick = tick;
		return;
	}
	if (!response->asked)
		return;
	took = bpf_ktime_get_ns() - response->asked;
	response->asked = 0;
	response->count++;
	response->sum += took;
	if (took > response->longest)
		response->longest = took;
	response->histogram[response_bucket(took)]++;
}

/* A packet of the flow passes. Nothing that is written here is read by who judges. */
static __always_inline void count_in_flow(struct flow *flow, __u32 direction, __u32 length, __u32 payload, __u8 tcp_flags)
{
	struct flow_count *count = &flow->counts[direction & 1];
	__u32 tick = bpf_jiffies64();

	add_packet(count, length);
	if ((count->tcp_flags | tcp_flags) != count->tcp_flags)
		count->tcp_flags |= tcp_flags;
	if (payload && !count->first_payload)
		count->first_payload = bpf_ktime_get_ns();
	if (payload)
		time_response(flow, direction & 1, tick);
	if (flow->counted_tick == tick)
		return;
	flow->counted_tick = tick;
	flow->counted = coarse_now();
}

#endif
