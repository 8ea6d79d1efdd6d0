/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The two addresses of a socket. */
#ifndef PORTCULLIS_ENDS_H
#define PORTCULLIS_ENDS_H

#include <bpf/bpf_core_read.h>

#include "abi.h"

#define FAMILY_IPV4 2  /* AF_INET */
#define FAMILY_IPV6 10 /* AF_INET6 */

static __always_inline void map_ipv4(__u8 address[ADDRESS_LENGTH], __u32 value)
{
	address[10] = 0xff;
	address[11] = 0xff;
	__builtin_memcpy(&address[12], &value, sizeof(value));
}

/* The address that the socket is bound to; zeros for any. An IPv6 socket that talks IPv4 has it mapped. */
static __always_inline void local_of(const struct sock *socket, __u16 family, __u8 address[ADDRESS_LENGTH])
{
	__u32 ipv4;

	if (family == FAMILY_IPV6) {
		bpf_probe_read_kernel(address, ADDRESS_LENGTH,
				      (void *)socket + bpf_core_field_offset(struct sock, __sk_common.skc_v6_rcv_saddr));
		return;
	}
	ipv4 = BPF_CORE_READ(socket, __sk_common.skc_rcv_saddr);
	if (ipv4)
		map_ipv4(address, ipv4);
}

static __always_inline void remote_of(const struct sock *socket, __u16 family, __u8 address[ADDRESS_LENGTH])
{
	if (family == FAMILY_IPV6)
		bpf_probe_read_kernel(address, ADDRESS_LENGTH,
				      (void *)socket + bpf_core_field_offset(struct sock, __sk_common.skc_v6_daddr));
	else
		map_ipv4(address, BPF_CORE_READ(socket, __sk_common.skc_daddr));
}

#endif
