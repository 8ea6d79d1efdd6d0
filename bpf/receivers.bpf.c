// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Who receives a packet. The classifier judges a flow by the socket that it finds; which sockets get a packet in the end is
 * known only here, where it is about to be put into one. That matters wherever it may be another one than the flow's: a
 * socket that has taken the port over, each member of a group, and raw sockets, which get a copy of everything.
 *
 * Streams have one receiver, which the classifier has found, unless its socket is bound to a device or shares its port: then
 * the kernel may choose another one than the look-up does. What a workload sends to itself is nobody's business.
 */
#include "vmlinux.h"
#define LINK_LENGTH 0
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "packet/ip.h"
#include "verdict/open_flow.h"

#define PASS 1
#define DROP 0
#define LOOPBACK 1 /* interface index of `lo`, in every network namespace */
#define TO_HOST 0  /* PACKET_HOST, include/uapi/linux/if_packet.h */

static __always_inline struct workload *workload_of(struct socket_owner *owner, struct bpf_sock *sk)
{
	__u32 netns = owner ? owner->netns_inum
			    : BPF_CORE_READ(address_of_socket(sk), __sk_common.skc_net.net, ns.inum);
	__u32 *instance = bpf_map_lookup_elem(&namespaces, &netns);

	return instance ? bpf_map_lookup_elem(&workloads, instance) : NULL;
}

/*
 * Is the flow one that this very process has? Almost all are. What the process has executed since the flow was judged is not
 * who it was, and begins an epoch.
 */
static __always_inline int is_flows_process(struct flow *flow, struct socket_owner *owner)
{
	return flow->tgid == owner->user.tgid && flow->start_time == owner->user.start_time &&
	       is_same_identity(&owner->user, &owner->creator) && !is_epoch_over(flow, owner->netns_inum);
}

/* May the kernel give a segment to another socket than the classifier has found? */
static __always_inline int may_be_mistaken(struct bpf_sock *sk)
{
	struct tcp_sock *stream;

	if (sk->bound_dev_if)
		return 1;
	stream = bpf_skc_to_tcp_sock(sk);
	return !stream || BPF_CORE_READ_BITFIELD((struct sock_common *)stream, skc_reuseport);
}

/* The short way, for almost all packets: whole datagrams of a flow of this very process. Nothing is copied. */
static __always_inline int is_of_own_flow(struct __sk_buff *skb, struct workload *workload, struct socket_owner *owner)
{
	struct flow_key key = { .workload_id = workload->id };
	struct flow *flow;

	if (skb->protocol == bpf_htons(ETHERTYPE_VALUE_IPV4)) {
		if (!common_key4(skb, DIRECTION_INGRESS, &key))
			return 0;
	} else if (!common_key6(skb, DIRECTION_INGRESS, &key)) {
		return 0;
	}
	flow = bpf_map_lookup_elem(&flows, &key);
	return flow && is_flows_process(flow, owner);
}

/* Whose socket it is; nobody's if it has no storage. */
static __always_inline void receivers_of(struct scratch *s, struct socket_owner *owner)
{
	if (!owner)
		return;
	current_actor(&owner->user, &s->actors[0]);
	actor_then(&owner->creator, &s->actors[1]);
	s->actor_count = is_same_identity(&s->actors[0], &s->actors[1]) ? 1 : 2;
	s->owner_flags |= OWNER_FOUND;
}

/* By the receiver's own rules, for one direction. */
__noinline int judge_receiver(__u32 direction)
{
	struct scratch *s = get_scratch();

	if (!s)
		return REASON_CAPACITY;
	s->flow.direction = direction;
	s->flow.allowed_since = s->now;
	subjects_from_actors(s);
	return judge_subjects(s);
}

/* What a raw socket is reported may have been sent to its owner, or be an answer to it. */
static __always_inline int judge_raw(struct scratch *s)
{
	int reason = judge_receiver(DIRECTION_INGRESS);

	return reason && !judge_receiver(DIRECTION_EGRESS) ? REASON_ALLOWED : reason;
}

/* What is for an address that is not the workload's own is for a group, or for everybody on the link. */
static __always_inline int is_for_group(struct scratch *s)
{
	return s->packet.protocol == PROTOCOL_UDP && (is_group(s->packet.destination, s->packet.ethertype) ||
						      !is_own(s->workload.id, s->packet.destination));
}

