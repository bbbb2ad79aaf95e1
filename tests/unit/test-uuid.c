/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include <string.h>

#include "base/err.h"
#include "base/uuid.h"

/* RFC 4122, appendix C: the name space for DNS. */
static const char text[] = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
static const uint8_t bytes[UUID_SIZE] = { 0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad,
	0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8 };

Test(uuid, parse_and_format)
{
	uint8_t uuid[UUID_SIZE];
	char out[UUID_TEXT_SIZE];

	cr_assert_eq(uuid_parse(text, uuid), 0);
	cr_assert_arr_eq(uuid, bytes, UUID_SIZE);
	uuid_format(bytes, out);
	cr_assert_str_eq(out, text);
}

/* RFC 4122, 3: "output as lower case and are case insensitive on input". */
Test(uuid, upper_case)
{
	uint8_t uuid[UUID_SIZE];

	cr_assert_eq(uuid_parse("6BA7B810-9DAD-11D1-80B4-00C04FD430C8", uuid),
	    0);
	cr_assert_arr_eq(uuid, bytes, UUID_SIZE);
}

Test(uuid, refuses_all_else)
{
	static const char *const bad[] = { "",
		"6ba7b810-9dad-11d1-80b4-00c04fd430c",
		"6ba7b810-9dad-11d1-80b4-00c04fd430c8a",
		"6ba7b8109dad11d180b400c04fd430c8",
		"6ba7b810-9dad-11d1-80b4-00c04fd430cg",
		"6ba7b810-9dad-11d1-80b4 00c04fd430c8",
		"6ba7b81-09dad-11d1-80b4-00c04fd430c8",
		"{ba7b810-9dad-11d1-80b4-00c04fd430c}",
		" ba7b810-9dad-11d1-80b4-00c04fd430c8",
		"0xa7b810-9dad-11d1-80b4-00c04fd430c8" };
	uint8_t uuid[UUID_SIZE];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_assert_eq(uuid_parse(bad[i], uuid), ERR_FORMAT, "%s",
		    bad[i]);
}

/* RFC 4122, 4.4: version 4 in the high bits of octet 6, variant 10 in those
 * of octet 8, the rest random. */
Test(uuid, generates_version_4)
{
	uint8_t seen[64][UUID_SIZE], ones[UUID_SIZE] = { 0 };

	for (int i = 0; i < 64; i++) {
		cr_assert_eq(uuid_generate(seen[i]), 0);
		cr_assert_eq(seen[i][6] >> 4, 4);
		cr_assert_eq(seen[i][8] >> 6, 2);
		for (int j = 0; j < i; j++)
			cr_assert_neq(memcmp(seen[i], seen[j], UUID_SIZE), 0);
		for (int j = 0; j < UUID_SIZE; j++)
			ones[j] |= seen[i][j];
	}
	/* A bit that is 0 in 64 random ones: 1 in 2^64 each. */
	for (int j = 0; j < UUID_SIZE; j++)
		cr_assert_eq(ones[j], j == 6 ? 0x4f : j == 8 ? 0xbf : 0xff);
}
