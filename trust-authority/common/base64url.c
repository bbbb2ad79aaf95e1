/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/common/base64url.h"

#include "base/err.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "abcdefghijklmnopqrstuvwxyz0123456789-_";

void
base64url_encode(const void *data, size_t size, char *out)
{
	const uint8_t *in = data;
	uint32_t bits = 0;
	unsigned int have = 0;
	size_t i = 0;

	for (; size - i >= 3; i += 3) {
		bits = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 |
		    in[i + 2];
		*out++ = alphabet[bits >> 18];
		*out++ = alphabet[bits >> 12 & 63];
		*out++ = alphabet[bits >> 6 & 63];
		*out++ = alphabet[bits & 63];
	}
	for (; i < size; i++) {
		bits = bits << 8 | in[i];
		for (have += 8; have >= 6; have -= 6)
			*out++ = alphabet[bits >> (have - 6) & 63];
	}
	if (have > 0)
		*out++ = alphabet[bits << (6 - have) & 63];
	*out = '\0';
}

/* Of each character its value and one, 0: none of the alphabet. The logs of a
 * host pass here: no branches by character. */
static const uint8_t value_and_one[256] = {
	['A'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18,
	19, 20, 21, 22, 23, 24, 25, 26,
	['a'] = 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42,
	43, 44, 45, 46, 47, 48, 49, 50, 51, 52,
	['0'] = 53, 54, 55, 56, 57, 58, 59, 60, 61, 62,
	['-'] = 63, ['_'] = 64,
};

static int
value_of(char c)
{
	return value_and_one[(unsigned char)c] - 1;
}

/* Four characters to three bytes. */
static int
decode_four(const char *text, uint8_t *out)
{
	uint32_t a = (uint32_t)value_of(text[0]);
	uint32_t b = (uint32_t)value_of(text[1]);
	uint32_t c = (uint32_t)value_of(text[2]);
	uint32_t d = (uint32_t)value_of(text[3]);
	uint32_t bits = a << 18 | b << 12 | c << 6 | d;

	/* A -1 among them. */
	if ((a | b | c | d) & ~63u)
		return ERR_FORMAT;
	out[0] = (uint8_t)(bits >> 16);
	out[1] = (uint8_t)(bits >> 8);
	out[2] = (uint8_t)bits;
	return 0;
}

int
base64url_decode(const char *text, size_t length, uint8_t *out, size_t *size)
{
	size_t room = *size, n = 0, i = 0;
	unsigned int have = 0;
	uint32_t bits = 0;

	if (length % 4 == 1)
		return ERR_FORMAT;
	for (; length - i >= 4 && room - n >= 3; i += 4, n += 3)
		if (decode_four(text + i, out + n) < 0)
			return ERR_FORMAT;
	for (; i < length; i++) {
		int v = value_of(text[i]);

		if (v < 0)
			return ERR_FORMAT;
		bits = bits << 6 | (uint32_t)v;
		have += 6;
		if (have < 8)
			continue;
		if (n == room)
			return ERR_FORMAT;
		have -= 8;
		out[n++] = (uint8_t)(bits >> have);
	}
	/* Bits that nobody reads would make two texts of one value. */
	if ((bits & ((1u << have) - 1)) != 0)
		return ERR_FORMAT;
	*size = n;
	return 0;
}
