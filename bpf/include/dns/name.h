/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Domain names on the wire (RFC 1035, 4.1.4). The loops are kept apart in global functions, so that the
 * verifier looks at each once, and their state in a per-CPU map, so that it forgets what does not matter.
 */
#ifndef PORTCULLIS_NAME_H
#define PORTCULLIS_NAME_H

#include "packet/packet.h"

#define WIRE_NAME_MAX 255
#define LABELS_MAX 127
#define LABEL_MAX 63
#define POINTERS_MAX 16
#define DNS_HEADER_LENGTH 12
#define DNS_MESSAGE_MASK (DNS_MESSAGE_MAX - 1)

/* Odd, random per installation, so that nobody can prepare two names with one hash. */
const volatile __u64 name_hash_multiplier = 0x9e3779b97f4a7c15ULL;

/*
 * What becomes of a byte: letters are lower-cased. A dot within a label and the byte 0 become capital letters, which
 * are free: so names of any bytes (RFC 2181, 11) have texts of their own. The second half is for length bytes, which
 * all become dots.
 */
#define FOLD_8(b) FOLD_1(b), FOLD_1(b + 1), FOLD_1(b + 2), FOLD_1(b + 3), FOLD_1(b + 4), FOLD_1(b + 5),           \
		  FOLD_1(b + 6), FOLD_1(b + 7)
#define FOLD_64(b) FOLD_8(b), FOLD_8(b + 8), FOLD_8(b + 16), FOLD_8(b + 24), FOLD_8(b + 32), FOLD_8(b + 40),      \
		   FOLD_8(b + 48), FOLD_8(b + 56)
#define FOLD_1(b) (__u8)((b) >= 'A' && (b) <= 'Z' ? (b) + 32 : (b) == '.' ? NAME_DOT_IN_LABEL : (b) ? (b) : NAME_ZERO)
const volatile __u8 fold[512] = {
	FOLD_64(0), FOLD_64(64), FOLD_64(128), FOLD_64(192),
	[256 ... 511] = '.',
};

/* The message under judgement. Read at masked offsets, with room behind for what is read at the last of them. */
PER_CPU_ROOM(dns_bytes, struct dns_bytes)

/* In host order. Whoever reads has compared the offset with the message's end. */
static __always_inline __u16 word_at(struct dns_bytes *bytes, __u32 offset)
{
	offset &= DNS_MESSAGE_MASK;
	barrier_var(offset);
	return bpf_ntohs(*(__u16 *)(bytes->at + offset));
}

struct name_scratch {
	struct name_key key;          /* the question's name, ready for the lookup in `names` */
	struct dns_name fresh;        /* to be put into `dns_names`; here because the stack is short */
	__u8 label_start[256];        /* 1 where the question's name has a length byte */
	struct dns_name_key stored;   /* key in `dns_names`, of the name at hand */
	__u64 hash;                   /* of the name read last */
	__u64 power;
	__u32 name_length;            /* of key.text */
	__u32 next;                   /* offset behind the name read last */
	__u32 length;                 /* text read so far */
	__u32 offset;                 /* where reading goes on */
	__u32 pointers;               /* followed so far */
	__u32 end;                    /* of the message */
};

PER_CPU_ROOM(name_scratch, struct name_scratch)

/*
 * Names' texts are read and written eight bytes at a time, wherever they begin: what clang makes of memcpy goes by their
 * alignment, two bytes at a time. The last eight overlap with those before.
 */
#define TEXT_WORDS ((NAME_TEXT_MAX + 7) / 8)
static __always_inline __u32 text_word(int index)
{
	return index < TEXT_WORDS - 1 ? index * 8 : NAME_TEXT_MAX - 8;
}

static __always_inline __u8 *question_text(struct name_scratch *name)
{
	return (__u8 *)name->key.text;
}

static __always_inline void clear_text(__u8 *text)
{
	for (int i = 0; i < TEXT_WORDS; i++)
		*(__u64 *)(text + text_word(i)) = 0;
}

static __always_inline void copy_text(__u8 *to, const __u8 *from)
{
	for (int i = 0; i < TEXT_WORDS; i++)
		*(__u64 *)(to + text_word(i)) = *(const __u64 *)(from + text_word(i));
}

static __always_inline int same_text(const __u8 *one, const __u8 *other)
{
	__u64 difference = 0;

	for (int i = 0; i < TEXT_WORDS; i++)
		difference |= *(const __u64 *)(one + text_word(i)) ^ *(const __u64 *)(other + text_word(i));
	return !difference;
}

