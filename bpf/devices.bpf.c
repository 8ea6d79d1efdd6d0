// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Every veth pair that has an end in the host, from the moment it has: `devices`. Container runtimes make pairs in any order:
 * both ends in the host and one moved into the pod; the peer in the pod at once; both in the pod and one moved out. The host's
 * end is entered as soon as it has a number there, which is before it can be set up, and knows where its other end moves.
 *
 * Two sets of programs do the same: one on fentry and fexit, which cost less, one on kprobes. One of them is loaded.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "memory/errors.h"

#define KIND_LENGTH 5 /* "veth" and its NUL */

/* A call of veth_newlink: it registers both ends. */
struct making {
	struct device_key first; /* the end that has been registered already */
};

/* A change of namespace that has begun. */
struct moving {
	__u64 device;
	struct device_key from;
};

/* By task: these calls sleep, but a task is in one of them at a time. What a missed return leaves is evicted. */
#define CALL_MAP(map_name, value_type)                                                                           \
	struct {                                                                                                 \
		__uint(type, BPF_MAP_TYPE_LRU_HASH);                                                             \
		__uint(max_entries, 4096);                                                                       \
		__type(key, __u64);                                                                              \
		__type(value, value_type);                                                                       \
	} map_name SEC(".maps")

CALL_MAP(makings, struct making);
CALL_MAP(registerings, __u64);
CALL_MAP(movings, struct moving);

static __always_inline int is_veth(struct net_device *device)
{
	char kind[KIND_LENGTH] = {};

	bpf_probe_read_kernel_str(kind, sizeof(kind), BPF_CORE_READ(device, rtnl_link_ops, kind));
	return kind[0] == 'v' && kind[1] == 'e' && kind[2] == 't' && kind[3] == 'h' && !kind[4];
}

static __always_inline struct device_key key_of(struct net_device *device)
{
	struct device_key key = {
		.netns_inum = BPF_CORE_READ(device, nd_net.net, ns.inum),
		.ifindex = BPF_CORE_READ(device, ifindex),
	};

	return key;
}

static __always_inline void count_change(void)
{
	__u32 zero = 0;
	__u64 *changes = bpf_map_lookup_elem(&device_changes, &zero);

	if (changes)
		__sync_fetch_and_add(changes, 1);
}

static __always_inline int is_in_host(const struct device_key *key)
{
	__u32 zero = 0;
	struct settings *set = bpf_map_lookup_elem(&settings, &zero);

	return set && key->netns_inum == set->host_netns;
}

/* Whoever may make network namespaces may make pairs in them without number: of ends elsewhere nothing is kept. */
static __always_inline void enter(const struct device_key *key, const struct veth_end *device)
{
	if (!is_in_host(key))
		return;
	if (bpf_map_update_elem(&devices, key, device, BPF_ANY))
		count_error(ERROR_DEVICES_FULL);
	count_change();
}

/* Tells one end where the other is. An end that is not known is not in the host, older than the programs, or gone. */
static __always_inline void set_peer(const struct device_key *key, const struct device_key *peer)
{
	struct veth_end *device = bpf_map_lookup_elem(&devices, key);

	if (!device)
		return;
	device->peer = *peer;
	count_change();
}

/* The other end of a pair that is complete: the first thing in a veth's private data (drivers/net/veth.c). */
static __always_inline struct net_device *peer_of(struct net_device *device)
{
	struct net_device *peer = NULL;

	bpf_probe_read_kernel(&peer, sizeof(peer), (void *)device + bpf_core_type_size(struct net_device));
	return peer;
}

static __always_inline void begin_making(void)
{
	__u64 task = bpf_get_current_pid_tgid();
	struct making making = {};

	if (bpf_map_update_elem(&makings, &task, &making, BPF_ANY))
		count_error(ERROR_DEVICES_FULL);
}

static __always_inline void end_making(void)
{
	__u64 task = bpf_get_current_pid_tgid();

	bpf_map_delete_elem(&makings, &task);
}

/* A device has got its number. Of a pair the first end is entered alone, the second one with the first. */
static __always_inline void enter_registered(struct net_device *device)
{
	__u64 task = bpf_get_current_pid_tgid();
	struct making *making = bpf_map_lookup_elem(&makings, &task);
	struct veth_end entry = { .changed = bpf_ktime_get_ns() };
	struct device_key key;

	if (!making || !is_veth(device))
		return;
	key = key_of(device);
	entry.peer = making->first;
	enter(&key, &entry);
	if (making->first.ifindex)
		set_peer(&entry.peer, &key);
	else
		making->first = key;
}