/* A datagram that belongs to no flow has its whole payload with it. */
static __always_inline int judge_group(struct __sk_buff *skb, struct scratch *s)
{
	int reason = judge_receiver(DIRECTION_INGRESS);

	return reason ? reason : judge_first_payload(skb, s);
}

static __always_inline int judge_takeover(struct scratch *s, struct flow *flow)
{
	int reason = judge_receiver(flow->direction);

	if (reason || flow->flags & (FLOW_DNS | FLOW_L7_PENDING) || flow->application == APPLICATION_UNDECIDED)
		return reason;
	s->flow.application = flow->application;
	return judge_application(s);
}

static __always_inline int refuse(struct __sk_buff *skb, struct scratch *s, __u32 reason)
{
	__u32 verdict = s->workload.mode & MODE_ENFORCE ? VERDICT_DROPPED
			: s->workload.mode & MODE_ALERT	? VERDICT_ALERTED
							: VERDICT_COUNTED;

	if ((s->workload.mode & MODE_LEARN) && verdict == VERDICT_COUNTED)
		return PASS;
	s->mask = 0;
	count_packet(s->workload.id, s->flow.subjects[0].path_id, s->direction, reason, verdict, skb->len);
	if (s->workload.mode & MODE_ALERT)
		send_record(skb, RECORD_VERDICT, reason, verdict);
	return verdict == VERDICT_DROPPED ? DROP : PASS;
}

static __always_inline void begin(struct scratch *s, struct workload *workload)
{
	s->workload = *workload;
	__builtin_memset(&s->packet, 0, sizeof(s->packet));
	__builtin_memset(&s->key, 0, sizeof(s->key));
	__builtin_memset(&s->flow, 0, sizeof(s->flow));
	s->flow.application = APPLICATION_UNDECIDED;
	s->direction = DIRECTION_INGRESS;
	s->dns_reported = 0;
	s->actor_count = 0;
	s->owner_flags = 0;
	s->mask = 0;
	s->now = coarse_now();
}

static __always_inline int judge_packet(struct __sk_buff *skb, struct scratch *s, struct socket_owner *owner, int is_raw)
{
	struct flow *flow;
	int reason;

	reason = parse_packet(skb, &s->packet);
	if (reason)
		return reason;
	key_of_packet(s);
	flow = bpf_map_lookup_elem(&flows, &s->key);
	if (flow && owner && is_flows_process(flow, owner))
		return REASON_ALLOWED;
	receivers_of(s, owner);
	if (flow) {
		s->flow.subject_count = flow->subject_count;
		s->flow.direction = flow->direction;
		for (int i = 0; i < SUBJECTS_MAX; i++)
			s->flow.subjects[i] = flow->subjects[i];
		if (have_flow(s))
			return REASON_ALLOWED;
	}
	if (is_raw)
		return judge_raw(s);
	if (flow)
		return judge_takeover(s, flow);
	/* Without a flow, and to the workload alone: the classifier has judged this packet by itself. */
	return is_for_group(s) ? judge_group(skb, s) : REASON_ALLOWED;
}

SEC("cgroup_skb/ingress")
int receiver(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct socket_owner *owner;
	struct workload *workload;
	struct scratch *s;
	int is_raw, is_stream, reason;

	if (!sk || skb->ifindex == LOOPBACK)
		return PASS;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return PASS;
	is_raw = sk->type == SOCKET_TYPE_RAW;
	is_stream = !is_raw && sk->protocol == PROTOCOL_TCP;
	if (is_stream && !may_be_mistaken(sk))
		return PASS;
	owner = bpf_sk_storage_get(&socket_owners, sk, NULL, 0);
	workload = workload_of(owner, sk);
	if (!workload || !workload->id || workload->flags & (WORKLOAD_PENDING | WORKLOAD_UNRESTRICTED))
		return PASS;
	if (owner && is_of_own_flow(skb, workload, owner))
		return PASS;
	s = get_scratch();
	if (!s) {
		count_error(ERROR_SCRATCH);
		return DROP;
	}
	begin(s, workload);
	reason = judge_packet(skb, s, owner, is_raw);
	return reason ? refuse(skb, s, reason) : PASS;
}

char LICENSE[] SEC("license") = "GPL";
