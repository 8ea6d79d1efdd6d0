// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The second source of who owns a socket: `registrations`, by the addresses that the network stack shows when it looks
 * for a route (UDP, ICMP, raw), connects (TCP) and binds. And, where LSM programs or fentry are allowed, the real sender
 * of every datagram and of every byte of a stream, before it is sent.
 *
 * Like in devices.bpf.c there are two sets of programs for the first part, of which one is loaded.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "memory/claim.h"
#include "memory/errors.h"
#include "packet/packet.h"
#include "socket/ends.h"
#include "socket/registration.h"
#include "socket/user.h"

#define TYPE_STREAM 1 /* SOCK_STREAM */
#define TYPE_RAW 3    /* SOCK_RAW */

/* A bind(2) that the security modules allow, by task: whether it succeeds is seen later. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u64);
} bindings SEC(".maps");

/*
 * Where a raw socket's datagram goes. Kernels up to 5.10 give a struct flowi, later ones the flowi_common at its
 * beginning: the same address. An IPv6 raw socket sends no IPv4, so the socket's family is the flow's.
 */
static __always_inline void destination_of(const void *flow, __u16 family, __u8 address[ADDRESS_LENGTH])
{
	const struct flowi6 *flow6 = flow;
	const struct flowi4 *flow4 = flow;

	if (family == FAMILY_IPV6)
		bpf_core_read(address, ADDRESS_LENGTH, &flow6->daddr);
	else
		map_ipv4(address, BPF_CORE_READ(flow4, daddr));
}

static __always_inline int is_same_rights(const struct actor *one, const struct actor *other)
{
	return is_same_process(one, other) || is_same_identity(one, other);
}

/* Takes away what is registered under a socket's key, if nobody else's has taken its place. */
static __always_inline void remove_registration(__u64 socket, const struct registration_key *key)
{
	struct registration *registration = bpf_map_lookup_elem(&registrations, key);

	if (registration && registration->socket == socket)
		bpf_map_delete_elem(&registrations, key);
}

static __always_inline void forget(__u64 socket)
{
	struct registered_socket *known = bpf_map_lookup_elem(&registered, &socket);
	struct registered_socket before;

	if (!known)
		return;
	before = *known;
	remove_registration(socket, &before.key);
	if (!bpf_map_delete_elem(&registered, &socket))
		give_claim_back(before.owner, CLAIM_REGISTRATIONS);
}

/*
 * Counts a socket's registration for its owner, as far as the owner has room for more. Its further sockets are known by their storage
 * alone.
 */
static __always_inline int claim_registration(const struct registered_socket *before, __u64 cgroup_id, __u64 *owner)
{
	if (before) {
		*owner = before->owner;
		return 1;
	}
	*owner = memory_owner_of(current_task(), cgroup_id);
	return take_claim(*owner, CLAIM_REGISTRATIONS, REGISTRATIONS_CLAIM);
}

/* The current process uses the socket under this key. */
static __noinline int register_socket(__u64 socket, const struct registration_key *key)
{
	struct registered_socket *before = bpf_map_lookup_elem(&registered, &socket);
	struct registration fresh = { .socket = socket, .time = bpf_ktime_get_ns() };
	struct registered_socket entry = { .key = *key };
	struct registration *known;

	actor_of(current_task(), (void *)socket, &fresh.actor);
	known = find_registration(key);
	if (known && known->socket == socket && is_same_process(&known->actor, &fresh.actor) &&
	    is_same_identity(&known->actor, &fresh.actor))
		return 0;
	/* SO_REUSEPORT, and raw sockets: if those who share it differ in rights, the address tells nothing. */
	if (known && known->socket != socket &&
	    ((known->flags & REGISTRATION_SHARED) || !is_same_rights(&known->actor, &fresh.actor)))
		fresh.flags = REGISTRATION_SHARED;
	if (!claim_registration(before, fresh.actor.cgroup_id, &entry.owner)) {
		if (known)
			known->flags |= fresh.flags;
		return 0;
	}
	if (before && !is_same_key(&before->key, key))
		remove_registration(socket, &before->key);
	if (bpf_map_update_elem(&registrations, key, &fresh, BPF_ANY) ||
	    bpf_map_update_elem(&registered, &socket, &entry, BPF_ANY))
		count_error(ERROR_REGISTRATIONS_FULL);
	return 0;
}

/* What all keys of a socket have in common. Returns its family, 0 if it is not of the internet, or nobody uses it. */
static __always_inline __u16 begin_key(struct sock *socket, struct registration_key *key)
{
	__u16 family = BPF_CORE_READ(socket, __sk_common.skc_family);

	if ((family != FAMILY_IPV4 && family != FAMILY_IPV6) || is_kernel_thread(current_task()))
		return 0;
	key->netns_inum = BPF_CORE_READ(socket, __sk_common.skc_net.net, ns.inum);
	key->protocol = BPF_CORE_READ(socket, sk_protocol);
	return family;
}

/* By the port that the socket has, whoever it talks to. */
static __always_inline void register_local(struct sock *socket)
{
	struct registration_key key = {};
	__u16 family = begin_key(socket, &key);

	if (!family || BPF_CORE_READ(socket, sk_type) == TYPE_RAW)
		return;
	key.local_port = BPF_CORE_READ((struct inet_sock *)socket, inet_sport);
	if (!key.local_port)
		return;
	local_of(socket, family, key.local);
	register_socket((__u64)socket, &key);
}

