/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Layer 7: which application a flow's first payload belongs to, by its bytes. HTTP: RFC 9112, 3 and RFC 9113, 3.4;
 * TLS: RFC 8446, 5.1 and 4; DNS: dns.h.
 */
#ifndef PORTCULLIS_APPLICATION_H
#define PORTCULLIS_APPLICATION_H

#include "judge.h"

#define HEAD_LENGTH 16

/* Not memcmp, for which clang may want a library; `text` is a literal, so this comes to a few comparisons. */
#define STARTS_WITH(head, length, text) ((length) >= sizeof(text) - 1 && begins_with(head, text, sizeof(text) - 1))

static __always_inline int begins_with(const char *head, const char *text, const int length)
{
	char difference = 0;

#pragma unroll
	for (int i = 0; i < length; i++)
		difference |= head[i] ^ text[i];
	return !difference;
}

static __always_inline int is_http(const char *head, __u32 length)
{
	return STARTS_WITH(head, length, "GET ") || STARTS_WITH(head, length, "POST ") ||
	       STARTS_WITH(head, length, "PUT ") || STARTS_WITH(head, length, "HEAD ") ||
	       STARTS_WITH(head, length, "DELETE ") || STARTS_WITH(head, length, "OPTIONS ") ||
	       STARTS_WITH(head, length, "PATCH ") || STARTS_WITH(head, length, "CONNECT ") ||
	       STARTS_WITH(head, length, "TRACE ") || STARTS_WITH(head, length, "PRI * HTTP/2.0") ||
	       STARTS_WITH(head, length, "HTTP/1.");
}

/* A handshake record with a ClientHello or ServerHello in it. */
static __always_inline int is_tls(const char *head, __u32 length)
{
	return length >= 6 && head[0] == 0x16 && head[1] == 0x03 && head[2] >= 0 && head[2] <= 4 &&
	       (head[5] == 1 || head[5] == 2);
}

static __always_inline int is_dns(struct __sk_buff *skb, struct scratch *s)
{
	__u32 offset = s->packet.payload_offset, end = s->packet.end;
	__u16 length;

	if (s->packet.protocol == PROTOCOL_TCP) {
		if (offset + 2 > end || bpf_skb_load_bytes(skb, offset, &length, sizeof(length)) < 0)
			return 0;
		offset += 2;
		if (offset + bpf_ntohs(length) > end)
			return 0;
		end = offset + bpf_ntohs(length);
	}
	return parse_dns(skb, offset, end) == REASON_ALLOWED;
}

/* Which application the payload, of which there is at least a byte, begins. */
__noinline int recognise(struct __sk_buff *skb)
{
	struct scratch *s = get_scratch();
	char head[HEAD_LENGTH] = {};
	__u32 length;

	if (!s)
		return APPLICATION_NONE;
	length = s->packet.end - s->packet.payload_offset;
	if (length > HEAD_LENGTH)
		length = HEAD_LENGTH;
	if (read_bytes(skb, s->packet.payload_offset, head, length, HEAD_LENGTH - 1) < 0) {
		count_error(ERROR_PACKET_READ);
		return APPLICATION_NONE;
	}
	if (is_http(head, length))
		return APPLICATION_HTTP;
	if (is_tls(head, length))
		return APPLICATION_TLS;
	return is_dns(skb, s) ? APPLICATION_DNS : APPLICATION_NONE;
}

/* Narrows the flow's masks to the blocks that accept its application. */
static __always_inline int judge_application(struct scratch *s)
{
	for (int i = 0; i < SUBJECTS_MAX; i++) {
		if (i >= s->flow.subject_count)
			break;
		s->flow.subjects[i].mask &= application_mask(&s->flow.subjects[i], s->flow.application);
		if (s->flow.subjects[i].mask)
			continue;
		s->flow.flags |= FLOW_PAYLOAD_REFUSED;
		return refine_reason(REASON_APPLICATION, &s->flow.subjects[i]);
	}
	return REASON_ALLOWED;
}

/* Layer 7 for a flow whose first payload has not been seen: undecided until there is one. */
static __always_inline int judge_first_payload(struct __sk_buff *skb, struct scratch *s)
{
	if (s->packet.end <= s->packet.payload_offset)
		return REASON_ALLOWED;
	s->flow.flags &= ~FLOW_L7_PENDING;
	s->flow.application = recognise(skb);
	return judge_application(s);
}

#endif