static __always_inline void begin_move(struct net_device *device)
{
	__u64 task = bpf_get_current_pid_tgid();
	struct moving moving = { .device = (__u64)device };

	if (!is_veth(device))
		return;
	moving.from = key_of(device);
	if (bpf_map_update_elem(&movings, &task, &moving, BPF_ANY))
		count_error(ERROR_DEVICES_FULL);
}

/* The device may have another number in its new namespace. If it is where it was, the move was refused. */
static __always_inline void end_move(void)
{
	__u64 task = bpf_get_current_pid_tgid();
	struct moving *moving = bpf_map_lookup_elem(&movings, &task);
	struct veth_end entry = {};
	struct device_key from, to;
	struct net_device *device;
	struct veth_end *known;

	if (!moving)
		return;
	device = (struct net_device *)moving->device;
	from = moving->from;
	bpf_map_delete_elem(&movings, &task);
	to = key_of(device);
	if (to.netns_inum == from.netns_inum && to.ifindex == from.ifindex)
		return;
	known = bpf_map_lookup_elem(&devices, &from);
	if (known)
		entry = *known;
	else
		entry.peer = key_of(peer_of(device));
	entry.changed = bpf_ktime_get_ns();
	enter(&to, &entry);
	set_peer(&entry.peer, &to);
	bpf_map_delete_elem(&devices, &from);
}

/* Also for an end whose other one could not be registered. */
static __always_inline void remove_device(struct net_device *device)
{
	struct device_key key;

	if (!is_veth(device))
		return;
	key = key_of(device);
	if (!bpf_map_delete_elem(&devices, &key))
		count_change();
}

/* ------------------------------------------------------------------------------------------- kprobes */

SEC("kprobe/veth_newlink")
int BPF_KPROBE(kprobe_newlink)
{
	begin_making();
	return 0;
}

SEC("kretprobe/veth_newlink")
int BPF_KRETPROBE(kretprobe_newlink)
{
	end_making();
	return 0;
}

SEC("kprobe/register_netdevice")
int BPF_KPROBE(kprobe_register, struct net_device *device)
{
	__u64 task = bpf_get_current_pid_tgid();
	__u64 address = (__u64)device;

	if (bpf_map_lookup_elem(&makings, &task) && bpf_map_update_elem(&registerings, &task, &address, BPF_ANY))
		count_error(ERROR_DEVICES_FULL);
	return 0;
}

SEC("kretprobe/register_netdevice")
int BPF_KRETPROBE(kretprobe_register, int result)
{
	__u64 task = bpf_get_current_pid_tgid();
	__u64 *address = bpf_map_lookup_elem(&registerings, &task);
	struct net_device *device;

	if (!address)
		return 0;
	device = (struct net_device *)*address;
	bpf_map_delete_elem(&registerings, &task);
	if (!result)
		enter_registered(device);
	return 0;
}

/* Also called __dev_change_net_namespace; the agent knows which one this kernel calls. */
SEC("kprobe/dev_change_net_namespace")
int BPF_KPROBE(kprobe_move, struct net_device *device)
{
	begin_move(device);
	return 0;
}

SEC("kretprobe/dev_change_net_namespace")
int BPF_KRETPROBE(kretprobe_move)
{
	end_move();
	return 0;
}

SEC("kprobe/unregister_netdevice_queue")
int BPF_KPROBE(kprobe_remove, struct net_device *device)
{
	remove_device(device);
	return 0;
}

/* ----------------------------------------------------------------------------------- fentry and fexit */

SEC("fentry/veth_newlink")
int BPF_PROG(fentry_newlink)
{
	begin_making();
	return 0;
}

SEC("fexit/veth_newlink")
int BPF_PROG(fexit_newlink)
{
	end_making();
	return 0;
}

SEC("fexit/register_netdevice")
int BPF_PROG(fexit_register, struct net_device *device, int result)
{
	if (!result)
		enter_registered(device);
	return 0;
}

SEC("fentry/__dev_change_net_namespace")
int BPF_PROG(fentry_move, struct net_device *device)
{
	begin_move(device);
	return 0;
}

SEC("fexit/__dev_change_net_namespace")
int BPF_PROG(fexit_move)
{
	end_move();
	return 0;
}

SEC("fentry/unregister_netdevice_queue")
int BPF_PROG(fentry_remove, struct net_device *device)
{
	remove_device(device);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
