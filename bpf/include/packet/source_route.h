/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Packets that name further stops: IPv4's source routes (RFC 791, 3.1) and IPv6's routing headers (RFC 8200, 4.4). Their
 * header has the address of the next stop as destination, so that it does not say where they end up. A host that is the
 * last stop gets them without any left.
 */
#ifndef PORTCULLIS_SOURCE_ROUTE_H
#define PORTCULLIS_SOURCE_ROUTE_H

#define IPV4_OPTIONS_MAX 40 /* bytes */
#define IPV4_OPTION_END 0
#define IPV4_OPTION_NONE 1 /* both are a single byte; all others have their length in the second */
#define IPV4_OPTION_LOOSE_ROUTE 131
#define IPV4_OPTION_STRICT_ROUTE 137

/*
 * Is there a source route among the `length` bytes of options at `offset`? Also 1 if they cannot be read to their end. One
 * byte at a time: options are rare, and kernels before 5.12 do not let a computed place on the stack be read.
 */
__noinline int is_source_routed(struct __sk_buff *skb, __u32 offset, __u32 length)
{
	__u32 at = 0;
	__u8 kind, size;

	for (int i = 0; i < IPV4_OPTIONS_MAX; i++) {
		if (at >= length)
			break;
		barrier_var(at);
		if (bpf_skb_load_bytes(skb, offset + at, &kind, sizeof(kind)) < 0)
			return 1;
		if (kind == IPV4_OPTION_END)
			return 0;
		if (kind == IPV4_OPTION_LOOSE_ROUTE || kind == IPV4_OPTION_STRICT_ROUTE)
			return 1;
		size = 1;
		if (kind != IPV4_OPTION_NONE) {
			if (at + 2 > length || bpf_skb_load_bytes(skb, offset + at + 1, &size, sizeof(size)) < 0 || size < 2)
				return 1;
		}
		at += size;
	}
	return at > length;
}

#endif
