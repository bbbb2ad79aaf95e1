/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/uuid.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int
uuid_parse(const char *text, uint8_t uuid[UUID_SIZE])
{
	size_t byte = 0;

	if (strlen(text) != UUID_TEXT_SIZE - 1)
		return ERR_FORMAT;
	for (size_t i = 0; i < UUID_TEXT_SIZE - 1;) {
		int hi, lo;

		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i++] != '-')
				return ERR_FORMAT;
			continue;
		}
		hi = hex_value(text[i]);
		lo = hex_value(text[i + 1]);
		if (hi < 0 || lo < 0)
			return ERR_FORMAT;
		uuid[byte++] = (uint8_t)(hi << 4 | lo);
		i += 2;
	}
	return 0;
}

void
uuid_format(const uint8_t uuid[UUID_SIZE], char text[UUID_TEXT_SIZE])
{
	size_t at = 0;

	for (size_t i = 0; i < UUID_SIZE; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			text[at++] = '-';
		snprintf(text + at, 3, "%02x", uuid[i]);
		at += 2;
	}
}

int
uuid_generate(uint8_t uuid[UUID_SIZE])
{
	if (getrandom(uuid, UUID_SIZE, 0) != UUID_SIZE)
		return ERR_SYSTEM;
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
	return 0;
}
