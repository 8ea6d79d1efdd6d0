/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Flows: one judgement for all packets of a conversation, as long as nothing that it rests on has changed.
 */
#ifndef PORTCULLIS_FLOW_H
#define PORTCULLIS_FLOW_H

#include "dns/flow.h"
#include "packet/neighbour.h"
#include "socket/owner.h"

/* What a packet is to the flow that has its key. */
enum flow_state {
	FLOW_STATE_NEW,     /* there is none, or it is over */
	FLOW_STATE_STALE,   /* rules, identity or socket have to be looked at again */
	FLOW_STATE_FOREIGN, /* another socket's packet with the flow's addresses: judged alone, changes nothing */
	FLOW_STATE_VALID,
};

/* So that it is not pushed out while others of its workload are idle. Written once in a turn: see may_flow_stay. */
static __always_inline void note_use(struct flow *flow)
{
	if (!flow->used)
		flow->used = 1;
}

static __always_inline int is_echo(struct packet *p)
{
	if (p->protocol == PROTOCOL_ICMP)
		return p->icmp_type == ICMP_ECHO_REQUEST || p->icmp_type == ICMP_ECHO_REPLY;
	return p->protocol == PROTOCOL_ICMPV6 &&
	       (p->icmp_type == ICMPV6_ECHO_REQUEST || p->icmp_type == ICMPV6_ECHO_REPLY);
}

static __always_inline int is_icmp(struct packet *p)
{
	return p->protocol == PROTOCOL_ICMP || p->protocol == PROTOCOL_ICMPV6;
}

/* Echo messages: the identifier stands on the side that asks, so that a request never passes for a reply. */
static __always_inline void echo_ports(struct scratch *s)
{
	struct packet *p = &s->packet;
	int request = p->protocol == PROTOCOL_ICMP ? p->icmp_type == ICMP_ECHO_REQUEST
						   : p->icmp_type == ICMPV6_ECHO_REQUEST;

	if (request == (s->direction == DIRECTION_EGRESS))
		s->key.local_port = p->icmp_id;
	else
		s->key.remote_port = p->icmp_id;
}

/* s->key has been zeroed. */
static __always_inline void key_of_packet(struct scratch *s)
{
	struct packet *p = &s->packet;

	s->key.workload_id = s->workload.id;
	s->key.protocol = p->protocol;
	if (s->direction == DIRECTION_EGRESS) {
		__builtin_memcpy(s->key.local, p->source, ADDRESS_LENGTH);
		__builtin_memcpy(s->key.remote, p->destination, ADDRESS_LENGTH);
		s->key.local_port = p->source_port;
		s->key.remote_port = p->destination_port;
	} else {
		__builtin_memcpy(s->key.local, p->destination, ADDRESS_LENGTH);
		__builtin_memcpy(s->key.remote, p->source, ADDRESS_LENGTH);
		s->key.local_port = p->destination_port;
		s->key.remote_port = p->source_port;
	}
	if (is_echo(p))
		echo_ports(s);
}

static __always_inline __u64 cookie_of(struct __sk_buff *skb)
{
	if (subject_from_mark)
		return ((__u64)skb->priority << 32 | skb->mark) ^ (__u64)(skb->cb[1] & 0xff) << 24;
	return bpf_get_socket_cookie(skb);
}

static __always_inline int flow_state_of(struct __sk_buff *skb, struct scratch *s, struct flow *flow)
{
	if (begins_tcp(&s->packet))
		return FLOW_STATE_NEW;
	if (s->packet.protocol != PROTOCOL_TCP) {
		struct settings *set = get_settings();

		if (!set || (__s64)(s->now - flow->last_seen) > (__s64)set->udp_idle)
			return FLOW_STATE_NEW;
		flow->last_seen = s->now;
	}
	if (flow->table_id != s->workload.table_id || is_epoch_over(flow, s->workload.netns_inum))
		return FLOW_STATE_STALE;
	/* A name may have been learned since: who began a refused flow is judged anew, unless its payload was refused. */
	if (flow->reason && !(flow->flags & FLOW_PAYLOAD_REFUSED) && flow->direction == s->direction)
		return FLOW_STATE_STALE;
	if (s->direction == DIRECTION_INGRESS)
		return FLOW_STATE_VALID;
	if (!(flow->flags & FLOW_COOKIE_KNOWN))
		return FLOW_STATE_STALE;
	s->cookie = cookie_of(skb);
	return s->cookie == flow->cookie ? FLOW_STATE_VALID : FLOW_STATE_FOREIGN;
}

