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

	for (size_t i = 0; i < size; i++) {
		bits = bits << 8 | in[i];
		for (have += 8; have >= 6; have -= 6)
			*out++ = alphabet[bits >> (have - 6) & 63];
	}
	if (have > 0)
		*out++ = alphabet[bits << (6 - have) & 63];
	*out = '\0';
}

static int
value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

int
base64url_decode(const char *text, size_t length, uint8_t *out, size_t *size)
{
	size_t room = *size, n = 0;
	unsigned int have = 0;
	uint32_t bits = 0;

	if (length % 4 == 1)
		return ERR_FORMAT;
	for (size_t i = 0; i < length; i++) {
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
