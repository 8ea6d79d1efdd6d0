/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What user space gets to know: counters of every packet, and events of some. */
#ifndef PORTCULLIS_REPORT_H
#define PORTCULLIS_REPORT_H

#include "dns/dns.h"
#include "memory/share.h"
#include "verdict/scratch.h"

/* Not on the stack, which is short there: see dns/flow.h. */
static const struct counter no_packets;

/*
 * A counter that is not there yet. Without room for one, what all processes without one of their own have in common stands
 * in. Global, so that its stack is taken when it is needed only. Returns 1 if there is one now under the path, 0 if not.
 */
__noinline int add_counter(__u32 workload_id, __u32 path_id, __u32 direction, __u32 reason, __u32 verdict)
{
	struct counter_key key = {
		.workload_id = workload_id,
		.path_id = path_id,
		.direction = direction,
		.reason = reason,
		.verdict = verdict,
	};

	if (may_have_counter(workload_id, path_id)) {
		bpf_map_update_elem(&counters, &key, &no_packets, BPF_NOEXIST);
		if (bpf_map_lookup_elem(&counters, &key))
			return 1;
		count_error(ERROR_COUNTERS_FULL);
	}
	key.path_id = 0;
	bpf_map_update_elem(&counters, &key, &no_packets, BPF_NOEXIST);
	return 0;
}

static __always_inline void count_packet(__u32 workload_id, __u32 path_id, __u32 direction, __u32 reason,
					 __u32 verdict, __u32 length)
{
	struct counter_key key = {
		.workload_id = workload_id,
		.path_id = path_id,
		.direction = direction,
		.reason = reason,
		.verdict = verdict,
	};
	struct counter *counter = bpf_map_lookup_elem(&counters, &key);

	if (!counter) {
		if (!add_counter(workload_id, path_id, direction, reason, verdict))
			key.path_id = 0;
		counter = bpf_map_lookup_elem(&counters, &key);
	}
	if (!counter)
		return;
	counter->packets++;
	counter->bytes += length;
}

static __always_inline void limit_key_of(struct scratch *s, __u32 reason, __u32 verdict, struct limit_key *key)
{
	key->workload_id = s->workload.id;
	key->path_id = s->flow.subjects[0].path_id;
	__builtin_memcpy(key->remote, s->key.remote, ADDRESS_LENGTH);
	key->port = s->direction == DIRECTION_EGRESS ? s->key.remote_port : s->key.local_port;
	key->protocol = s->packet.protocol;
	key->direction = s->direction;
	key->reason = reason;
	key->verdict = verdict;
	if (s->dns_reported) {
		struct dns_message *m = get_dns_message();

		key->name_hash = m ? m->name_hash : 0;
	}
}

/*
 * How many packets an event may stand for now: 0 if its like was reported within the interval. Without the memory
 * to tell, every packet is reported.
 */
static __always_inline __u64 within_limit(struct scratch *s, __u32 reason, __u32 verdict)
{
	struct limit_key key = {};
	struct limit *limit, fresh = {};
	struct settings *set = get_settings();
	__u64 now = bpf_ktime_get_ns(), count;

	limit_key_of(s, reason, verdict, &key);
	limit = bpf_map_lookup_elem(&limits, &key);
	if (!limit) {
		fresh.last = now;
		if (put_limit(&key, &fresh) < 0)
			count_error(ERROR_LIMITS_FULL);
		return 1;
	}
	if (set && now - limit->last < set->event_interval) {
		__sync_fetch_and_add(&limit->suppressed, 1);
		return 0;
	}
	limit->last = now;
	count = limit->suppressed;
	__sync_fetch_and_add(&limit->suppressed, -count);
	return count + 1;
}

