/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Failures: every helper that failed is counted, by what it was for, and by the line that called it. */
#ifndef PORTCULLIS_ERRORS_H
#define PORTCULLIS_ERRORS_H

#include "memory/maps.h"

static const __u64 counted_once = 1;

/*
 * The count by kind never fails itself: an index within the array is always found. A line's first failure may meet another CPU
 * that adds an entry to the same bucket; then only the kind is counted.
 */
static __always_inline void count_error_at(const struct error_site *site)
{
	__u64 *count = bpf_map_lookup_elem(&errors, &site->error);

	if (count)
		*count += 1;
	count = bpf_map_lookup_elem(&error_sites, site);
	if (count)
		*count += 1;
	else
		bpf_map_update_elem(&error_sites, site, &counted_once, BPF_NOEXIST);
}

/*
 * Counts a failure of the given kind, a constant of enum error, for the line where this stands. Keys are in read-only memory:
 * functions that count have no stack to spare.
 */
#define count_error(kind)                                                                                        \
	({                                                                                                       \
		static const struct error_site site = { .error = kind, .line = __LINE__, .file = __FILE__ };      \
		_Static_assert(sizeof(__FILE__) <= sizeof(site.file), "the file's name fits");                    \
		count_error_at(&site);                                                                           \
	})

#endif
