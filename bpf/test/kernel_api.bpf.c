// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* What the tests of src/node-agent/kernel load: one map and one program of each kind that the agent handles. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

const volatile __u64 wide = 1;
const volatile __u32 verdict = 0;
const volatile __u8 narrow = 3;

struct small_key {
	__u32 a;
	__u32 b;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct small_key);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} test_hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct small_key);
	__type(value, __u32);
} test_trie SEC(".maps");

/* What happened, by enum counted. */
enum counted { COUNTED_PACKET, COUNTED_EXEC, COUNTED_EXIT, COUNTED_SOCKET, COUNTED_TASK, COUNTED_MAX };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTED_MAX);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} test_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} test_ring SEC(".maps");

static __always_inline void count(__u32 what)
{
	__u64 *value = bpf_map_lookup_elem(&test_counts, &what);

	if (value)
		*value += 1;
}

/* Returns `verdict`; leaves `narrow` and `wide` where a test run sees them. */
SEC("tc")
int from_workload(struct __sk_buff *skb)
{
	count(COUNTED_PACKET);
	skb->mark = skb->mark + narrow;
	skb->cb[0] = wide;
	skb->cb[1] = skb->ifindex;
	return verdict;
}

SEC("tc")
int to_workload(struct __sk_buff *skb)
{
	return -1;
}

/* One record of 12 bytes: mark, a sequence, the clock's low half. Every third one is thrown away. */
SEC("tc")
int emit(struct __sk_buff *skb)
{
	__u32 *record;

	record = bpf_ringbuf_reserve(&test_ring, 12, 0);
	if (!record)
		return 1;
	record[0] = skb->mark;
	record[1] = skb->cb[0];
	record[2] = bpf_ktime_get_ns();
	if (skb->cb[0] % 3 == 2)
		bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
	else
		bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	skb->cb[0] += 1;
	return 0;
}

/* The whole clock, for the test of clock.ts. */
SEC("tc")
int clock(struct __sk_buff *skb)
{
	__u64 now = bpf_ktime_get_ns();

	skb->cb[0] = now;
	skb->cb[1] = now >> 32;
	return 0;
}

SEC("raw_tp/sched_process_exec")
int count_exec(void *ctx)
{
	count(COUNTED_EXEC);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(count_exit, struct task_struct *task)
{
	count(COUNTED_EXIT);
	return 0;
}

SEC("cgroup/sock_create")
int count_socket(struct bpf_sock *sk)
{
	count(COUNTED_SOCKET);
	return 1;
}

SEC("iter/task")
int count_tasks(struct bpf_iter__task *ctx)
{
	static const char text[] = "task %d\n";
	struct task_struct *task = ctx->task;
	__u64 pid;

	if (!task)
		return 0;
	pid = task->pid;
	count(COUNTED_TASK);
	bpf_seq_printf(ctx->meta->seq, text, sizeof(text), &pid, sizeof(pid));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
