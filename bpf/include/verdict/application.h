/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Layer 7: which application a flow's first payload belongs to, by its bytes. HTTP: RFC 9112, 3 and RFC 9113, 3.4;
 * TLS: RFC 8446, 5.1 and 4; DNS: dns/dns.h. Before HTTP and TLS there may be a PROXY header (HAProxy's proxy-protocol.txt, 2.1
 * and 2.2), and before HTTP empty lines (RFC 9112, 2.2).
 */
#ifndef PORTCULLIS_APPLICATION_H
#define PORTCULLIS_APPLICATION_H

#include "verdict/judge.h"

/* Bytes that are looked at: the longest PROXY header that its senders may write, and the beginning of what follows. */
#define HEAD_LENGTH 576
#define PROXY_TEXT_MAX 107
#define PROXY_BINARY_MAX 536
#define EMPTY_LINES_MAX 4
#define METHOD_MAX 24
/* Enough where nothing stands before the request. */
#define HEAD_COMMON 32

/* RFC 9110, 5.6.2. */
#define TCHAR_8(b) TCHAR_1(b), TCHAR_1(b + 1), TCHAR_1(b + 2), TCHAR_1(b + 3), TCHAR_1(b + 4), TCHAR_1(b + 5),      \
		   TCHAR_1(b + 6), TCHAR_1(b + 7)
#define TCHAR_64(b) TCHAR_8(b), TCHAR_8(b + 8), TCHAR_8(b + 16), TCHAR_8(b + 24), TCHAR_8(b + 32), TCHAR_8(b + 40), \
		    TCHAR_8(b + 48), TCHAR_8(b + 56)
#define TCHAR_1(b) (__u8)(((b) >= '0' && (b) <= '9') || ((b) >= 'A' && (b) <= 'Z') || ((b) >= 'a' && (b) <= 'z') ||  \
			  (b) == '!' || ((b) >= '#' && (b) <= '\'') || (b) == '*' || (b) == '+' || (b) == '-' ||     \
			  (b) == '.' || (b) == '^' || (b) == '_' || (b) == '`' || (b) == '|' || (b) == '~')
const volatile __u8 tchar[256] = { TCHAR_64(0), TCHAR_64(64) };

/* Not memcmp, for which clang may want a library; `text` is a literal, so this comes to a few comparisons. */
#define STARTS_WITH(head, length, text) ((length) >= sizeof(text) - 1 && begins_with(head, text, sizeof(text) - 1))

static __always_inline int begins_with(const __u8 *head, const char *text, const int length)
{
	__u8 difference = 0;

#pragma unroll
	for (int i = 0; i < length; i++)
		difference |= head[i] ^ (__u8)text[i];
	return !difference;
}

/* What a request's line has behind any method: a path, `*`, or an address. */
static __always_inline int is_target(const __u8 *head, __u32 length)
{
	return length && (head[0] == '/' || head[0] == '*' || STARTS_WITH(head, length, "http"));
}

/* A request with any token as its method, by its first `length` bytes at `offset` in `dns_bytes`. */
__noinline int is_request(__u32 offset, __u32 length)
{
	struct dns_bytes *bytes = get_dns_bytes();

	if (!bytes)
		return 0;
	offset &= DNS_MESSAGE_MASK;
	barrier_var(offset);
	for (__u32 i = 0; i <= METHOD_MAX; i++) {
		__u8 byte;

		if (i >= length)
			return 0;
		byte = bytes->at[offset + i];
		if (byte == ' ')
			return i && is_target(bytes->at + offset + i + 1, length - i - 1);
		if (!tchar[byte])
			return 0;
	}
	return 0;
}

static __always_inline int is_http(const __u8 *head, __u32 length)
{
	return STARTS_WITH(head, length, "GET ") || STARTS_WITH(head, length, "POST ") ||
	       STARTS_WITH(head, length, "PUT ") || STARTS_WITH(head, length, "HEAD ") ||
	       STARTS_WITH(head, length, "DELETE ") || STARTS_WITH(head, length, "OPTIONS ") ||
	       STARTS_WITH(head, length, "PATCH ") || STARTS_WITH(head, length, "CONNECT ") ||
	       STARTS_WITH(head, length, "TRACE ") || STARTS_WITH(head, length, "PRI * HTTP/2.0") ||
	       STARTS_WITH(head, length, "HTTP/1.");
}

/* A handshake record with a ClientHello or ServerHello in it. */
static __always_inline int is_tls(const __u8 *head, __u32 length)
{
	return length >= 6 && head[0] == 0x16 && head[1] == 0x03 && head[2] <= 4 && (head[5] == 1 || head[5] == 2);
}

