// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The gate on the root of the pods' cgroup. Between the birth of a network namespace and the moment its veth has
 * classifiers, nothing else looks at its packets; so what it sends or receives is dropped here until it is in care,
 * which is when `namespaces` knows it. The agent may be away: after a time the configured policy holds.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "maps.h"

#define PASS 1
#define DROP 0

/* Counts the packet of a namespace that nobody cares for yet. Whether it passes is a matter of time, and of policy. */
static __always_inline int judge_stranger(const struct gate *settings, __u32 netns)
{
	struct gated *stranger = bpf_map_lookup_elem(&gated, &netns), fresh = {};
	__u64 now = bpf_ktime_get_ns();

	if (!stranger) {
		fresh.first_seen = now;
		fresh.dropped = 1;
		if (bpf_map_update_elem(&gated, &netns, &fresh, BPF_NOEXIST) < 0)
			count_error(ERROR_GATE_FULL);
		return DROP;
	}
	if ((settings->flags & GATE_OPENS_AFTER_TIMEOUT) && now - stranger->first_seen > settings->timeout) {
		__sync_fetch_and_add(&stranger->passed, 1);
		return PASS;
	}
	__sync_fetch_and_add(&stranger->dropped, 1);
	return DROP;
}

static __always_inline int judge(struct __sk_buff *skb)
{
	struct socket_owner *owner = NULL;
	struct gate *settings;
	struct bpf_sock *sk = skb->sk;
	__u32 zero = 0, netns;

	settings = bpf_map_lookup_elem(&gate, &zero);
	if (!settings || !(settings->flags & GATE_CLOSED))
		return PASS;
	if (sk)
		sk = bpf_sk_fullsock(sk);
	/* The kernel's half-open and dying sockets follow a full one, which has been judged. */
	if (!sk)
		return PASS;
	owner = bpf_sk_storage_get(&socket_owners, sk, NULL, 0);
	if (!owner) {
		count_error(ERROR_SOCKET_WITHOUT_OWNER);
		return DROP;
	}
	netns = owner->netns_inum;
	if (netns == settings->host_netns || bpf_map_lookup_elem(&namespaces, &netns))
		return PASS;
	return judge_stranger(settings, netns);
}

SEC("cgroup_skb/egress")
int gate_sends(struct __sk_buff *skb)
{
	return judge(skb);
}

SEC("cgroup_skb/ingress")
int gate_receives(struct __sk_buff *skb)
{
	return judge(skb);
}

char LICENSE[] SEC("license") = "GPL";
