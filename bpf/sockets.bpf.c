// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Which process owns a socket: `socket_owners`. The creator is known before the socket's first packet; the user is
 * refreshed wherever the kernel shows who acts on it. Nothing is refused here: every program lets the call go on,
 * and a socket whose owner could not be stored is judged by `default`, counted.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "memory/errors.h"
#include "packet/packet.h"
#include "socket/listen.h"
#include "socket/user.h"

#define TYPE_DATAGRAM 2          /* SOCK_DGRAM */
#define GO_ON 1

/* Whoever writes into a stream is seen before it leaves (socket_writes), and need not be looked for again. */
const volatile __u8 writes_are_seen = 0;

/* Listeners that the first pass over the open files has found; the second one tells their children by it. */
struct listener_key {
	__u32 netns_inum;
	__u16 port; /* host order */
	__u16 padding;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct listener_key);
	__type(value, __u8);
} found_listeners SEC(".maps");

/* Runs for IPv4 and IPv6 sockets that user space makes, before they can send anything. */
SEC("cgroup/sock_create")
int socket_created(struct bpf_sock *ctx)
{
	struct socket_owner owner;

	own(current_task(), ctx, 0, &owner);
	/* Where the kernel keeps it elsewhere, namespaces have none until it is asked for. */
	if (!is_netns_cookie_readable())
		owner.netns_cookie = bpf_get_netns_cookie(ctx);
	if (!bpf_sk_storage_get(&socket_owners, ctx, &owner, BPF_SK_STORAGE_GET_F_CREATE))
		count_error(ERROR_SOCKET_STORAGE);
	return GO_ON;
}

/* Is it locked for a call of the process that runs? What comes in, is acknowledged or times out is at work in between, when it is not. */
static __always_inline int is_in_call(struct sock *socket)
{
	return BPF_CORE_READ(socket, sk_lock.owned) != 0;
}

/* Is the packet sent by the process that runs? What TCP and SCTP send is while the socket is locked for a call. Datagrams wait for nothing. */
static __always_inline int is_sent_by_caller(struct bpf_sock *pointer)
{
	struct sock *socket = address_of_socket(pointer);

	return (!is_stream(socket) && !is_sctp(socket)) || is_in_call(socket);
}

/* Not a path of Multipath TCP, whose bytes come from another socket. */
static __always_inline int is_plain_tcp(struct bpf_sock *socket)
{
	struct tcp_sock *stream;

	if (socket->type != STREAM_TYPE || socket->protocol != STREAM_PROTOCOL)
		return 0;
	stream = bpf_skc_to_tcp_sock(socket);
	if (!stream)
		return 0;
	return !bpf_core_field_exists(stream->is_mptcp) || !BPF_CORE_READ_BITFIELD(stream, is_mptcp);
}

/* Has whoever wrote what leaves been seen already? What a SYN carries (RFC 7413) is written where nothing shows it. */
static __always_inline int is_writer_seen(struct bpf_sock *socket)
{
	return writes_are_seen && socket->state != BPF_TCP_SYN_SENT && is_plain_tcp(socket);
}

/*
 * Where nothing shows who is about to write on a connected socket, the packet does: it leaves within the call. A listener's
 * answers do not, and sockets without storage are the kernel's.
 */
SEC("cgroup_skb/egress")
int socket_transmits(struct __sk_buff *skb)
{
	struct bpf_sock *socket = skb->sk;

	if (socket)
		socket = bpf_sk_fullsock(socket);
	if (!socket || is_writer_seen(socket))
		return GO_ON;
	if (socket->state == BPF_TCP_LISTEN || is_user_known(socket))
		return GO_ON;
	if (is_sent_by_caller(socket) && bpf_sk_storage_get(&socket_owners, socket, NULL, 0))
		use_socket(socket);
	return GO_ON;
}

/* Optional: kernels before 6.16 do not have it. Where there is a choice, whoever writes is to be known before it leaves. */
SEC("tp_btf/tcp_sendmsg_locked")
int BPF_PROG(socket_writes, struct sock *socket)
{
	if (!is_user_known(socket))
		use_socket(socket);
	return 0;
}

static __always_inline int use_address(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *socket = ctx->sk;

	if (socket && !is_user_known(socket))
		use_socket(socket);
	return GO_ON;
}

/*
 * A stream that is not connected yet has nothing in its queue; what is counted of it begins anew. A name that its peer's
 * address has when a datagram socket is connected is good for as long as it stays connected.
 */