static __always_inline void describe_process(struct event *event, struct scratch *s)
{
	struct process *process;
	__u32 tgid;

	__builtin_memset(&event->actor, 0, sizeof(event->actor));
	__builtin_memset(event->comm, 0, sizeof(event->comm));
	event->parent_tgid = 0;
	event->parent_path_id = 0;
	if (!s->actor_count) {
		/* A reply, or a packet of a flow whose socket was not looked at again. */
		event->actor.tgid = s->flow.tgid;
		event->actor.start_time = s->flow.start_time;
		event->actor.path_id = s->flow.subjects[0].path_id & ~PATH_ID_MODIFIED;
		event->actor.flags = s->flow.subjects[0].path_id & PATH_ID_MODIFIED ? PROCESS_MODIFIED : 0;
	} else {
		event->actor = s->actors[0];
		if (s->flow.subjects[0].path_id & PATH_ID_MODIFIED)
			event->actor.flags |= PROCESS_MODIFIED;
	}
	tgid = event->actor.tgid;
	process = bpf_map_lookup_elem(&processes, &tgid);
	if (!process || process->start_time != event->actor.start_time)
		return;
	event->parent_tgid = process->parent_tgid;
	event->parent_path_id = process->parent_path_id;
	__builtin_memcpy(event->comm, process->comm, sizeof(event->comm));
}

static __always_inline void describe_dns(struct event *event, struct scratch *s)
{
	struct name_scratch *name = get_name_scratch();
	struct dns_message *m = get_dns_message();

	event->dns_type = 0;
	event->dns_rcode = 0;
	event->dns_response = 0;
	event->dns_name_length = 0;
	event->dns_fault = DNS_FAULT_NONE;
	event->dns_offset = 0;
	event->dns_opcode = 0;
	if (!name || !m)
		return;
	if (event->reason == REASON_DNS_MALFORMED) {
		event->dns_fault = m->fault;
		event->dns_offset = m->fault_offset;
		event->dns_opcode = DNS_OPCODE(m->flags);
	}
	if (!s->dns_reported)
		return;
	event->dns_opcode = DNS_OPCODE(m->flags);
	event->dns_type = m->type;
	event->dns_rcode = m->flags & DNS_RCODE;
	event->dns_response = !!(m->flags & DNS_FLAG_RESPONSE);
	event->dns_name_length = name->name_length;
	copy_text(event->dns_name, question_text(name));
}

/* Tells user space of the packet in the scratch, unless its like was reported just now. Global: see classifier.bpf.c. */
__noinline int send_event(struct __sk_buff *skb, __u32 type, __u32 reason, __u32 verdict)
{
	struct scratch *s = get_scratch();
	struct event *event;
	__u64 count;

	if (!s)
		return 0;
	/* trace-dns asks for every exchange. */
	count = type == EVENT_DNS ? 1 : within_limit(s, reason, verdict);
	if (!count || !may_have_event(s->workload.id))
		return 0;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		count_error(ERROR_EVENTS_LOST);
		return 0;
	}
	event->time = bpf_ktime_get_ns();
	event->type = type;
	event->verdict = verdict;
	event->reason = reason;
	event->direction = s->direction;
	event->count = count;
	event->mask = s->mask;
	event->name_hash = s->flow.name_hash;
	event->workload_id = s->workload.id;
	event->table_id = s->workload.table_id;
	event->binary_id = s->flow.subjects[0].binary_id;
	event->container_id = s->flow.subjects[0].container_id;
	event->length = skb->len;
	event->ethertype = s->packet.ethertype;
	event->protocol = s->packet.protocol;
	event->application = s->flow.application;
	event->local_port = s->key.local_port;
	event->remote_port = s->key.remote_port;
	event->padding = 0;
	__builtin_memcpy(event->local, s->key.local, ADDRESS_LENGTH);
	__builtin_memcpy(event->remote, s->key.remote, ADDRESS_LENGTH);
	describe_process(event, s);
	describe_dns(event, s);
	/* User space looks every few milliseconds: waking it would cost more than all of the above. */
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}

/* Every DNS message is reported under trace-dns, whatever its verdict. */
static __always_inline void trace_dns(struct __sk_buff *skb, struct scratch *s, __u32 reason)
{
	if (!s->dns_reported || !(s->workload.mode & MODE_TRACE_DNS))
		return;
	if (!is_judged(s))
		reason = REASON_ALLOWED;
	send_event(skb, EVENT_DNS, reason, verdict_of(s, reason));
}

#endif
