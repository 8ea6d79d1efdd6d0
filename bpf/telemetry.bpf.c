// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * What TCP knows of workloads' connections: how long the handshake took, round trips, losses, how it ended, and connects that failed.
 * It is written into the flow's entry, beside its counts, where no judgement reads it; without this program everything else
 * works as it does with it.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "memory/claim.h"
#include "memory/flow_record.h"
#include "memory/namespace.h"
#include "packet/packet.h"
#include "socket/user.h"

#define RTT_NONE (~0U)     /* tcp_min_rtt of include/net/tcp.h */
#define SRTT_FRACTION 3    /* bits behind the point of srtt_us: include/linux/tcp.h */
#define NS_PER_US 1000

/* How many connects of a workload were reported in the second that goes on. */
struct window {
	__u64 since;
	__u64 used;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct window);
} windows SEC(".maps");

/* The key that the packets of a connected socket have at the workload's interface. */
static __always_inline void flow_key_of(const struct sock *sk, const struct workload *workload, struct flow_key *key)
{
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	key->workload_id = workload->id;
	key->protocol = PROTOCOL_TCP;
	/* skc_num is 0 by the time that a socket is closed. */
	key->local_port = BPF_CORE_READ((struct inet_sock *)sk, inet_sport);
	key->remote_port = BPF_CORE_READ(sk, __sk_common.skc_dport);
	local_of(sk, family, key->local);
	remote_of(sk, family, key->remote);
}

/* Called by the process that connects. */
static __always_inline int begin_connect(const struct sock *sk, __u32 netns_inum)
{
	struct connect connect = { .began = bpf_ktime_get_ns(), .owner = OWNER_NAMESPACE | netns_inum };
	struct task_struct *task = current_task();
	__u64 socket = (__u64)sk;

	if (is_kernel_thread(task) || !take_claim(connect.owner, CLAIM_CONNECTS, CONNECTS_CLAIM))
		return 0;
	actor_of(task, (void *)sk, &connect.actor);
	if (bpf_map_update_elem(&connects, &socket, &connect, BPF_ANY))
		count_error(ERROR_CONNECTS_FULL);
	return 0;
}

/* Takes away what was written down when the socket began to connect. Returns 0 if there was nothing. */
static __always_inline int end_connect(const struct sock *sk, struct connect *out)
{
	__u64 socket = (__u64)sk;
	struct connect *connect = bpf_map_lookup_elem(&connects, &socket);

	if (!connect)
		return 0;
	*out = *connect;
	if (!bpf_map_delete_elem(&connects, &socket))
		give_claim_back(out->owner, CLAIM_CONNECTS);
	return 1;
}

/* The flow that the connection is. One that began before the connect is an older one between the same ends. */
static __always_inline struct flow *flow_of(const struct flow_key *key, __u64 began)
{
	struct flow *flow = bpf_map_lookup_elem(&flows, key);

	return flow && flow->began >= began ? flow : NULL;
}

static __always_inline void read_figures(const struct sock *sk, int state, struct flow_tcp *tcp)
{
	const struct tcp_sock *figures = (void *)sk;
	__u32 least = BPF_CORE_READ(figures, rtt_min.s[0].v);
	int error = BPF_CORE_READ(sk, sk_err);

	tcp->rtt_least = least == RTT_NONE ? 0 : least;
	tcp->rtt_smoothed = BPF_CORE_READ(figures, srtt_us) >> SRTT_FRACTION;
	tcp->retransmits = BPF_CORE_READ(figures, total_retrans);
	tcp->lost = BPF_CORE_READ(figures, lost);
	tcp->out_of_order = BPF_CORE_READ(figures, rcv_ooopack);
	tcp->shutdown = BPF_CORE_READ_BITFIELD_PROBED(sk, sk_shutdown);
	tcp->error = error ? error : BPF_CORE_READ(sk, sk_err_soft);
	tcp->closed_from = state;
}

/*
 * May the workload have one more record in this second? The share of the classifier's records (memory/record_share.h) is
 * counted under a lock, which a tracepoint may not take.
 */