static __always_inline int begin_connection(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *socket = ctx->sk;
	struct socket_owner *owner = socket ? use_socket(socket) : NULL;

	if (owner && socket->state == BPF_TCP_CLOSE && is_stream(address_of_socket(socket)))
		forget_former(owner);
	if (owner && socket->type == TYPE_DATAGRAM) {
		owner->connected = bpf_ktime_get_ns();
	}
	return GO_ON;
}

SEC("cgroup/connect4")
int socket_connects4(struct bpf_sock_addr *ctx)
{
	return begin_connection(ctx);
}

SEC("cgroup/connect6")
int socket_connects6(struct bpf_sock_addr *ctx)
{
	return begin_connection(ctx);
}

SEC("cgroup/sendmsg4")
int socket_sends4(struct bpf_sock_addr *ctx)
{
	return use_address(ctx);
}

SEC("cgroup/sendmsg6")
int socket_sends6(struct bpf_sock_addr *ctx)
{
	return use_address(ctx);
}

/* Only here is it known whether the port was asked for: later there is a port either way. */
static __always_inline int note_port(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *socket = ctx->sk;
	struct socket_owner *owner = socket ? use_socket(socket) : NULL;

	if (!owner)
		return GO_ON;
	if (ctx->user_port)
		owner->flags |= SOCKET_PORT_ASKED;
	else
		owner->flags &= ~SOCKET_PORT_ASKED;
	return GO_ON;
}

SEC("cgroup/bind4")
int socket_binds4(struct bpf_sock_addr *ctx)
{
	return note_port(ctx);
}

SEC("cgroup/bind6")
int socket_binds6(struct bpf_sock_addr *ctx)
{
	return note_port(ctx);
}

/* A UDP socket listens from when it is bound, if it asked for the port. */
static __always_inline int listens_by_bind(struct bpf_sock *ctx, const struct socket_owner *owner)
{
	return ctx->type == TYPE_DATAGRAM && ctx->protocol == PROTOCOL_UDP && (owner->flags & SOCKET_PORT_ASKED);
}

/*
 * Not by an initialiser: clang would keep its value as a constant without a name, for which it makes an empty section
 * of BTF, which kernels before 5.12 refuse.
 */
static __always_inline struct listening listening_of(__u8 protocol, __u16 ethertype)
{
	struct listening listening = {};

	listening.protocol = protocol;
	listening.ethertype = ethertype;
	return listening;
}

static __always_inline void set_local4(struct listening *listening, __u32 address)
{
	listening->ethertype = ETHERTYPE_VALUE_IPV4;
	listening->local[10] = 0xff;
	listening->local[11] = 0xff;
	__builtin_memcpy(&listening->local[12], &address, sizeof(address));
}

SEC("cgroup/post_bind4")
int socket_bound4(struct bpf_sock *ctx)
{
	struct listening listening = listening_of(PROTOCOL_UDP, ETHERTYPE_VALUE_IPV4);
	struct socket_owner *owner = use_socket(ctx);
	struct actor user;

	if (!owner || !listens_by_bind(ctx, owner))
		return GO_ON;
	user = owner->user;
	listening.port = bpf_htons(ctx->src_port);
	set_local4(&listening, ctx->src_ip4);
	judge_listening(&user, owner->netns_inum, &listening);
	return GO_ON;
}

SEC("cgroup/post_bind6")
int socket_bound6(struct bpf_sock *ctx)
{
	struct listening listening = listening_of(PROTOCOL_UDP, ETHERTYPE_VALUE_IPV6);
	struct socket_owner *owner = use_socket(ctx);
	__u32 *local = (__u32 *)listening.local;
	struct actor user;

	if (!owner || !listens_by_bind(ctx, owner))
		return GO_ON;
	user = owner->user;
	listening.port = bpf_htons(ctx->src_port);
	local[0] = ctx->src_ip6[0];
	local[1] = ctx->src_ip6[1];
	local[2] = ctx->src_ip6[2];
	local[3] = ctx->src_ip6[3];
	judge_listening(&user, owner->netns_inum, &listening);
	return GO_ON;
}

