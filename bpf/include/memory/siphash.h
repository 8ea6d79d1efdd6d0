/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * SipHash-1-3 over words of 8 bytes: whoever does not know the key cannot make two inputs of one hash.
 * Jean-Philippe Aumasson, Daniel J. Bernstein: SipHash: a fast short-input PRF, 2012.
 */
#ifndef PORTCULLIS_SIPHASH_H
#define PORTCULLIS_SIPHASH_H

struct siphash {
	__u64 v0, v1, v2, v3;
};

#define ROTATE_LEFT(word, bits) ((word) << (bits) | (word) >> (64 - (bits)))

static __always_inline void siphash_round(struct siphash *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = ROTATE_LEFT(s->v1, 13) ^ s->v0;
	s->v3 = ROTATE_LEFT(s->v3, 16) ^ s->v2;
	s->v0 = ROTATE_LEFT(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = ROTATE_LEFT(s->v1, 17) ^ s->v2;
	s->v3 = ROTATE_LEFT(s->v3, 21) ^ s->v0;
	s->v2 = ROTATE_LEFT(s->v2, 32);
}

static __always_inline void siphash_begin(struct siphash *s, __u64 key0, __u64 key1)
{
	s->v0 = key0 ^ 0x736f6d6570736575ULL;
	s->v1 = key1 ^ 0x646f72616e646f6dULL;
	s->v2 = key0 ^ 0x6c7967656e657261ULL;
	s->v3 = key1 ^ 0x7465646279746573ULL;
}

static __always_inline void siphash_add(struct siphash *s, __u64 word)
{
	s->v3 ^= word;
	siphash_round(s);
	s->v0 ^= word;
}

static __always_inline __u64 siphash_end(struct siphash *s)
{
	s->v2 ^= 0xff;
	for (int i = 0; i < 3; i++)
		siphash_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

#endif
