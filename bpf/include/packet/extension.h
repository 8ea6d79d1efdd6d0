/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What may stand between the header of IPv6 and that of the transport: RFC 8200, 4. */
#ifndef PORTCULLIS_EXTENSION_H
#define PORTCULLIS_EXTENSION_H

#include "packet/transport.h"

#define EXTENSION_HEADERS_MAX 8

/* Generic layout of an extension header: RFC 8200, sections 4.3 to 4.6; authentication: RFC 4302. */
struct extension {
	__u8 next;
	__u8 length;
	__u16 fragment; /* of a routing header: its type, and how many stops are left */
	__u32 identification;
};

static __always_inline int is_extension(__u8 protocol)
{
	return protocol == PROTOCOL_HOP_BY_HOP || protocol == PROTOCOL_ROUTING ||
	       protocol == PROTOCOL_DESTINATION_OPTIONS || protocol == PROTOCOL_FRAGMENT ||
	       protocol == PROTOCOL_AUTHENTICATION;
}

#define EXTENSION_NONE 0
#define EXTENSION_SKIPPED 1

/* Steps over the extension header at p->l4_offset. Returns EXTENSION_SKIPPED or _NONE, else -reason. */
static __always_inline int skip_extension(struct __sk_buff *skb, struct packet *p)
{
	struct extension extension;
	__u32 length, fragment;

	if (!is_extension(p->protocol))
		return EXTENSION_NONE;
	if (p->l4_offset + sizeof(extension) > p->end)
		return -REASON_MALFORMED;
	if (bpf_skb_load_bytes(skb, p->l4_offset, &extension, sizeof(extension)) < 0) {
		count_error(ERROR_PACKET_READ);
		return -REASON_MALFORMED;
	}
	length = (extension.length + 1) * 8;
	if (p->protocol == PROTOCOL_FRAGMENT) {
		fragment = bpf_ntohs(extension.fragment);
		p->protocol = extension.next;
		p->l4_offset += sizeof(extension);
		if (fragment & 0xfff9) {
			p->identification = extension.identification;
			if (fragment & 0xfff8)
				return -later_fragment(p, fragment & 0xfff8);
			p->flags |= PACKET_FIRST_FRAGMENT;
		}
		return EXTENSION_SKIPPED;
	}
	if (p->protocol == PROTOCOL_AUTHENTICATION)
		length = (extension.length + 2) * 4;
	if (p->l4_offset + length > p->end)
		return -REASON_MALFORMED;
	if (p->protocol == PROTOCOL_ROUTING && (bpf_ntohs(extension.fragment) & 0xff))
		return -REASON_MALFORMED;
	p->protocol = extension.next;
	p->l4_offset += length;
	return EXTENSION_SKIPPED;
}

/* Steps over all extension headers, up to the L4 header or what a later fragment carries. Returns a reason. */
static __always_inline int skip_extensions(struct __sk_buff *skb, struct packet *p)
{
	int more = EXTENSION_SKIPPED;

	for (int i = 0; i < EXTENSION_HEADERS_MAX; i++) {
		more = skip_extension(skb, p);
		if (more != EXTENSION_SKIPPED || (p->flags & PACKET_LATER_FRAGMENT))
			break;
	}
	/* Still one: the ninth header is one too many. */
	if (more == EXTENSION_SKIPPED && !(p->flags & PACKET_LATER_FRAGMENT) && is_extension(p->protocol))
		return REASON_MALFORMED;
	return more < 0 ? -more : REASON_ALLOWED;
}

#endif