/* A FIN or reset of either side. Where both sides are done, nothing is about the connection any more. */
static __always_inline void note_end(struct scratch *s, struct flow *flow)
{
	if (s->packet.protocol != PROTOCOL_TCP || !(s->packet.tcp_flags & (TCP_FIN | TCP_RST)))
		return;
	if (s->packet.tcp_flags & TCP_RST)
		flow->flags |= FLOW_ENDED_EGRESS | FLOW_ENDED_INGRESS;
	else
		flow->flags |= s->direction == DIRECTION_EGRESS ? FLOW_ENDED_EGRESS : FLOW_ENDED_INGRESS;
}

/* Is there still somebody whom an error about the flow may interest? */
static __always_inline int is_alive(struct scratch *s, struct flow *flow, __u8 protocol)
{
	struct settings *set = get_settings();

	if (protocol == PROTOCOL_TCP)
		return !(flow->flags & FLOW_ENDED_EGRESS) || !(flow->flags & FLOW_ENDED_INGRESS);
	return set && (__s64)(s->now - flow->last_seen) <= (__s64)set->udp_idle;
}

/* Who began a flow that is not known: the sender, unless TCP or the socket shows that this is an answer. */
static __always_inline __u8 who_began(struct scratch *s)
{
	struct packet *p = &s->packet;

	if (s->direction == DIRECTION_EGRESS) {
		if (p->protocol == PROTOCOL_TCP && !begins_tcp(p) && (s->owner_flags & OWNER_ACCEPTED))
			return DIRECTION_INGRESS;
		return DIRECTION_EGRESS;
	}
	if (begins_tcp(p) || !(s->owner_flags & OWNER_CONNECTED) || (s->owner_flags & OWNER_ACCEPTED))
		return DIRECTION_INGRESS;
	return DIRECTION_EGRESS;
}

/* No socket was found for a known flow (an ICMP reply, say): who it belonged to last, as they are now. */
static __always_inline void actors_from_flow(struct scratch *s)
{
	if (!(s->flow.subjects[0].path_id & ~PATH_ID_MODIFIED))
		return;
	for (int i = 0; i < SUBJECTS_MAX; i++) {
		__u32 path_id = s->flow.subjects[i].path_id;
		struct actor *actor = &s->actors[i];

		__builtin_memset(actor, 0, sizeof(*actor));
		actor->start_time = s->flow.start_time;
		actor->cgroup_id = s->flow.cgroup_id;
		actor->tgid = s->flow.tgid;
		actor->lineage = s->flow.lineage;
		actor->path_id = path_id & ~PATH_ID_MODIFIED;
		actor->ancestry = s->flow.subjects[i].ancestry;
		actor->uid = s->flow.subjects[i].uid;
		actor->flags = path_id & PATH_ID_MODIFIED ? PROCESS_MODIFIED : 0;
	}
	current_actor(&s->actors[0], &s->actors[0]);
	s->actor_count = s->flow.subject_count;
	s->owner_flags |= OWNER_FOUND;
}

static __always_inline void subjects_from_actors(struct scratch *s)
{
	s->flow.subject_count = s->actor_count ? s->actor_count : 1;
	if (!s->actor_count) {
		s->flow.tgid = 0;
		s->flow.lineage = 0;
		s->flow.start_time = 0;
		s->flow.cgroup_id = 0;
		__builtin_memset(&s->actors[0], 0, sizeof(s->actors[0]));
		subject_of(&s->actors[0], &s->workload, s->flow.direction, &s->flow.subjects[0]);
		return;
	}
	s->flow.tgid = s->actors[0].tgid;
	s->flow.lineage = s->actors[0].lineage;
	s->flow.start_time = s->actors[0].start_time;
	s->flow.cgroup_id = s->actors[0].cgroup_id;
	for (__u32 i = 0; i < SUBJECTS_MAX; i++) {
		if (i >= s->actor_count)
			break;
		subject_of(&s->actors[i], &s->workload, s->flow.direction, &s->flow.subjects[i]);
	}
}