/* listen(2), in the process that calls it. */
static __always_inline void judge_listen_call(struct bpf_sock_ops *ctx, struct bpf_sock *socket)
{
	struct listening listening = listening_of(PROTOCOL_TCP, ETHERTYPE_VALUE_IPV6);
	struct socket_owner *owner = use_socket(socket);
	__u32 *local = (__u32 *)listening.local;
	struct actor user;

	if (!owner)
		return;
	user = owner->user;
	listening.port = bpf_htons(ctx->local_port);
	if (ctx->family == FAMILY_IPV4) {
		set_local4(&listening, ctx->local_ip4);
	} else {
		local[0] = ctx->local_ip6[0];
		local[1] = ctx->local_ip6[1];
		local[2] = ctx->local_ip6[2];
		local[3] = ctx->local_ip6[3];
	}
	judge_listening(&user, owner->netns_inum, &listening);
}

/* A listener's child, which has the listener's storage: from now on it can be distinguished from a socket that connects. */
static __always_inline void mark_accepted(struct bpf_sock *socket)
{
	struct socket_owner *owner = bpf_sk_storage_get(&socket_owners, socket, NULL, 0);

	if (!owner)
		return;
	owner->flags |= SOCKET_ACCEPTED;
	forget_former(owner);
}

SEC("sockops")
int socket_changes(struct bpf_sock_ops *ctx)
{
	struct bpf_sock *socket = ctx->sk;

	if (!socket)
		return GO_ON;
	if (ctx->op == BPF_SOCK_OPS_TCP_LISTEN_CB)
		judge_listen_call(ctx, socket);
	else if (ctx->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
		mark_accepted(socket);
	return GO_ON;
}

/* Connected sockets show their user nowhere but here. Optional: kernels before 6.3 do not have these. */
SEC("tp_btf/sock_send_length")
int BPF_PROG(socket_sent, struct sock *socket)
{
	/* Read in place, unlike by is_stream: that costs next to nothing. */
	if (writes_are_seen && socket->sk_type == STREAM_TYPE && socket->sk_protocol == STREAM_PROTOCOL)
		return 0;
	if (is_internet(socket) && !is_user_known(socket))
		use_socket(socket);
	return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(socket_received, struct sock *socket)
{
	if (is_internet(socket) && !is_user_known(socket))
		use_socket(socket);
	return 0;
}

/*
 * Whoever takes bytes out of a stream: also by splice(2) and TCP_ZEROCOPY_RECEIVE, of which nothing else tells. Optional: before
 * 5.11 a program here may not read who owns a socket.
 */
SEC("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(socket_reads, struct sock *socket)
{
	if (!is_user_known(socket) && is_in_call(socket))
		use_socket(socket);
	return 0;
}

/* The IPv4 or IPv6 socket behind a file, or null. */
static __always_inline struct sock *socket_of(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;
	struct socket *socket;
	struct sock *sk;

	if (!file)
		return NULL;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return NULL;
	sk = socket->sk;
	return sk && is_internet(sk) ? sk : NULL;
}

static __always_inline struct listener_key port_of(struct sock *socket)
{
	struct listener_key key = {
		.netns_inum = socket->__sk_common.skc_net.net->ns.inum,
		.port = socket->__sk_common.skc_num,
	};

	return key;
}

static __always_inline int is_listener(struct sock *socket)
{
	return socket->sk_protocol == PROTOCOL_TCP && socket->__sk_common.skc_state == TCP_LISTEN;
}

/* First pass over what is open already: who listens where. */
SEC("iter/task_file")
int find_listeners(struct bpf_iter__task_file *ctx)
{
	struct sock *socket = socket_of(ctx);
	struct listener_key key;
	__u8 present = 1;

	if (!socket || !is_listener(socket))
		return 0;
	key = port_of(socket);
	if (bpf_map_update_elem(&found_listeners, &key, &present, BPF_ANY))
		count_error(ERROR_SOCKET_STORAGE);
	return 0;
}

/* A connected socket on a port that somebody listens on was accepted there. */
static __always_inline __u32 found_flags(struct sock *socket)
{
	struct listener_key key = port_of(socket);

	if (socket->sk_protocol != PROTOCOL_TCP || is_listener(socket) || !bpf_map_lookup_elem(&found_listeners, &key))
		return SOCKET_FOUND;
	return SOCKET_FOUND | SOCKET_ACCEPTED;
}

/* Second pass: the first process that has a socket open owns it, unless the hooks above know better by now. */
SEC("iter/task_file")
int find_sockets(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct sock *socket = socket_of(ctx);
	struct socket_owner owner;

	if (!task || !socket)
		return 0;
	own(task, socket, found_flags(socket), &owner);
	if (!bpf_sk_storage_get(&socket_owners, socket, &owner, BPF_SK_STORAGE_GET_F_CREATE))
		count_error(ERROR_SOCKET_STORAGE);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
