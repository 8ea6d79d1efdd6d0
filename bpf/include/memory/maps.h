/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The maps, shared by all objects: each is pinned by its name, so that the second object that is loaded, and
 * the next agent, find the first one's. The sizes are defaults; the agent may resize before the first load.
 */
#ifndef PORTCULLIS_MAPS_H
#define PORTCULLIS_MAPS_H

#include "abi.h"

#define PINNED_MAP(map_name, map_type, key_type, value_type, entries)                                            \
	struct {                                                                                                 \
		__uint(type, map_type);                                                                          \
		__uint(max_entries, entries);                                                                    \
		__type(key, key_type);                                                                           \
		__type(value, value_type);                                                                       \
		__uint(pinning, LIBBPF_PIN_BY_NAME);                                                             \
	} map_name SEC(".maps")

#define PINNED_MAP_WITH_FLAGS(map_name, map_type, key_type, value_type, entries, flags)                          \
	struct {                                                                                                 \
		__uint(type, map_type);                                                                          \
		__uint(max_entries, entries);                                                                    \
		__uint(map_flags, flags);                                                                        \
		__type(key, key_type);                                                                           \
		__type(value, value_type);                                                                       \
		__uint(pinning, LIBBPF_PIN_BY_NAME);                                                             \
	} map_name SEC(".maps")

/* Room for one value on each CPU, where the stack has too little, and how to get at it. */
#define PER_CPU_ROOM(map_name, value_type)                                                                       \
	struct {                                                                                                 \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);                                                         \
		__uint(max_entries, 1);                                                                          \
		__type(key, __u32);                                                                              \
		__type(value, value_type);                                                                       \
	} map_name SEC(".maps");                                                                                 \
                                                                                                                 \
	static __always_inline value_type *get_##map_name(void)                                                  \
	{                                                                                                        \
		__u32 zero = 0;                                                                                  \
                                                                                                                 \
		return bpf_map_lookup_elem(&map_name, &zero);                                                    \
	}

/* The bytes of a message. As many again behind, so that a part can be put at any place. */
struct dns_bytes {
	__u8 at[2 * DNS_MESSAGE_MAX];
	__u32 from;    /* of what came ahead: sequence number of its first byte, */
	__u32 length;  /* and how many bytes there are */
	__u32 position; /* of its place in the workload's share */
};

/* Settings and workloads */
PINNED_MAP(settings, BPF_MAP_TYPE_ARRAY, __u32, struct settings, 1);
PINNED_MAP(process_epochs, BPF_MAP_TYPE_ARRAY, __u32, __u64, EPOCHS);
PINNED_MAP(namespace_epochs, BPF_MAP_TYPE_ARRAY, __u32, __u64, EPOCHS);
PINNED_MAP(workloads, BPF_MAP_TYPE_ARRAY, __u32, struct workload, 4096);
PINNED_MAP(interfaces, BPF_MAP_TYPE_ARRAY, __u32, __u32, 65536);
PINNED_MAP_WITH_FLAGS(interfaces_high, BPF_MAP_TYPE_HASH, __u32, __u32, 4096, BPF_F_NO_PREALLOC);
PINNED_MAP_WITH_FLAGS(namespaces, BPF_MAP_TYPE_HASH, __u32, __u32, 4096, BPF_F_NO_PREALLOC);
PINNED_MAP_WITH_FLAGS(addresses, BPF_MAP_TYPE_HASH, struct address_key, __u8, 16384, BPF_F_NO_PREALLOC);

/* Devices */
PINNED_MAP(devices, BPF_MAP_TYPE_HASH, struct device_key, struct veth_end, 16384);
PINNED_MAP(device_changes, BPF_MAP_TYPE_ARRAY, __u32, __u64, 1);

/* The gate */
PINNED_MAP(gate, BPF_MAP_TYPE_ARRAY, __u32, struct gate, 1);
PINNED_MAP_WITH_FLAGS(admitted, BPF_MAP_TYPE_HASH, __u32, __u64, 4096, BPF_F_NO_PREALLOC);
PINNED_MAP(gated, BPF_MAP_TYPE_LRU_HASH, __u32, struct gated, 4096);

/* Rule tables: never evicted */
PINNED_MAP_WITH_FLAGS(binaries, BPF_MAP_TYPE_HASH, struct binary_key, struct binary, 65536, BPF_F_NO_PREALLOC);
PINNED_MAP_WITH_FLAGS(rulesets, BPF_MAP_TYPE_HASH, __u32, struct ruleset, 65536, BPF_F_NO_PREALLOC);
PINNED_MAP_WITH_FLAGS(peers4, BPF_MAP_TYPE_LPM_TRIE, struct peer4_key, __u64, 1048576, BPF_F_NO_PREALLOC);
PINNED_MAP_WITH_FLAGS(peers6, BPF_MAP_TYPE_LPM_TRIE, struct peer6_key, __u64, 1048576, BPF_F_NO_PREALLOC);
PINNED_MAP_WITH_FLAGS(ports, BPF_MAP_TYPE_LPM_TRIE, struct port_key, __u64, 262144, BPF_F_NO_PREALLOC);
PINNED_MAP_WITH_FLAGS(conditions, BPF_MAP_TYPE_HASH, struct condition_key, struct condition, 65536, BPF_F_NO_PREALLOC);
PINNED_MAP_WITH_FLAGS(names, BPF_MAP_TYPE_LPM_TRIE, struct name_key, struct name_rule, 262144, BPF_F_NO_PREALLOC);