static __always_inline int judge_subjects(struct scratch *s)
{
	for (int i = 0; i < SUBJECTS_MAX; i++) {
		int reason;

		if (i >= s->flow.subject_count)
			break;
		reason = refine_reason(judge_subject(i), &s->flow.subjects[i]);
		if (reason)
			return reason;
	}
	return REASON_ALLOWED;
}

/*
 * What has been spoken before the flow was known, or since it was forgotten, has gone by: there is no first payload to
 * recognise. It was let through then, by us or before us.
 */
static __always_inline void expect_payload(struct scratch *s)
{
	if (s->packet.protocol != PROTOCOL_TCP && s->packet.protocol != PROTOCOL_UDP)
		return;
	if (on_dns_port(s)) {
		s->flow.flags |= FLOW_DNS;
		return;
	}
	if (s->packet.protocol == PROTOCOL_TCP && !begins_tcp(&s->packet) && (s->owner_flags & OWNER_HAS_SPOKEN))
		return;
	s->flow.flags |= FLOW_L7_PENDING;
}

/* The epoch in which it is certain that the first actor is who uses the socket, and who that is. */
static __always_inline __u64 user_epoch(struct scratch *s)
{
	const struct actor *user = &s->actors[0];

	if (!s->user_lineage)
		return epoch_of(user);
	return user->lineage == s->user_lineage && is_current(user) ? s->user_epoch : EPOCH_NONE;
}

/* Until when the judgement is good. `sockets`: the network namespace's epoch from before its socket was looked at. */
static __always_inline __u64 flow_epoch(struct scratch *s, __u64 sockets)
{
	__u64 process = s->actor_count ? user_epoch(s) : process_epoch(0);

	return process == EPOCH_NONE ? EPOCH_NONE : process + sockets;
}

/* The kernel's own answer within a flow: a bare segment, or an echo reply. With anybody's payload it is none. */
static __always_inline int is_kernel_reply(struct scratch *s)
{
	return is_from_kernel(s) && (is_bare_tcp(&s->packet) || is_icmp(&s->packet));
}

/*
 * The answer to a SYN of which the kernel keeps nothing but a cookie comes without a socket (tcp_make_synack). It holds
 * nothing, and belongs to the known flow in s->flow that the SYN has begun.
 */
static __always_inline int is_cookie_answer(struct scratch *s)
{
	struct packet *p = &s->packet;

	return s->direction == DIRECTION_EGRESS && (s->owner_flags & OWNER_NONE) && p->protocol == PROTOCOL_TCP &&
	       (p->tcp_flags & (TCP_SYN | TCP_ACK | TCP_FIN | TCP_RST)) == (TCP_SYN | TCP_ACK) &&
	       !(p->flags & (PACKET_FIRST_FRAGMENT | PACKET_LATER_FRAGMENT)) && p->end <= p->payload_offset &&
	       s->flow.direction == DIRECTION_INGRESS && !(s->flow.flags & FLOW_COOKIE_KNOWN);
}

/*
 * The verdict is for what this socket sends. What comes in may be for another one than has sent, which is judged when it sends
 * again; and what the kernel answers, often without a socket, is the flow's and changes nothing.
 */
static __always_inline void note_socket(struct __sk_buff *skb, struct scratch *s, int is_kernels)
{
	if (s->direction == DIRECTION_INGRESS) {
		s->flow.flags &= ~FLOW_COOKIE_KNOWN;
	} else if (!is_kernels) {
		s->flow.cookie = cookie_of(skb);
		s->flow.flags |= FLOW_COOKIE_KNOWN;
	}
}

/*
 * Judges the flow from the ground up; `flow_state` is not VALID. s->flow is a copy of the known one for STALE, and is
 * made anew otherwise. Leaves it ready to be stored.
 */
