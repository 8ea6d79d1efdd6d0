/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* From a reason to what becomes of the packet: counted, reported, dropped or not. */
#ifndef PORTCULLIS_VERDICT_H
#define PORTCULLIS_VERDICT_H

#include "socket/owner.h"
#include "verdict/report.h"

#define TC_NEXT -1 /* TCX_NEXT and TC_ACT_UNSPEC: what others put on the device runs too */
#define TC_DROP 2
#define TEST_JUDGED 0x10000

/* Test runs want to know more than whether the packet passes. */
static __always_inline void tell_test(struct __sk_buff *skb, __u32 reason, __u32 verdict)
{
	if (subject_from_mark)
		skb->cb[2] = TEST_JUDGED | verdict << 8 | reason;
}

/* What a process gets to know of its connect is silence, or a reset: the record of the connect says why. */
static __always_inline void note_refusal(struct __sk_buff *skb, struct scratch *s, __u32 reason)
{
	struct bpf_sock *sk = skb->sk;
	struct connect *connect;
	__u64 socket;

	if (s->direction != DIRECTION_EGRESS || !sk)
		return;
	socket = (__u64)address_of_socket(sk);
	connect = bpf_map_lookup_elem(&connects, &socket);
	if (connect)
		connect->refused = reason;
}

/* Turns a reason into a verdict, counts it and, if wanted, reports it. */
__noinline int finish(struct __sk_buff *skb, __u32 reason, int report)
{
	struct scratch *s = get_scratch();
	__u32 verdict;

	if (!s)
		return TC_DROP;
	if (reason)
		s->mask = 0;
	verdict = verdict_of(s, reason);
	count_packet(s->workload.id, s->flow.subjects[0].path_id, s->direction, reason, verdict, skb->len);
	tell_test(skb, reason, verdict);
	if (counts_flows && verdict == VERDICT_DROPPED)
		note_refusal(skb, s, reason);
	if (report)
		send_record(skb, RECORD_VERDICT, reason, verdict);
	return verdict == VERDICT_DROPPED ? TC_DROP : TC_NEXT;
}

static __always_inline int violation(struct __sk_buff *skb, struct scratch *s, __u32 reason)
{
	if (!is_judged(s))
		return finish(skb, REASON_ALLOWED, 0);
	return finish(skb, reason, (s->workload.mode & MODE_ALERT) && !s->is_answer);
}

/* What is reported of a packet without a flow: no process, no name, no application (of which 0 is one). */
static __always_inline void forget_flow(struct scratch *s)
{
	__builtin_memset(&s->flow, 0, sizeof(s->flow));
	s->flow.application = APPLICATION_NONE;
}

/* A packet of no flow: not IP, ill-formed, or a fragment. It belongs to nobody. */
static __always_inline int violation_of_nobody(struct __sk_buff *skb, struct scratch *s, __u32 reason)
{
	forget_flow(s);
	return violation(skb, s, reason);
}

#endif
