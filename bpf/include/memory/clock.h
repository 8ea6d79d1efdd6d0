/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What time it is, as cheaply as it may be read. */
#ifndef PORTCULLIS_CLOCK_H
#define PORTCULLIS_CLOCK_H

#include <bpf/bpf_core_read.h>

/*
 * Behind bpf_ktime_get_ns by less than a tick, at a fraction of its price. Times that were written down may therefore be
 * ahead of it: compare by signed difference. Kernels before 5.11 do not have it.
 */
static __always_inline __u64 coarse_now(void)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_ktime_get_coarse_ns))
		return bpf_ktime_get_coarse_ns();
	return bpf_ktime_get_ns();
}

#endif