/* Identity */
PINNED_MAP_WITH_FLAGS(paths, BPF_MAP_TYPE_HASH, struct path_text, __u32, 16384, BPF_F_NO_PREALLOC);
/* The kernel's own numbers, path id -> text. Who removes a path from `paths` removes it here too, if it is here. */
PINNED_MAP_WITH_FLAGS(path_texts, BPF_MAP_TYPE_HASH, __u32, struct named_path, 16384, BPF_F_NO_PREALLOC);
PINNED_MAP(path_sequence, BPF_MAP_TYPE_ARRAY, __u32, __u64, 1);
PINNED_MAP_WITH_FLAGS(ancestries, BPF_MAP_TYPE_HASH, struct ancestry, __u32, 16384, BPF_F_NO_PREALLOC);
PINNED_MAP_WITH_FLAGS(ancestry_sets, BPF_MAP_TYPE_HASH, __u32, struct known_ancestry, 16384, BPF_F_NO_PREALLOC);
PINNED_MAP(ancestry_sequence, BPF_MAP_TYPE_ARRAY, __u32, __u64, 1);
PINNED_MAP(claims, BPF_MAP_TYPE_LRU_HASH, struct claim_key, struct claim, 16384);
PINNED_MAP(processes, BPF_MAP_TYPE_HASH, __u32, struct process, 131072);
PINNED_MAP_WITH_FLAGS(containers, BPF_MAP_TYPE_HASH, __u64, struct container, 16384, BPF_F_NO_PREALLOC);
PINNED_MAP_WITH_FLAGS(socket_owners, BPF_MAP_TYPE_SK_STORAGE, int, struct socket_owner, 0,
		      BPF_F_NO_PREALLOC | BPF_F_CLONE);

/* Claims keep owners apart; what is evicted is of sockets whose end was missed. */
PINNED_MAP(registrations, BPF_MAP_TYPE_LRU_HASH, struct registration_key, struct registration, 65536);
PINNED_MAP(registered, BPF_MAP_TYPE_LRU_HASH, __u64, struct registered_socket, 65536);
PINNED_MAP(connects, BPF_MAP_TYPE_LRU_HASH, __u64, struct connect, 16384);

/* Traffic: may be evicted, each workload's by itself (bpf/include/memory/share.h). Memory is taken for what is there. */
PINNED_MAP_WITH_FLAGS(shares, BPF_MAP_TYPE_HASH, struct share_key, struct share, 32768, BPF_F_NO_PREALLOC);
PINNED_MAP_WITH_FLAGS(places, BPF_MAP_TYPE_HASH, struct place_key, struct place, 1048576, BPF_F_NO_PREALLOC);
PINNED_MAP_WITH_FLAGS(flows, BPF_MAP_TYPE_HASH, struct flow_key, struct flow, 524288, BPF_F_NO_PREALLOC);
PINNED_MAP_WITH_FLAGS(fragments, BPF_MAP_TYPE_HASH, struct fragment_key, struct fragment, 32768, BPF_F_NO_PREALLOC);
PINNED_MAP_WITH_FLAGS(icmp_requests, BPF_MAP_TYPE_HASH, struct icmp_request_key, __u64, 16384, BPF_F_NO_PREALLOC);
PINNED_MAP_WITH_FLAGS(dns_queries, BPF_MAP_TYPE_HASH, struct dns_query_key, struct dns_query, 65536, BPF_F_NO_PREALLOC);
PINNED_MAP_WITH_FLAGS(dns_names, BPF_MAP_TYPE_HASH, struct dns_name_key, struct dns_name, 131072, BPF_F_NO_PREALLOC);
PINNED_MAP_WITH_FLAGS(learned, BPF_MAP_TYPE_HASH, struct learned_key, struct learned, 131072, BPF_F_NO_PREALLOC);
PINNED_MAP_WITH_FLAGS(last_listeners, BPF_MAP_TYPE_HASH, struct last_listener_key, struct actor, 65536, BPF_F_NO_PREALLOC);
/*
 * DNS messages over TCP of which not all segments have come, by flow, with the direction in the first byte of padding; and what
 * came ahead of its turn (dns/ahead.h). Memory is taken at once: it may not be there for so much when a packet comes.
 */
PINNED_MAP(dns_parts, BPF_MAP_TYPE_LRU_HASH, struct flow_key, struct dns_bytes, 512);
PINNED_MAP(stream_locks, BPF_MAP_TYPE_ARRAY, __u32, struct stream_lock, STREAM_LOCKS);

/* Counters, and records for user space (bpf/include/abi/records.h) */
PINNED_MAP(counters, BPF_MAP_TYPE_PERCPU_HASH, struct counter_key, struct counter, 65536);
PINNED_MAP(errors, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, __u64, ERROR_COUNT);
PINNED_MAP(error_sites, BPF_MAP_TYPE_PERCPU_HASH, struct error_site, __u64, 512);
PINNED_MAP_WITH_FLAGS(limits, BPF_MAP_TYPE_HASH, struct limit_key, struct limit, 65536, BPF_F_NO_PREALLOC);

#define PINNED_RING(map_name, bytes)                                                                              \
	struct {                                                                                                 \
		__uint(type, BPF_MAP_TYPE_RINGBUF);                                                              \
		__uint(max_entries, bytes);                                                                      \
		__uint(pinning, LIBBPF_PIN_BY_NAME);                                                             \
	} map_name SEC(".maps")

PINNED_RING(violation_records, 2 * 1024 * 1024);
PINNED_RING(allowed_records, 2 * 1024 * 1024);
PINNED_RING(dns_records, 2 * 1024 * 1024);
/* Who begins many flows pushes as many out, which are as large as their entries. */
PINNED_RING(flow_records, 8 * 1024 * 1024);

#endif
