// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The classifier on the host-side veth. Every packet of a workload that is under restriction gets a verdict here,
 * in both directions; whatever cannot be parsed, found or stored is a violation.
 *
 * Functions with a __sk_buff and scalars for arguments are global on purpose: the verifier looks at each once, not
 * once per call and state, and kernels before 5.13 take no other arguments. They find the rest in the scratch.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "dns/lock.h"
#include "packet/fragment.h"
#include "packet/ip.h"
#include "packet/kernel_answer.h"
#include "verdict/open_flow.h"

#define MODE_REPORTS (MODE_ALERT | MODE_TRACE_DNS)

/* A SYN that is sent again begins nothing new. */
static __always_inline int is_same_beginning(const struct flow *one, const struct flow *other)
{
	return one->tcp.isn && one->tcp.isn == other->tcp.isn && one->direction == other->direction;
}

/* What was counted goes on with a flow that is judged again; of one whose key is another's now, it is reported. */
static __always_inline void keep_counts(struct scratch *s)
{
	struct flow *before = bpf_map_lookup_elem(&flows, &s->key);

	if (!before)
		return;
	if (before->began == s->flow.began || is_same_beginning(before, &s->flow)) {
		s->flow.began = before->began;
		__builtin_memcpy(s->flow.counts, before->counts, sizeof(s->flow.counts));
		s->flow.tcp = before->tcp;
		s->flow.response = before->response;
	} else {
		report_flow(&s->key, before, 1);
	}
}

/* Puts the flow that has been judged in force. Returns a reason: what cannot be stored has no replies. */
__noinline int store_flow(__u32 reason)
{
	struct scratch *s = get_scratch();

	if (!s)
		return REASON_CAPACITY;
	/* Other ICMP than echo, and protocols without ports, know no replies; every packet is judged alone. */
	if (is_icmp(&s->packet) && !is_echo(&s->packet))
		return reason;
	if (counts_flows)
		keep_counts(s);
	if (put_flow(&s->key, &s->flow) == 0)
		return reason;
	count_error(ERROR_FLOWS_FULL);
	return reason ? (int)reason : REASON_CAPACITY;
}

static __always_inline void remember_masks(struct scratch *s)
{
	s->mask = s->flow.subjects[0].mask;
}

/* What was asked in a datagram that was refused before anybody looked into it: the reports are to say so. */
__noinline int report_question(struct __sk_buff *skb, __u32 reason)
{
	struct scratch *s = get_scratch();
	__u32 size;
	int loaded;

	if (!s || !(s->flow.flags & FLOW_DNS) || s->packet.protocol != PROTOCOL_UDP || !(s->workload.mode & MODE_REPORTS))
		return 0;
	size = s->packet.end - s->packet.payload_offset;
	loaded = load_message(skb, s->packet.payload_offset, size);
	s->dns_reported = loaded >= 0 && parse_dns(loaded) == REASON_ALLOWED;
	trace_dns(skb, s, reason);
	return 0;
}

__noinline int judge_new(struct __sk_buff *skb, int flow_state)
{
	struct scratch *s = get_scratch();
	int reason, flow_reason, report;

	if (!s)
		return TC_DROP;
	if (flow_state == FLOW_STATE_FOREIGN && goes_on_with_flow(skb))
		flow_state = FLOW_STATE_STALE;
	s->is_foreign = flow_state == FLOW_STATE_FOREIGN;
	s->is_answer = flow_state == FLOW_STATE_STALE && s->flow.reason && s->direction != s->flow.direction;
	reason = judge_flow(skb, flow_state);
	if (flow_state == FLOW_STATE_FOREIGN && is_kernel_reply(s))
		return admit(skb, s);
	flow_reason = is_judged(s) ? reason : REASON_ALLOWED;
	if (!is_judged(s))
		s->flow.reason = REASON_ALLOWED;
	if (!s->flow.reason) {
		remember_masks(s);
		reason = judge_payload(skb, s);
		if (!is_judged(s)) {
			reason = REASON_ALLOWED;
			s->flow.reason = REASON_ALLOWED;
		}
	}
	/*
	 * What enforcement drops has no replies, so it is not kept: the next packet may find a name learned. An
	 * application that was refused stays refused.
	 */
	if (flow_state != FLOW_STATE_FOREIGN &&
	    (!s->flow.reason || (s->flow.flags & FLOW_PAYLOAD_REFUSED) || !(s->workload.mode & MODE_ENFORCE)))
		reason = store_flow(reason);
	if (s->packet.flags & PACKET_FIRST_FRAGMENT)
		reason = remember_fragment(skb, reason);
	if (flow_reason)
		report_question(skb, reason);
	if (reason)
		return violation(skb, s, reason);
	report = !flow_reason && flow_state == FLOW_STATE_NEW && (s->workload.flags & WORKLOAD_REPORT_ALLOWED);
	/* The report of the flow does not repeat the question that trace-dns has reported. */
	if (s->workload.mode & MODE_TRACE_DNS)
		s->dns_reported = 0;
	return finish(skb, REASON_ALLOWED, report);
}