static __always_inline int may_report(__u32 workload_id)
{
	struct window *window = bpf_map_lookup_elem(&windows, &workload_id);
	struct window fresh = { .since = bpf_ktime_get_ns(), .used = 1 };

	if (!window) {
		bpf_map_update_elem(&windows, &workload_id, &fresh, BPF_ANY);
		return 1;
	}
	if (fresh.since - window->since >= RECORDS_WINDOW) {
		window->since = fresh.since;
		window->used = 0;
	}
	if (window->used >= RECORDS_SHARE)
		return 0;
	__sync_fetch_and_add(&window->used, 1);
	return 1;
}

/* A connect that failed, and no packet of which has passed. */
static __always_inline int report_connect(const struct sock *sk, const struct workload *workload, const struct flow_key *key,
					  const struct connect *connect)
{
	struct flow_record *record = NULL;
	struct container *container;
	__u64 cgroup_id = connect->actor.cgroup_id;

	if (may_report(workload->id))
		record = bpf_ringbuf_reserve(&flow_records, sizeof(*record), 0);
	if (!record) {
		count_error(ERROR_FLOW_RECORDS_LOST);
		return 0;
	}
	__builtin_memset(record, 0, sizeof(*record));
	record->header = (struct record_header){
		.time = bpf_ktime_get_ns(),
		.count = 1,
		.workload_id = workload->id,
		.table_id = workload->table_id,
		.type = RECORD_FLOW,
	};
	record->key = *key;
	record->flow.began = connect->began;
	record->flow.counted = record->header.time;
	record->flow.table_id = workload->table_id;
	record->flow.tgid = connect->actor.tgid;
	record->flow.start_time = connect->actor.start_time;
	record->flow.cgroup_id = cgroup_id;
	record->flow.direction = DIRECTION_EGRESS;
	record->flow.reason = connect->refused;
	record->flow.application = APPLICATION_NONE;
	record->flow.subjects[0].path_id = connect->actor.path_id;
	if (connect->actor.flags & PROCESS_MODIFIED)
		record->flow.subjects[0].path_id |= PATH_ID_MODIFIED;
	container = bpf_map_lookup_elem(&containers, &cgroup_id);
	if (container)
		record->flow.subjects[0].container_id = container->id;
	read_figures(sk, TCP_SYN_SENT, &record->flow.tcp);
	record->flow.tcp.refused = connect->refused;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

static __always_inline int note_handshake(const struct sock *sk, const struct workload *workload)
{
	struct connect connect = {};
	struct flow_key key = {};
	struct flow *flow;

	end_connect(sk, &connect);
	flow_key_of(sk, workload, &key);
	flow = flow_of(&key, connect.began);
	if (flow)
		flow->tcp.handshake = bpf_ktime_get_ns() - flow->began;
	return 0;
}

static __always_inline int note_close(const struct sock *sk, const struct workload *workload, int state)
{
	struct connect connect = {};
	struct flow_key key = {};
	struct flow *flow;
	int is_connect = state == TCP_SYN_SENT && end_connect(sk, &connect);

	if (state == TCP_SYN_SENT && !is_connect)
		return 0;
	flow_key_of(sk, workload, &key);
	flow = flow_of(&key, connect.began);
	if (!flow)
		return is_connect ? report_connect(sk, workload, &key, &connect) : 0;
	read_figures(sk, state, &flow->tcp);
	flow->tcp.refused = connect.refused;
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_changes, const struct sock *sk, int before, int after)
{
	struct workload *workload;
	__u32 netns_inum;

	if (BPF_CORE_READ(sk, sk_protocol) != PROTOCOL_TCP || before == TCP_LISTEN)
		return 0;
	if (after != TCP_SYN_SENT && after != TCP_ESTABLISHED && after != TCP_CLOSE)
		return 0;
	netns_inum = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	workload = workload_of_netns(netns_inum);
	if (!workload || !workload->id)
		return 0;
	if (after == TCP_SYN_SENT)
		return begin_connect(sk, netns_inum);
	return after == TCP_ESTABLISHED ? note_handshake(sk, workload) : note_close(sk, workload, before);
}

char LICENSE[] SEC("license") = "GPL";
