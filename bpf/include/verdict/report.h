/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What user space gets to know: counters of every packet, and records of some. */
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
 * How many packets a record may stand for now: 0 if its like was reported within the interval. Without the memory
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

static __always_inline void describe_process(struct record_process *to, struct scratch *s)
{
	struct process *process;
	__u32 tgid;

	__builtin_memset(to, 0, sizeof(*to));
	to->binary_id = s->flow.subjects[0].binary_id;
	to->container_id = s->flow.subjects[0].container_id;
	if (!s->actor_count) {
		/* A reply, or a packet of a flow whose socket was not looked at again. */
		to->actor.tgid = s->flow.tgid;
		to->actor.start_time = s->flow.start_time;
		to->actor.path_id = s->flow.subjects[0].path_id & ~PATH_ID_MODIFIED;
		to->actor.flags = s->flow.subjects[0].path_id & PATH_ID_MODIFIED ? PROCESS_MODIFIED : 0;
		to->actor.ancestry = s->flow.subjects[0].ancestry;
		to->actor.uid = s->flow.subjects[0].uid;
	} else {
		to->actor = s->actors[0];
		if (s->flow.subjects[0].path_id & PATH_ID_MODIFIED)
			to->actor.flags |= PROCESS_MODIFIED;
	}
	tgid = to->actor.tgid;
	process = bpf_map_lookup_elem(&processes, &tgid);
	if (!process || process->start_time != to->actor.start_time)
		return;
	/* The flow knows its user's binary; which script that runs, only the process knows, as long as it has executed nothing else. */
	if (!s->actor_count && process->path_id == to->actor.path_id)
		to->actor.script_id = process->script_id;
	to->parent_tgid = process->parent_tgid;
	to->parent_path_id = process->parent_path_id;
	__builtin_memcpy(to->comm, process->comm, sizeof(to->comm));
}

static __always_inline void describe_packet(struct record_packet *to, struct scratch *s, __u32 length, __u32 reason,
					    __u32 verdict)
{
	to->name_hash = s->flow.name_hash;
	to->mask = s->mask;
	to->length = length;
	to->ethertype = s->packet.ethertype;
	to->local_port = s->key.local_port;
	to->remote_port = s->key.remote_port;
	to->verdict = verdict;
	to->reason = reason;
	to->direction = s->direction;
	to->protocol = s->packet.protocol;
	to->application = s->flow.application;
	to->padding = 0;
	__builtin_memcpy(to->local, s->key.local, ADDRESS_LENGTH);
	__builtin_memcpy(to->remote, s->key.remote, ADDRESS_LENGTH);
}

static __always_inline void describe_message(struct record_message *to, struct scratch *s, __u32 reason)
{
	struct name_scratch *name = get_name_scratch();
	struct dns_message *m = get_dns_message();

	/* Its name is written below, or of length 0. */
	__builtin_memset(to, 0, offsetof(struct record_message, name));
	to->padding = 0;
	if (!name || !m)
		return;
	to->opcode = DNS_OPCODE(m->flags);
	if (reason == REASON_DNS_MALFORMED) {
		to->fault = m->fault;
		to->offset = m->fault_offset;
	}
	if (!s->dns_reported)
		return;
	to->type = m->type;
	to->rcode = m->flags & DNS_RCODE;
	to->is_response = !!(m->flags & DNS_FLAG_RESPONSE);
	to->name_length = name->name_length;
	copy_text(to->name, question_text(name));
}

/* Room for a record of its kind. Null, counted, if nobody has read what was reported before. */
static __always_inline void *reserve_record(__u32 kind, __u64 size)
{
	void *record;

	if (kind == RECORD_KIND_DNS) {
		record = bpf_ringbuf_reserve(&dns_records, size, 0);
		if (!record)
			count_error(ERROR_DNS_RECORDS_LOST);
	} else if (kind == RECORD_KIND_ALLOWED) {
		record = bpf_ringbuf_reserve(&allowed_records, size, 0);
		if (!record)
			count_error(ERROR_ALLOWED_RECORDS_LOST);
	} else {
		record = bpf_ringbuf_reserve(&violation_records, size, 0);
		if (!record)
			count_error(ERROR_VIOLATION_RECORDS_LOST);
	}
	return record;
}

static __always_inline void describe_verdict(struct verdict_record *to, struct scratch *s, __u32 length, __u32 type,
					     __u32 reason, __u32 verdict, __u64 count)
{
	to->header = (struct record_header){
		.time = bpf_ktime_get_ns(),
		.count = count,
		.workload_id = s->workload.id,
		.table_id = s->workload.table_id,
		.type = type,
	};
	describe_process(&to->process, s);
	describe_packet(&to->packet, s, length, reason, verdict);
}

/* Reports the packet in the scratch, unless its like was reported just now. Global: see classifier.bpf.c. */
__noinline int send_record(struct __sk_buff *skb, __u32 type, __u32 reason, __u32 verdict)
{
	struct scratch *s = get_scratch();
	struct verdict_record *record;
	struct message_record *message;
	__u32 kind = reason ? RECORD_KIND_VIOLATION : RECORD_KIND_ALLOWED;
	__u64 count;

	if (!s)
		return 0;
	if (type == RECORD_DNS)
		kind = RECORD_KIND_DNS;
	/* trace-dns asks for every exchange. */
	count = type == RECORD_DNS ? 1 : within_limit(s, reason, verdict);
	if (!count || !may_have_record(s->workload.id, kind))
		return 0;
	/* User space looks every few milliseconds: waking it would cost more than all of this. */
	if (!s->dns_reported && reason != REASON_DNS_MALFORMED) {
		record = reserve_record(kind, sizeof(*record));
		if (!record)
			return 0;
		describe_verdict(record, s, skb->len, type, reason, verdict, count);
		bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
		return 0;
	}
	if (type == RECORD_VERDICT)
		type = RECORD_MESSAGE_VERDICT;
	message = reserve_record(kind, sizeof(*message));
	if (!message)
		return 0;
	describe_verdict(&message->verdict, s, skb->len, type, reason, verdict, count);
	describe_message(&message->message, s, reason);
	bpf_ringbuf_submit(message, BPF_RB_NO_WAKEUP);
	return 0;
}

/* Every DNS message is reported under trace-dns, whatever its verdict. */
static __always_inline void trace_dns(struct __sk_buff *skb, struct scratch *s, __u32 reason)
{
	if (!s->dns_reported || !(s->workload.mode & MODE_TRACE_DNS))
		return;
	if (!is_judged(s))
		reason = REASON_ALLOWED;
	send_record(skb, RECORD_DNS, reason, verdict_of(s, reason));
}

#endif
