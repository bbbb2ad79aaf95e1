/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include <string.h>

#include "base/buf.h"
#include "base/err.h"

Test(buf, integers_are_big_endian)
{
	static const uint8_t in[] = { 0x80, 0x01, 0x23, 0x45, 0x67, 0x89,
		0xab, 0xcd, 0xef, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54 };
	struct buf b = buf_reader(in, sizeof(in));
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	cr_assert_eq(buf_get_u8(&b, &u8), 0);
	cr_assert_eq(u8, 0x80);
	cr_assert_eq(buf_get_u16be(&b, &u16), 0);
	cr_assert_eq(u16, 0x0123);
	cr_assert_eq(buf_get_u32be(&b, &u32), 0);
	cr_assert_eq(u32, 0x456789ab);
	cr_assert_eq(buf_get_u64be(&b, &u64), 0);
	cr_assert_eq(u64, 0xcdeffedcba987654);
	cr_assert(buf_ok(&b));
	cr_assert_eq(buf_left(&b), 0);
}

Test(buf, writes_are_big_endian)
{
	static const uint8_t want[] = { 0x80, 0x01, 0x23, 0x45, 0x67, 0x89,
		0xab, 0xcd, 0xef, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0, 0 };
	uint8_t room[sizeof(want)];
	struct buf b = buf_writer(room, sizeof(room));

	memset(room, 0xff, sizeof(room));
	buf_put_u8(&b, 0x80);
	buf_put_u16be(&b, 0x0123);
	buf_put_u32be(&b, 0x456789ab);
	buf_put_u64be(&b, 0xcdeffedcba987654);
	buf_put_zero(&b, 2);
	cr_assert(buf_ok(&b));
	cr_assert_arr_eq(room, want, sizeof(want));
}

/* One byte too few for each integer: an error, a zero, and failed for good
 * even where a later one would fit. */
Test(buf, a_short_read_fails_for_good)
{
	static const uint8_t in[7] = { 1, 2, 3, 4, 5, 6, 7 };

	for (size_t n = 0; n < 8; n++) {
		struct buf b = buf_reader(in, n < 7 ? n : 7);
		uint64_t u64 = 9;
		uint8_t u8 = 9;

		cr_assert_eq(buf_get_u64be(&b, &u64), ERR_FORMAT);
		cr_assert_eq(u64, 0);
		cr_assert(!buf_ok(&b));
		cr_assert_eq(buf_left(&b), 0);
		cr_assert_eq(buf_get_u8(&b, &u8), ERR_FORMAT);
		cr_assert_eq(u8, 0);
	}
}

Test(buf, a_full_writer_writes_nothing_past_its_end)
{
	uint8_t room[4] = { 0, 0, 0, 0x5a };
	struct buf b = buf_writer(room, 3);

	cr_assert_eq(buf_put_u32be(&b, 0xffffffff), ERR_FORMAT);
	cr_assert_eq(buf_put_u8(&b, 0xff), ERR_FORMAT);
	cr_assert(!buf_ok(&b));
	cr_assert_eq(room[0], 0);
	cr_assert_eq(room[3], 0x5a);
}

Test(buf, a_reader_cannot_be_written)
{
	uint8_t in[4] = { 1, 2, 3, 4 };
	struct buf b = buf_reader(in, sizeof(in));

	cr_assert_eq(buf_put_u8(&b, 9), ERR_FORMAT);
	cr_assert_eq(in[0], 1);
	b = buf_reader(in, sizeof(in));
	cr_assert_eq(buf_get_bytes(&b, NULL, 4), 0);
	cr_assert_eq(buf_patch_u16be(&b, 0, 9), ERR_FORMAT);
	cr_assert_eq(in[1], 2);
}

/* Lengths that would wrap an addition of position and size. */
Test(buf, huge_lengths_do_not_wrap)
{
	static const uint8_t in[8];
	struct buf b = buf_reader(in, sizeof(in)), sub;
	const uint8_t *ref;

	buf_get_bytes(&b, NULL, 4);
	cr_assert_eq(buf_get_bytes(&b, NULL, SIZE_MAX - 3), ERR_FORMAT);
	b = buf_reader(in, sizeof(in));
	buf_get_bytes(&b, NULL, 4);
	cr_assert_eq(buf_get_ref(&b, &ref, SIZE_MAX), ERR_FORMAT);
	cr_assert_null(ref);
	b = buf_reader(in, sizeof(in));
	buf_get_bytes(&b, NULL, 1);
	cr_assert_eq(buf_get_sub(&b, &sub, SIZE_MAX), ERR_FORMAT);
	cr_assert(!buf_ok(&sub));
	cr_assert_eq(buf_left(&sub), 0);
}