__noinline int judge_flow(struct __sk_buff *skb, int flow_state)
{
	struct scratch *s = get_scratch();
	int reason, is_kernels;
	__u64 sockets;

	if (!s)
		return REASON_CAPACITY;
	sockets = namespace_epoch(s->workload.netns_inum);
	find_owner(skb);
	find_link_control(skb);
	is_kernels = is_kernel_reply(s) || (flow_state == FLOW_STATE_STALE && is_cookie_answer(s));
	if (flow_state == FLOW_STATE_STALE) {
		/* Not for what another process sends: it would inherit the rights of the flow's owner. */
		if (!(s->owner_flags & OWNER_FOUND) && (s->direction == DIRECTION_INGRESS || is_kernels))
			actors_from_flow(s);
		s->flow.flags &= ~FLOW_PAYLOAD_REFUSED;
	} else {
		__builtin_memset(&s->flow, 0, sizeof(s->flow));
		/* Two flows of one key may begin in one tick of the coarse clock, and are told apart by this where they are counted. */
		s->flow.began = counts_flows ? bpf_ktime_get_ns() : s->now;
		s->flow.tcp.isn = begins_tcp(&s->packet) ? s->packet.sequence - 1 : 0;
		s->flow.direction = who_began(s);
		s->flow.application = APPLICATION_UNDECIDED;
		expect_payload(s);
	}
	/* A name that was good when the socket was connected is good until it is connected anew. */
	if (flow_state != FLOW_STATE_STALE || s->flow.reason)
		s->flow.allowed_since = s->connected ? s->connected : s->now;
	s->flow.name_hash = 0;
	s->flow.table_id = s->workload.table_id;
	/* A verdict without the former user's is not for what goes out. */
	s->flow.epoch = s->direction == DIRECTION_INGRESS && (s->owner_flags & OWNER_FORMER) ? EPOCH_NONE
											      : flow_epoch(s, sockets);
	s->flow.last_seen = s->now;
	note_socket(skb, s, is_kernels);
	subjects_from_actors(s);
	reason = judge_origin(skb);
	if (!reason)
		reason = judge_subjects(s);
	if (!reason && !(s->flow.flags & (FLOW_DNS | FLOW_L7_PENDING)) && s->flow.application != APPLICATION_UNDECIDED)
		reason = judge_application(s);
	s->flow.reason = reason;
	return reason;
}

static __always_inline int is_subject_of_flow(struct scratch *s, const struct subject *subject)
{
	for (int i = 0; i < SUBJECTS_MAX; i++) {
		if (i >= s->flow.subject_count)
			break;
		if (s->flow.subjects[i].path_id == subject->path_id &&
		    s->flow.subjects[i].container_id == subject->container_id)
			return 1;
	}
	return 0;
}

/* Do all subjects of the packet's socket have the flow in s->flow already? */
static __always_inline int have_flow(struct scratch *s)
{
	if (!s->actor_count)
		return 0;
	for (__u32 i = 0; i < SUBJECTS_MAX; i++) {
		if (i >= s->actor_count)
			break;
		subject_of(&s->actors[i], &s->workload, s->flow.direction, &s->subject);
		if (!is_subject_of_flow(s, &s->subject))
			return 0;
	}
	return 1;
}

/*
 * Does the packet's socket go on with the flow in s->flow, which another one had before? If all its subjects had the flow
 * already: it is a server that was started again, a second worker, or the child of a connection that began with a cookie.
 */
__noinline int goes_on_with_flow(struct __sk_buff *skb)
{
	struct scratch *s = get_scratch();

	if (!s)
		return 0;
	find_owner(skb);
	return have_flow(s);
}

/* The layers that look into the packet, for a flow that the others allow. */
static __always_inline int judge_payload(struct __sk_buff *skb, struct scratch *s)
{
	int reason;

	if (s->flow.reason)
		return s->flow.reason;
	if (s->flow.flags & FLOW_DNS)
		return judge_dns(skb, s);
	if (!(s->flow.flags & FLOW_L7_PENDING))
		return REASON_ALLOWED;
	reason = judge_first_payload(skb, s);
	s->flow.reason = reason;
	return reason;
}

#endif
