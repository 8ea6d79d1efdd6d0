// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The gate on the root of the pods' cgroup. Between the birth of a network namespace and the moment its veth has
 * classifiers, nothing else looks at its packets; so what it sends or receives is dropped here until it is admitted,
 * which is when `admitted` has it. The agent may be away: after a time the configured policy holds.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "memory/claim.h"
#include "memory/errors.h"

#define PASS 1
#define DROP 0

/* Whether two cookies may be those of one namespace. */
static __always_inline int may_be_same(__u64 one, __u64 other)
{
	return !one || !other || one == other;
}

static __always_inline int is_admitted(const struct socket_owner *owner)
{
	__u32 netns = owner->netns_inum;
	__u64 *cookie = bpf_map_lookup_elem(&admitted, &netns);

	return cookie && may_be_same(*cookie, owner->netns_cookie);
}

/*
 * A namespace that is seen for the first time, or under the number of one that is gone (`before`). One that is more than its
 * owner may have here is not remembered: it stays shut, and pushes out nobody who waits.
 */
static __always_inline int hold_namespace(const struct socket_owner *owner, const struct gated *before)
{
	struct gated fresh = {
		.owner = before ? before->owner : owner_of_cgroup(owner->creator.cgroup_id),
		.netns_cookie = owner->netns_cookie,
		.first_seen = bpf_ktime_get_ns(),
		.dropped = 1,
	};
	__u32 netns = owner->netns_inum;

	if (!before && !take_claim(fresh.owner, CLAIM_GATED, GATED_CLAIM))
		return DROP;
	if (bpf_map_update_elem(&gated, &netns, &fresh, BPF_ANY) < 0)
		count_error(ERROR_GATE_FULL);
	return DROP;
}

/* Counts the packet of a namespace that is not admitted yet. Whether it passes is a matter of time, and of policy. */
static __always_inline int judge_waiting(const struct gate *settings, const struct socket_owner *owner)
{
	__u32 netns = owner->netns_inum;
	struct gated *waiting = bpf_map_lookup_elem(&gated, &netns);

	if (!waiting || !may_be_same(waiting->netns_cookie, owner->netns_cookie))
		return hold_namespace(owner, waiting);
	if ((settings->flags & GATE_OPENS_AFTER_TIMEOUT) &&
	    bpf_ktime_get_ns() - waiting->first_seen > settings->timeout) {
		__sync_fetch_and_add(&waiting->passed, 1);
		return PASS;
	}
	__sync_fetch_and_add(&waiting->dropped, 1);
	return DROP;
}

static __always_inline int judge(struct __sk_buff *skb)
{
	struct socket_owner *owner = NULL;
	struct gate *settings;
	struct bpf_sock *sk = skb->sk;
	__u32 zero = 0;

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
	if (owner->netns_inum == settings->host_netns || is_admitted(owner))
		return PASS;
	return judge_waiting(settings, owner);
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