/* A valid flow whose packets are looked into. */
static __always_inline int judge_valid(struct __sk_buff *skb, struct scratch *s, struct flow *flow)
{
	int reason;

	note_use(flow);
	s->flow = *flow;
	s->actor_count = 0;
	remember_masks(s);
	reason = judge_payload(skb, s);
	for (int i = 0; i < SUBJECTS_MAX; i++)
		flow->subjects[i].mask = s->flow.subjects[i].mask;
	flow->application = s->flow.application;
	flow->flags = s->flow.flags;
	keep_streams(flow, s);
	flow->reason = is_judged(s) ? s->flow.reason : REASON_ALLOWED;
	if (s->packet.flags & PACKET_FIRST_FRAGMENT)
		reason = remember_fragment(skb, reason);
	return reason ? violation(skb, s, reason) : finish(skb, REASON_ALLOWED, 0);
}

/* An ICMP error that belongs to the flow that it is about. */
static __always_inline int is_error_of_flow(struct __sk_buff *skb, struct scratch *s)
{
	if (!is_icmp_error(&s->packet))
		return 0;
	if (s->direction == DIRECTION_EGRESS)
		find_owner(skb);
	return !judge_origin(skb) && is_related(skb);
}

static __always_inline int admit_error(struct __sk_buff *skb, struct scratch *s)
{
	int action = finish(skb, REASON_ALLOWED, 0);

	return s->direction == DIRECTION_EGRESS && cut_error(skb) ? TC_DROP : action;
}

/* A flow that is a violation as a whole. Its answers are counted as well, but not reported: the flow has been. */
static __always_inline int refused_before(struct __sk_buff *skb, struct scratch *s, struct flow *flow)
{
	s->flow = *flow;
	s->actor_count = 0;
	s->is_answer = s->direction != flow->direction;
	report_question(skb, flow->reason);
	return violation(skb, s, flow->reason);
}

/* Does every socket on the port get it that wants it? A broadcast of the link shows by its link-layer destination. */
static __always_inline int is_for_group(struct __sk_buff *skb, struct scratch *s)
{
	__u8 destination = 0;

	if (s->direction != DIRECTION_INGRESS || s->packet.protocol != PROTOCOL_UDP)
		return 0;
	if (is_group(s->packet.destination, s->packet.ethertype))
		return 1;
	return s->packet.ethertype == ETHERTYPE_VALUE_IPV4 &&
	       bpf_skb_load_bytes(skb, 0, &destination, sizeof(destination)) == 0 && (destination & 1) &&
	       !is_own(s->workload.id, s->packet.destination);
}

/*
 * A datagram to a group has as many receivers as there are sockets that want it. It is let in, and each of them is judged
 * where it is received: bpf/receivers.bpf.c.
 */
static __always_inline int admit_to_group(struct __sk_buff *skb, struct scratch *s)
{
	forget_flow(s);
	return admit(skb, s);
}

/* `flow`: what the short way has found under the packet's key; null if it has not looked. */
static __always_inline int judge_ip(struct __sk_buff *skb, struct scratch *s, struct flow *flow)
{
	int flow_state = FLOW_STATE_NEW;

	if (s->packet.flags & PACKET_LATER_FRAGMENT)
		return later_fragment_verdict(skb);
	/* Of ICMP, only echo knows replies. An error belongs to the flow that it is about. */
	if (is_icmp(&s->packet) && !is_echo(&s->packet)) {
		if (is_error_of_flow(skb, s))
			return admit_error(skb, s);
		if (answers_nobody(skb, 0))
			return violation_of_nobody(skb, s, REASON_UNATTRIBUTED);
		return judge_new(skb, FLOW_STATE_NEW);
	}
	if (is_for_group(skb, s))
		return admit_to_group(skb, s);
	if (!flow)
		flow = bpf_map_lookup_elem(&flows, &s->key);
	if (answers_nobody(skb, !!flow))
		return violation_of_nobody(skb, s, REASON_UNATTRIBUTED);
	if (!flow)
		return judge_new(skb, FLOW_STATE_NEW);
	flow_state = flow_state_of(skb, s, flow);
	if (flow_state == FLOW_STATE_VALID || flow_state == FLOW_STATE_STALE)
		note_end(s, flow);
	if (flow_state != FLOW_STATE_VALID) {
		if (flow_state != FLOW_STATE_NEW)
			s->flow = *flow;
		return judge_new(skb, flow_state);
	}
	if (flow->reason && !(s->packet.flags & PACKET_FIRST_FRAGMENT))
		return refused_before(skb, s, flow);
	if (flow->flags & (FLOW_DNS | FLOW_L7_PENDING) || (s->packet.flags & PACKET_FIRST_FRAGMENT))
		return judge_valid(skb, s, flow);
	note_use(flow);
	count_packet(s->workload.id, flow->subjects[0].path_id, s->direction, REASON_ALLOWED, VERDICT_ALLOWED, skb->len);
	tell_test(skb, REASON_ALLOWED, VERDICT_ALLOWED);
	return TC_NEXT;
}

