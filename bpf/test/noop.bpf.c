// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* The baseline of benchmarks and attach tests: a classifier that does nothing. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

SEC("tc")
int from_workload(struct __sk_buff *skb)
{
	return -1;
}

SEC("tc")
int to_workload(struct __sk_buff *skb)
{
	return -1;
}

char LICENSE[] SEC("license") = "GPL";
