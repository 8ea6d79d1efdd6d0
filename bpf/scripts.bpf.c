// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Lets user space say without a race that a process's script is verified: an exec between reading an entry of
 * `processes` and writing it back would be undone by the write, and a shell would have its predecessor's rights. Here the
 * flag is set on the entry itself, and only if it is still that process. Never attached: the agent runs this
 * (BPF_PROG_TEST_RUN) with a request for a packet.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "epoch.h"

/* The packet: an Ethernet header's length of nothing, because test runs insist on one, and then the request. */
struct process_request {
	__u8 header[14];
	__u8 padding[2];
	__u32 tgid;
	__u32 script_id;
	__u64 start_time;
};

/* Returns 1 if the flag is set (now or before), 0 if the process is another by now, 2 for a request that is none. */
SEC("tc")
int verify_script(struct __sk_buff *skb)
{
	struct process_request request;
	struct process *process;

	if (bpf_skb_load_bytes(skb, 0, &request, sizeof(request)))
		return 2;
	process = bpf_map_lookup_elem(&processes, &request.tgid);
	if (!process || process->start_time != request.start_time || process->script_id != request.script_id ||
	    !(process->flags & PROCESS_SCRIPT))
		return 0;
	if (process->flags & PROCESS_SCRIPT_VERIFIED)
		return 1;
	/* Nobody else writes this bit, and the others are only ever set by hooks that run for this process. */
	__sync_fetch_and_add(&process->flags, PROCESS_SCRIPT_VERIFIED);
	/* What was judged with the process as its interpreter is judged again. */
	begin_process_epoch(process->lineage);
	return 1;
}

char LICENSE[] SEC("license") = "GPL";