/* Marks the length bytes of the question's name. Returns its length without the root, or -1 if it is none. */
__noinline int hop_labels(void)
{
	struct name_scratch *s = get_name_scratch();
	struct dns_bytes *bytes = get_dns_bytes();
	__u32 position = 0;

	if (!s || !bytes)
		return -1;
	__builtin_memset(s->label_start, 0, sizeof(s->label_start));
	for (int i = 0; i <= LABELS_MAX; i++) {
		__u32 length;

		if (DNS_HEADER_LENGTH + position >= s->end || position >= WIRE_NAME_MAX)
			return -1;
		length = bytes->at[DNS_HEADER_LENGTH + (position & 0xff)];
		if (!length)
			return position;
		if (length > LABEL_MAX)
			return -1;
		s->label_start[position & 0xff] = 1;
		position += length + 1;
	}
	return -1;
}

/*
 * Reads the question's name into key.text, reversed, with its hash. Returns 0, or -1 if it is no name: too long,
 * compressed or cut off.
 */
__noinline int read_question_name(void)
{
	struct name_scratch *s = get_name_scratch();
	struct dns_bytes *bytes = get_dns_bytes();
	__u64 multiplier = name_hash_multiplier, hash = 0;
	int length = hop_labels();

	if (!s || !bytes || length < 0 || length > NAME_TEXT_MAX)
		return -1;
	clear_text(question_text(s));
	for (int i = 0; i < NAME_TEXT_MAX; i++) {
		__u32 from, index, byte;

		if (i >= length)
			break;
		from = (length - 1 - i) & 0xff;
		index = s->label_start[from] << 8;
		/* A sum, and no OR, which clang would make of it: kernels before 6.10 know nothing of what that leads to. */
		barrier_var(index);
		byte = fold[(index + bytes->at[DNS_HEADER_LENGTH + from]) & 0x1ff];
		s->key.text[i] = byte;
		hash = hash * multiplier + byte;
	}
	s->hash = hash;
	s->name_length = length;
	s->next = DNS_HEADER_LENGTH + length + 1;
	return 0;
}

/* Adds the label at `offset`, and the dot before it, to the hash of a name that is read forwards. */
__noinline int hash_label(__u32 offset, __u32 length)
{
	struct name_scratch *s = get_name_scratch();
	struct dns_bytes *bytes = get_dns_bytes();
	__u64 multiplier = name_hash_multiplier, hash, power;

	if (!s || !bytes)
		return -1;
	hash = s->hash + '.' * s->power;
	power = s->power * multiplier;
	offset &= DNS_MESSAGE_MASK;
	for (int i = 0; i < LABEL_MAX; i++) {
		if (i >= (int)length)
			break;
		hash += fold[bytes->at[offset + i]] * power;
		power *= multiplier;
	}
	s->hash = hash;
	s->power = power;
	return 0;
}

enum step { STEP_BAD = -1, STEP_MORE = 0, STEP_END = 1 };

/* Follows the pointer at `offset`: strictly backwards, never into the header, at most POINTERS_MAX times. */
static __always_inline int follow_pointer(struct name_scratch *s, struct dns_bytes *bytes, __u32 offset)
{
	__u32 target;

	if (offset + 2 > s->end)
		return STEP_BAD;
	if (!s->pointers)
		s->next = offset + 2;
	target = word_at(bytes, offset) & 0x3fff;
	if (++s->pointers > POINTERS_MAX || target < DNS_HEADER_LENGTH || target >= offset)
		return STEP_BAD;
	s->offset = target;
	return STEP_MORE;
}

/* Reads one label, pointer or root at s->offset. */
static __always_inline int hash_step(struct name_scratch *s, struct dns_bytes *bytes)
{
	__u32 offset = s->offset, length;

	if (offset >= s->end)
		return STEP_BAD;
	length = bytes->at[offset & DNS_MESSAGE_MASK];
	if (!length) {
		if (!s->pointers)
			s->next = offset + 1;
		return STEP_END;
	}
	if (length >= 0xc0)
		return follow_pointer(s, bytes, offset);
	if (length > LABEL_MAX || offset + 1 + length > s->end)
		return STEP_BAD;
	s->length += length + 1;
	if (s->length > NAME_TEXT_MAX || hash_label(offset + 1, length) < 0)
		return STEP_BAD;
	s->offset = offset + 1 + length;
	return STEP_MORE;
}

/*
 * Hashes the name at `offset`, which may be compressed. Returns 0 with s->hash and s->next, or -1 if it is no
 * name, leads round in circles, or is cut off.
 */
__noinline int hash_name(__u32 offset)
{
	struct name_scratch *s = get_name_scratch();
	struct dns_bytes *bytes = get_dns_bytes();

	if (!s || !bytes)
		return -1;
	s->hash = 0;
	s->power = 1;
	s->length = 0;
	s->next = 0;
	s->offset = offset;
	s->pointers = 0;
	for (int i = 0; i <= LABELS_MAX + POINTERS_MAX; i++) {
		int step;

		barrier(); /* the state is read from the map again, where the verifier has forgotten it */
		step = hash_step(s, bytes);
		if (step == STEP_MORE)
			continue;
		return step == STEP_END ? 0 : -1;
	}
	return -1;
}

#endif