/* What the workload's kernel may answer by itself is remembered. */
static __always_inline int judge_datagram(struct __sk_buff *skb, struct scratch *s, struct flow *flow)
{
	int action;

	key_of_packet(s);
	if (lock_stream() < 0)
		return violation_of_nobody(skb, s, REASON_CAPACITY);
	/* The flow may have been replaced since it was looked for. */
	action = judge_ip(skb, s, is_stream_locked(s) ? NULL : flow);
	if (is_stream_locked(s))
		unlock_stream();
	if (action != TC_DROP && s->direction == DIRECTION_INGRESS && is_icmp_request(&s->packet))
		remember_request(skb);
	return action;
}

/* The packet in the scratch passes, and is counted with its flow, if that is stored. */
__noinline int count_judged(struct __sk_buff *skb)
{
	struct scratch *s = get_scratch();
	struct flow *flow;
	struct packet *p;

	if (!s)
		return 0;
	p = &s->packet;
	/* The key of these is no flow's, but may look like one's. */
	if (p->flags & PACKET_LATER_FRAGMENT || (is_icmp(p) && !is_echo(p)))
		return 0;
	flow = bpf_map_lookup_elem(&flows, &s->key);
	if (flow)
		count_in_flow(flow, s->direction, skb->len, p->end > p->payload_offset ? p->end - p->payload_offset : 0,
			      p->tcp_flags);
	return 0;
}

static __always_inline struct workload *find_workload(__u32 ifindex)
{
	__u32 *instance;

	instance = bpf_map_lookup_elem(&interfaces, &ifindex);
	if (!instance)
		instance = bpf_map_lookup_elem(&interfaces_high, &ifindex);
	if (!instance || !*instance)
		return NULL;
	return bpf_map_lookup_elem(&workloads, instance);
}

static __always_inline int pending(struct __sk_buff *skb, struct scratch *s)
{
	forget_flow(s);
	count_packet(s->workload.id, 0, s->direction, REASON_PENDING, VERDICT_DROPPED, skb->len);
	tell_test(skb, REASON_PENDING, VERDICT_DROPPED);
	send_record(skb, RECORD_VERDICT, REASON_PENDING, VERDICT_DROPPED);
	return TC_DROP;
}

static __always_inline int judge(struct __sk_buff *skb, __u32 direction)
{
	struct scratch *s = get_scratch();
	struct workload *workload = find_workload(skb->ifindex);
	struct flow *flow = NULL;
	int reason;

	/* Attached before its workload is known is attached too early: nothing is known, so nothing passes. */
	if (!s || !workload) {
		count_error(ERROR_SCRATCH);
		return TC_DROP;
	}
	if (workload->flags & WORKLOAD_UNRESTRICTED)
		return TC_NEXT;
	if (is_of_open_flow(skb, workload, direction, &flow)) {
		tell_test(skb, REASON_ALLOWED, VERDICT_ALLOWED);
		return TC_NEXT;
	}
	s->workload = *workload;
	__builtin_memset(&s->packet, 0, sizeof(s->packet));
	__builtin_memset(&s->key, 0, sizeof(s->key));
	s->direction = direction;
	s->is_answer = 0;
	s->is_foreign = 0;
	s->dns_reported = 0;
	s->actor_count = 0;
	s->owner_flags = 0;
	s->mask = 0;
	s->now = coarse_now();
	reason = parse_packet(skb, &s->packet);
	if (s->workload.flags & WORKLOAD_PENDING)
		return pending(skb, s);
	if (!reason) {
		int action = judge_datagram(skb, s, flow);

		if (counts_flows && action != TC_DROP)
			count_judged(skb);
		return action;
	}
	if (reason == REASON_ETHERTYPE && s->packet.ethertype == ETHERTYPE_VALUE_ARP && !skb->vlan_present)
		reason = judge_arp(skb);
	else
		key_of_packet(s);
	if (reason)
		return violation_of_nobody(skb, s, reason);
	forget_flow(s);
	return finish(skb, REASON_ALLOWED, 0);
}

/* On the veth's ingress hook: what the workload sends. */
SEC("tc")
int from_workload(struct __sk_buff *skb)
{
	return judge(skb, DIRECTION_EGRESS);
}

/* On the veth's egress hook: what the workload is about to receive. */
SEC("tc")
int to_workload(struct __sk_buff *skb)
{
	return judge(skb, DIRECTION_INGRESS);
}

char LICENSE[] SEC("license") = "GPL";
