/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Listening is judged when it starts: nothing is dropped, but a process whose ingress allows no such port is reported.
 */
#ifndef PORTCULLIS_LISTEN_H
#define PORTCULLIS_LISTEN_H

#include <bpf/bpf_endian.h>

#include "memory/namespace.h"
#include "memory/share.h"
#include "process/identity.h"

#define LISTEN_PORT_PREFIX 64 /* of a port_key with every bit counting */

/* What a process listens on. */
struct listening {
	__u8 local[ADDRESS_LENGTH];
	__u16 ethertype; /* host order */
	__u16 port;      /* network order */
	__u8 protocol;
};

/* Nothing is judged before the profile is known, without one, and while learning. */
static __always_inline int is_judged(const struct workload *workload)
{
	if (!workload->id || (workload->flags & (WORKLOAD_PENDING | WORKLOAD_UNRESTRICTED)))
		return 0;
	return !(workload->mode & MODE_LEARN) || (workload->mode & (MODE_ALERT | MODE_ENFORCE));
}

static __always_inline __u64 blocks_that_allow(const struct subject *subject, const struct listening *listening)
{
	struct port_key key = {
		.prefixlen = LISTEN_PORT_PREFIX,
		.ruleset = subject->ruleset,
		.protocol = listening->protocol,
		.port = listening->port,
	};
	__u64 *mask = bpf_map_lookup_elem(&ports, &key);

	return mask ? *mask & subject->mask : 0;
}

static __always_inline void count_listening(const struct workload *workload, __u32 path_id, __u8 verdict)
{
	struct counter_key key = {
		.workload_id = workload->id,
		.path_id = path_id,
		.direction = DIRECTION_INGRESS,
		.reason = REASON_LISTEN,
		.verdict = verdict,
	};
	struct counter first = { .packets = 1 };
	struct counter *counter = bpf_map_lookup_elem(&counters, &key);

	if (counter) {
		counter->packets++;
		return;
	}
	if (may_have_counter(workload->id, path_id)) {
		if (!bpf_map_update_elem(&counters, &key, &first, BPF_NOEXIST))
			return;
		count_error(ERROR_COUNTERS_FULL);
	}
	key.path_id = 0;
	if (!bpf_map_update_elem(&counters, &key, &first, BPF_NOEXIST))
		return;
	counter = bpf_map_lookup_elem(&counters, &key);
	if (counter)
		counter->packets++;
}

/* One record per port and interval. Returns how many attempts it stands for, 0 if it is too early for one. */
static __always_inline __u64 take_record_turn(const struct workload *workload, __u32 path_id,
					     const struct listening *listening)
{
	struct limit_key key = {
		.workload_id = workload->id,
		.path_id = path_id,
		.port = listening->port,
		.protocol = listening->protocol,
		.direction = DIRECTION_INGRESS,
		.reason = REASON_LISTEN,
		.verdict = VERDICT_ALERTED,
	};
	struct limit fresh = { .last = bpf_ktime_get_ns() };
	struct limit *limit = bpf_map_lookup_elem(&limits, &key);
	__u32 index = 0;
	struct settings *setting = bpf_map_lookup_elem(&settings, &index);
	__u64 count;

	if (!limit) {
		if (put_limit(&key, &fresh))
			count_error(ERROR_LIMITS_FULL);
		return 1;
	}
	if (setting && fresh.last - limit->last < setting->event_interval) {
		__sync_fetch_and_add(&limit->suppressed, 1);
		return 0;
	}
	count = limit->suppressed + 1;
	limit->suppressed = 0;
	limit->last = fresh.last;
	return count;
}

static __always_inline void report_listening(const struct workload *workload, const struct actor *actor,
					     const struct subject *subject, const struct listening *listening)
{
	__u64 count = take_record_turn(workload, subject->path_id, listening);
	struct verdict_record *record;
	struct process *process;
	__u32 tgid = actor->tgid;

	if (!count || !may_have_record(workload->id, RECORD_KIND_VIOLATION))
		return;
	record = bpf_ringbuf_reserve(&violation_records, sizeof(*record), 0);
	if (!record) {
		count_error(ERROR_VIOLATION_RECORDS_LOST);
		return;
	}
	__builtin_memset(record, 0, sizeof(*record));
	record->header.time = bpf_ktime_get_ns();
	record->header.count = count;
	record->header.workload_id = workload->id;
	record->header.table_id = workload->table_id;
	record->header.type = RECORD_LISTEN;
	record->process.actor = *actor;
	if (subject->path_id & PATH_ID_MODIFIED)
		record->process.actor.flags |= PROCESS_MODIFIED;
	record->process.binary_id = subject->binary_id;
	record->process.container_id = subject->container_id;
	process = bpf_map_lookup_elem(&processes, &tgid);
	if (process && process->start_time == actor->start_time) {
		record->process.parent_tgid = process->parent_tgid;
		record->process.parent_path_id = process->parent_path_id;
		__builtin_memcpy(record->process.comm, process->comm, sizeof(record->process.comm));
	}
	record->packet.verdict = VERDICT_ALERTED;
	record->packet.reason = REASON_LISTEN;
	record->packet.direction = DIRECTION_INGRESS;
	record->packet.application = APPLICATION_NONE;
	record->packet.ethertype = listening->ethertype;
	record->packet.protocol = listening->protocol;
	record->packet.local_port = listening->port;
	__builtin_memcpy(record->packet.local, listening->local, ADDRESS_LENGTH);
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

static __always_inline void remember_listener(const struct workload *workload, const struct actor *actor,
					      const struct listening *listening)
{
	struct last_listener_key key = {
		.workload_id = workload->id,
		.port = listening->port,
		.protocol = listening->protocol,
	};

	if (put_last_listener(&key, actor))
		count_error(ERROR_LISTENERS_FULL);
}

/* `actor` has started to listen in this network namespace. */
static __noinline int judge_listening(const struct actor *actor, __u32 netns_inum, const struct listening *listening)
{
	struct workload *workload = workload_of_netns(netns_inum);
	struct subject subject;
	int alerts;

	if (!workload || !is_judged(workload))
		return 0;
	subject_of(actor, workload, DIRECTION_INGRESS, &subject);
	if (blocks_that_allow(&subject, listening)) {
		remember_listener(workload, actor, listening);
		return 0;
	}
	alerts = workload->mode & MODE_ALERT;
	count_listening(workload, subject.path_id, alerts ? VERDICT_ALERTED : VERDICT_COUNTED);
	if (alerts)
		report_listening(workload, actor, &subject, listening);
	return 0;
}

#endif