Test(buf, a_sub_reader_ends_where_it_should)
{
	static const uint8_t in[] = { 1, 2, 3, 4, 5 };
	struct buf b = buf_reader(in, sizeof(in)), sub;
	uint16_t u16;
	uint8_t u8;

	cr_assert_eq(buf_get_sub(&b, &sub, 3), 0);
	cr_assert_eq(buf_get_u16be(&sub, &u16), 0);
	cr_assert_eq(u16, 0x0102);
	cr_assert_eq(buf_get_u16be(&sub, &u16), ERR_FORMAT);
	cr_assert(buf_ok(&b), "the outer one is not touched");
	cr_assert_eq(buf_get_u8(&b, &u8), 0);
	cr_assert_eq(u8, 4);
}

/* TPM 2.0 Part 2, 10.4.2: a TPM2B is a UINT16 size and that many bytes. */
Test(buf, tpm2b)
{
	static const uint8_t want[] = { 0, 3, 'a', 'b', 'c', 0, 0 };
	uint8_t room[sizeof(want)];
	struct buf b = buf_writer(room, sizeof(room));
	const uint8_t *data;
	size_t n;

	cr_assert_eq(buf_put_tpm2b(&b, "abc", 3), 0);
	cr_assert_eq(buf_put_tpm2b(&b, NULL, 0), 0);
	cr_assert_arr_eq(room, want, sizeof(want));
	b = buf_reader(room, sizeof(room));
	cr_assert_eq(buf_get_tpm2b(&b, &data, &n), 0);
	cr_assert_eq(n, 3);
	cr_assert_arr_eq(data, "abc", 3);
	cr_assert_eq(buf_get_tpm2b(&b, &data, &n), 0);
	cr_assert_eq(n, 0);
	cr_assert_eq(buf_get_tpm2b(&b, &data, &n), ERR_FORMAT);
	cr_assert_null(data);
}

Test(buf, a_tpm2b_that_claims_more_than_there_is)
{
	static const uint8_t in[] = { 0, 4, 'a', 'b', 'c' };
	struct buf b = buf_reader(in, sizeof(in));
	const uint8_t *data;
	size_t n;

	cr_assert_eq(buf_get_tpm2b(&b, &data, &n), ERR_FORMAT);
	cr_assert_eq(n, 0);
}

Test(buf, a_tpm2b_of_more_than_16_bits)
{
	static uint8_t room[70000];
	struct buf b = buf_writer(room, sizeof(room));
	static const uint8_t data[65536];

	cr_assert_eq(buf_put_tpm2b(&b, data, 65536), ERR_FORMAT);
	cr_assert(!buf_ok(&b));
	b = buf_writer(room, sizeof(room));
	cr_assert_eq(buf_put_tpm2b(&b, data, 65535), 0);
}

Test(buf, patches_only_what_was_written)
{
	uint8_t room[8] = { 0 };
	struct buf b = buf_writer(room, sizeof(room));

	buf_put_zero(&b, 6);
	cr_assert_eq(buf_patch_u32be(&b, 2, 0x01020304), 0);
	cr_assert_eq(room[2], 1);
	cr_assert_eq(room[5], 4);
	cr_assert_eq(buf_patch_u16be(&b, 5, 0xffff), ERR_FORMAT);
	cr_assert_eq(room[6], 0);
	b = buf_writer(room, sizeof(room));
	cr_assert_eq(buf_patch_u16be(&b, SIZE_MAX, 1), ERR_FORMAT);
}

Test(buf, little_endian)
{
	static const uint8_t bytes[] = { 2, 1, 4, 3, 2, 1, 8, 7, 6, 5, 4, 3, 2,
		1, 9 };
	struct buf b = buf_reader(bytes, sizeof(bytes));
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	cr_assert_eq(buf_get_u16le(&b, &u16), 0);
	cr_assert_eq(u16, 0x0102);
	cr_assert_eq(buf_get_u32le(&b, &u32), 0);
	cr_assert_eq(u32, 0x01020304);
	cr_assert_eq(buf_get_u64le(&b, &u64), 0);
	cr_assert_eq(u64, 0x0102030405060708);
	cr_assert_eq(buf_get_u32le(&b, &u32), ERR_FORMAT);
	cr_assert_eq(u32, 0);
	cr_assert(!buf_ok(&b));
}