/* The PROXY header in text, which ends with its line. Returns its length, 0 if there is no end. */
__noinline int proxy_text_length(__u32 length)
{
	struct dns_bytes *bytes = get_dns_bytes();

	if (!bytes)
		return 0;
	for (__u32 i = 0; i < PROXY_TEXT_MAX - 1; i++) {
		if (i + 2 > length)
			return 0;
		if (word_at(bytes, i) == 0x0d0a)
			return i + 2;
	}
	return 0;
}

/* Of either kind, at the payload's beginning. Returns its length, 0 if there is none. */
static __always_inline __u32 proxy_length(struct dns_bytes *bytes, __u32 length)
{
	__u32 size;

	if (STARTS_WITH(bytes->at, length, "PROXY "))
		return proxy_text_length(length);
	/* Version 2, with command LOCAL or PROXY, and the length of the rest in the last two bytes. */
	if (length < 16 || !STARTS_WITH(bytes->at, length, "\r\n\r\n\0\r\nQUIT\n") || bytes->at[12] >> 1 != 0x10)
		return 0;
	size = 16 + word_at(bytes, 14);
	return size <= PROXY_BINARY_MAX && size <= length ? size : 0;
}

static __always_inline __u32 empty_lines_length(struct dns_bytes *bytes, __u32 offset, __u32 length)
{
	__u32 start = offset;

	for (int i = 0; i < EMPTY_LINES_MAX; i++) {
		if (offset + 2 > length || word_at(bytes, offset) != 0x0d0a)
			break;
		offset += 2;
	}
	return offset - start;
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
	return load_message(skb, offset, end - offset) >= 0 && parse_dns(end - offset) == REASON_ALLOWED;
}

/* At `start`, with empty lines before it if it is HTTP. */
static __always_inline int recognise_at(struct __sk_buff *skb, struct scratch *s, struct dns_bytes *bytes, __u32 start,
					__u32 lines, __u32 length)
{
	__u32 request = (start + lines) & DNS_MESSAGE_MASK, record = start & DNS_MESSAGE_MASK;

	barrier_var(request);
	if (is_http(bytes->at + request, length - start - lines) || is_request(request, length - start - lines))
		return APPLICATION_HTTP;
	barrier_var(record);
	if (is_tls(bytes->at + record, length - start))
		return APPLICATION_TLS;
	return !start && is_dns(skb, s) ? APPLICATION_DNS : APPLICATION_NONE;
}

/* What may stand before the application's first byte stands there once; it may be sent again. */
static __always_inline int may_have_preface(struct scratch *s)
{
	if (s->packet.protocol != PROTOCOL_TCP)
		return 0;
	return !(s->flow.flags & FLOW_PREFACED) ||
	       s->packet.sequence == (s->direction == DIRECTION_EGRESS ? s->flow.dns_next[0] : s->flow.dns_next[1]);
}

/* Which application the payload, of which there is at least a byte, begins; undecided if it is only what stands before. */
__noinline int recognise(struct __sk_buff *skb)
{
	struct dns_bytes *bytes = get_dns_bytes();
	struct scratch *s = get_scratch();
	__u32 size, start = 0, lines = 0;
	int length;

	if (!s || !bytes)
		return APPLICATION_NONE;
	size = s->packet.end - s->packet.payload_offset;
	length = load_message(skb, s->packet.payload_offset, size < HEAD_COMMON ? size : HEAD_COMMON);
	if (length < 0)
		return APPLICATION_NONE;
	if ((bytes->at[0] == 'P' || bytes->at[0] == '\r') && may_have_preface(s)) {
		length = load_message(skb, s->packet.payload_offset, size < HEAD_LENGTH ? size : HEAD_LENGTH);
		if (length < 0)
			return APPLICATION_NONE;
		start = proxy_length(bytes, length);
		lines = empty_lines_length(bytes, start, length);
		if (start + lines == size)
			return APPLICATION_UNDECIDED;
	}
	return recognise_at(skb, s, bytes, start, lines, length);
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

/* Remembers that what may stand before the first payload has come, and where. */
static __always_inline void remember_preface(struct scratch *s)
{
	s->flow.flags |= FLOW_PREFACED;
	if (s->direction == DIRECTION_EGRESS)
		s->flow.dns_next[0] = s->packet.sequence;
	else
		s->flow.dns_next[1] = s->packet.sequence;
}

/* Layer 7 for a flow whose first payload has not been seen: undecided until there is one. */
static __always_inline int judge_first_payload(struct __sk_buff *skb, struct scratch *s)
{
	int is_urgent = s->packet.tcp_flags & TCP_URG;
	int application;

	if (!is_urgent && s->packet.end <= s->packet.payload_offset)
		return REASON_ALLOWED;
	application = is_urgent ? APPLICATION_NONE : recognise(skb);
	if (application == APPLICATION_UNDECIDED) {
		remember_preface(s);
		return REASON_ALLOWED;
	}
	s->flow.flags &= ~FLOW_L7_PENDING;
	s->flow.application = application;
	return judge_application(s);
}

#endif
