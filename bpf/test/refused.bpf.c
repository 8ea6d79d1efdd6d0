// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* A program that the verifier refuses, for the test that its words reach the error message. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

SEC("tc")
int reads_past_the_end(struct __sk_buff *skb)
{
	return *((__u8 *)(long)skb->data + 100);
}

char LICENSE[] SEC("license") = "GPL";