/*
 * A route is looked for. Streams are left out: theirs is looked for before they have a port (IPv6), and also by timers,
 * where the current process is anybody.
 */
static __always_inline void classify(struct sock *socket, const void *flow)
{
	__u16 type = BPF_CORE_READ(socket, sk_type);
	struct registration_key key = { .raw = 1 };
	__u16 family;

	if (type == TYPE_STREAM)
		return;
	if (type != TYPE_RAW) {
		register_local(socket);
		return;
	}
	family = begin_key(socket, &key);
	if (!family)
		return;
	destination_of(flow, family, key.remote);
	register_socket((__u64)socket, &key);
}

/* A connection is about to begin: both sides are known. */
static __always_inline void connect_stream(struct sock *socket)
{
	struct registration_key key = {};
	__u16 family = begin_key(socket, &key);

	if (!family)
		return;
	key.local_port = BPF_CORE_READ((struct inet_sock *)socket, inet_sport);
	key.remote_port = BPF_CORE_READ(socket, __sk_common.skc_dport);
	local_of(socket, family, key.local);
	remote_of(socket, family, key.remote);
	register_socket((__u64)socket, &key);
}

/* Netlink and other families come by here as well. */
static __always_inline void begin_binding(struct socket *socket)
{
	__u16 family = BPF_CORE_READ(socket, sk, __sk_common.skc_family);
	__u64 address = (__u64)BPF_CORE_READ(socket, sk);
	__u64 task = bpf_get_current_pid_tgid();

	if (family != FAMILY_IPV4 && family != FAMILY_IPV6)
		return;
	if (bpf_map_update_elem(&bindings, &task, &address, BPF_ANY))
		count_error(ERROR_REGISTRATIONS_FULL);
}

static __always_inline void drop_binding(void)
{
	__u64 task = bpf_get_current_pid_tgid();

	bpf_map_delete_elem(&bindings, &task);
}

static __always_inline void end_binding(int result)
{
	__u64 task = bpf_get_current_pid_tgid();
	__u64 *address = bpf_map_lookup_elem(&bindings, &task);
	struct sock *socket;

	if (!address)
		return;
	socket = (struct sock *)*address;
	bpf_map_delete_elem(&bindings, &task);
	if (!result && socket)
		register_local(socket);
}

/* ------------------------------------------------------------------------------------------- kprobes */

SEC("kprobe/security_sk_classify_flow")
int BPF_KPROBE(kprobe_classify, struct sock *socket, void *flow)
{
	classify(socket, flow);
	return 0;
}

SEC("kprobe/tcp_connect")
int BPF_KPROBE(kprobe_connect, struct sock *socket)
{
	connect_stream(socket);
	return 0;
}

SEC("kprobe/security_socket_bind")
int BPF_KPROBE(kprobe_bind, struct socket *socket)
{
	begin_binding(socket);
	return 0;
}

SEC("kretprobe/security_socket_bind")
int BPF_KRETPROBE(kretprobe_bind, int result)
{
	if (result)
		drop_binding();
	return 0;
}

SEC("kretprobe/inet_bind")
int BPF_KRETPROBE(kretprobe_bound4, int result)
{
	end_binding(result);
	return 0;
}

SEC("kretprobe/inet6_bind")
int BPF_KRETPROBE(kretprobe_bound6, int result)
{
	end_binding(result);
	return 0;
}

SEC("kprobe/inet_release")
int BPF_KPROBE(kprobe_release, struct socket *socket)
{
	forget((__u64)BPF_CORE_READ(socket, sk));
	return 0;
}

/* ----------------------------------------------------------------------------------- fentry and fexit */

SEC("fentry/security_sk_classify_flow")
int BPF_PROG(fentry_classify, struct sock *socket, void *flow)
{
	classify(socket, flow);
	return 0;
}

SEC("fentry/tcp_connect")
int BPF_PROG(fentry_connect, struct sock *socket)
{
	connect_stream(socket);
	return 0;
}

/* Refused by a security module or not, these say how it came out. */
SEC("fexit/inet_bind")
int BPF_PROG(fexit_bound4, struct socket *socket, void *address, int length, int result)
{
	if (!result)
		register_local(BPF_CORE_READ(socket, sk));
	return 0;
}

SEC("fexit/inet6_bind")
int BPF_PROG(fexit_bound6, struct socket *socket, void *address, int length, int result)
{
	if (!result)
		register_local(BPF_CORE_READ(socket, sk));
	return 0;
}

SEC("fentry/inet_release")
int BPF_PROG(fentry_release, struct socket *socket)
{
	forget((__u64)BPF_CORE_READ(socket, sk));
	return 0;
}

/* ------------------------------------------------------------------------------------------- senders */

static __always_inline int look_at_user(struct socket *socket)
{
	struct sock *sk = socket->sk;

	if (sk && is_internet(sk) && !is_user_known(sk))
		use_socket(sk);
	return 0;
}

SEC("lsm/socket_sendmsg")
int BPF_PROG(lsm_sends, struct socket *socket)
{
	return look_at_user(socket);
}

SEC("lsm/socket_recvmsg")
int BPF_PROG(lsm_receives, struct socket *socket)
{
	return look_at_user(socket);
}

SEC("fentry/security_socket_sendmsg")
int BPF_PROG(sender_sends, struct socket *socket)
{
	return look_at_user(socket);
}

SEC("fentry/security_socket_recvmsg")
int BPF_PROG(sender_receives, struct socket *socket)
{
	return look_at_user(socket);
}

char LICENSE[] SEC("license") = "GPL";
