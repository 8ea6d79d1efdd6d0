/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The workload that a network namespace is. */
#ifndef PORTCULLIS_NAMESPACE_H
#define PORTCULLIS_NAMESPACE_H

#include "memory/maps.h"

static __always_inline struct workload *workload_of_netns(__u32 netns_inum)
{
	__u32 *instance = bpf_map_lookup_elem(&namespaces, &netns_inum);

	return instance ? bpf_map_lookup_elem(&workloads, instance) : NULL;
}

#endif
