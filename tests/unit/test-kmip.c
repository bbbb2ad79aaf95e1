/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The KMIP client without a network. Vectors: KMIP 1.4 specification, 9.1.2
 * (the ten examples of TTLV); KMIP Use Cases 1.0, 3.1.1 (Create), published by
 * OASIS in hex; RFC 3394, 4.6.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "trust-authority/kmip/message.h"
#include "trust-authority/kmip/node.h"
#include "trust-authority/kmip/operations.h"
#include "trust-authority/kmip/protocol.h"
#include "trust-authority/kmip/ttlv.h"

#define TAG 0x420020	/* that of the examples */

static size_t
unhex(const char *hex, uint8_t *out, size_t room)
{
	size_t n = 0;
	unsigned int byte;

	for (; *hex != '\0'; hex += 2) {
		cr_assert_eq(sscanf(hex, "%2x", &byte), 1);
		cr_assert_lt(n, room);
		out[n++] = (uint8_t)byte;
	}
	return n;
}

static void
written_is(const struct buf *out, const char *hex)
{
	uint8_t want[1024];
	size_t n = unhex(hex, want, sizeof(want));

	cr_assert(buf_ok(out));
	cr_assert_eq(out->pos, n, "%zu bytes, not %zu", out->pos, n);
	cr_assert_arr_eq(out->data, want, n);
}

static struct buf
from(const char *hex, uint8_t room[1024])
{
	return buf_reader(room, unhex(hex, room, 1024));
}

#define INTEGER_8 "42002002000000040000000800000000"
#define LONG_INTEGER "420020030000000801B69B4BA5749200"
#define BIG_INTEGER "42002004000000100000000003FD35EB6BC2DF4618080000"
#define ENUMERATION_255 "4200200500000004000000FF00000000"
#define BOOLEAN_TRUE "42002006000000080000000000000001"
#define HELLO_WORLD "420020070000000B48656C6C6F20576F726C640000000000"
#define BYTES_123 "42002008000000030102030000000000"
#define DATE_TIME "42002009000000080000000047DA67F8"
#define INTERVAL "4200200A00000004000D2F0000000000"
#define STRUCTURE "42002001000000204200040500000004000000FE00000000" \
	"4200050200000004000000FF00000000"

Test(ttlv, writes_the_examples_of_the_specification)
{
	uint8_t room[256];
	struct buf out = buf_writer(room, sizeof(room));
	size_t begun;

	ttlv_put_integer(&out, TAG, 8);
	written_is(&out, INTEGER_8);
	out = buf_writer(room, sizeof(room));
	ttlv_put_enumeration(&out, TAG, 255);
	written_is(&out, ENUMERATION_255);
	out = buf_writer(room, sizeof(room));
	ttlv_put_boolean(&out, TAG, true);
	written_is(&out, BOOLEAN_TRUE);
	out = buf_writer(room, sizeof(room));
	ttlv_put_text(&out, TAG, "Hello World");
	written_is(&out, HELLO_WORLD);
	out = buf_writer(room, sizeof(room));
	ttlv_put_bytes(&out, TAG, "\1\2\3", 3);
	written_is(&out, BYTES_123);
	out = buf_writer(room, sizeof(room));
	ttlv_put_date_time(&out, TAG, 1205495800);	/* 2008-03-14 11:56:40 */
	written_is(&out, DATE_TIME);
	out = buf_writer(room, sizeof(room));
	begun = ttlv_begin(&out, TAG);
	ttlv_put_enumeration(&out, 0x420004, 254);
	ttlv_put_integer(&out, 0x420005, 255);
	ttlv_end(&out, begun);
	written_is(&out, STRUCTURE);
}

Test(ttlv, reads_the_examples_of_the_specification)
{
	uint8_t room[1024];
	struct buf in, inner;
	struct ttlv item;
	const uint8_t *bytes;
	char text[32];
	uint64_t wide;
	uint32_t n;
	int32_t i;
	int64_t when;
	size_t size;
	bool yes;

	in = from(INTEGER_8, room);
	cr_assert_eq(ttlv_get_integer(&in, TAG, &i), 0);
	cr_assert_eq(i, 8);
	in = from(LONG_INTEGER, room);
	cr_assert_eq(ttlv_get(&in, &item), 0);
	cr_assert_eq(item.type, TTLV_LONG_INTEGER);
	buf_get_u64be(&item.value, &wide);
	cr_assert_eq(wide, UINT64_C(123456789000000000));
	in = from(BIG_INTEGER, room);
	cr_assert_eq(ttlv_get(&in, &item), 0);
	cr_assert_eq(item.type, TTLV_BIG_INTEGER);
	cr_assert_eq(buf_left(&item.value), 16);
	in = from(ENUMERATION_255, room);
	cr_assert_eq(ttlv_get_enumeration(&in, TAG, &n), 0);
	cr_assert_eq(n, 255);
	in = from(BOOLEAN_TRUE, room);
	cr_assert_eq(ttlv_get_boolean(&in, TAG, &yes), 0);
	cr_assert(yes);
	in = from(HELLO_WORLD, room);
	cr_assert_eq(ttlv_get_text(&in, TAG, text, sizeof(text)), 0);
	cr_assert_str_eq(text, "Hello World");
	in = from(BYTES_123, room);
	cr_assert_eq(ttlv_get_bytes(&in, TAG, &bytes, &size), 0);
	cr_assert_eq(size, 3);
	cr_assert_arr_eq(bytes, "\1\2\3", 3);
	in = from(DATE_TIME, room);
	cr_assert_eq(ttlv_get_date_time(&in, TAG, &when), 0);
	cr_assert_eq(when, 1205495800);
	in = from(INTERVAL, room);
	cr_assert_eq(ttlv_get(&in, &item), 0);
	cr_assert_eq(item.type, TTLV_INTERVAL);
	in = from(STRUCTURE, room);
	cr_assert(ttlv_next_is(&in, TAG));
	cr_assert_eq(ttlv_get_structure(&in, TAG, &inner), 0);
	cr_assert_eq(ttlv_get_enumeration(&inner, 0x420004, &n), 0);
	cr_assert_eq(n, 254);
	cr_assert_eq(ttlv_get_integer(&inner, 0x420005, &i), 0);
	cr_assert_eq(i, 255);
	cr_assert_eq(buf_left(&inner), 0);
	cr_assert_eq(buf_left(&in), 0);
}

/* One thing wrong in each. */
static const char *const malformed[] = {
	"420020020000000400000008",			/* no padding */
	"42002002000000040000000800000001",		/* padding not zero */
	"42002002000000080000000800000000",		/* integer of 8 */
	"42002005000000080000000800000000",		/* enumeration of 8 */
	"42002003000000040000000800000000",		/* long of 4 */
	"4200200600000004" "0000000100000000",		/* boolean of 4 */
	"42002006000000080000000000000002",		/* boolean 2 */
	"42002009000000040000000100000000",		/* date of 4 */
	"42002004000000040000000100000000",		/* big integer of 4 */
	"4200200400000000",				/* of nothing */
	"42002001000000040000000000000000",		/* structure of 4 */
	"42002000000000040000000800000000",		/* type 0 */
	"4200200C000000040000000800000000",		/* type 12 */
	"420020080000000401020304",			/* bytes: no padding */
	"4200200800000009010203040506070809",		/* too short */
	"42002008FFFFFFFF0102030405060708",		/* longer than all */
	"42002008FFFFFFF80102030405060708",
	"4200200700000001FF00000000000000",		/* not UTF-8 */
	"4200200700000002C080000000000000",		/* long form of NUL */
	"4200200700000003EDA0800000000000",		/* a surrogate */
	"4200200700000004F490808000000000",		/* beyond Unicode */
	"4200200700000001E200000000000000",		/* cut */
	"42002007000000036100620000000000",		/* a NUL within */
	"420020",					/* cut header */
	"42002001000000104200040500000004000000FE000000", /* cut inside */
	"4200200100000010" "42000405000000080000000000000001", /* bad inside */
	"4200200100000008" "4200040500000004",	/* inner beyond outer */
};

Test(ttlv, refuses_what_is_malformed)
{
	uint8_t room[1024];

	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		struct buf in = from(malformed[i], room);

		cr_assert_eq(ttlv_check(room, in.size), ERR_FORMAT, "%s",
		    malformed[i]);
	}
	cr_assert_eq(ttlv_check(room, 0), 0);
}

Test(ttlv, takes_text_of_all_lengths_of_utf8)
{
	static const char good[] = "42002007000000" "0A" "24C2A2E282ACF09F9082"
	    "000000000000";
	uint8_t room[1024];
	struct buf in = from(good, room);
	char text[11];

	cr_assert_eq(ttlv_get_text(&in, TAG, text, sizeof(text)), 0);
	cr_assert_str_eq(text, "$\u00a2\u20ac\U0001f402");
	in = from(good, room);
	cr_assert_eq(ttlv_get_text(&in, TAG, text, 10), ERR_FORMAT,
	    "no room for the final NUL");
}

static size_t
nest(uint8_t *room, size_t size, size_t depth)
{
	struct buf out = buf_writer(room, size);
	size_t begun[64];

	for (size_t i = 0; i < depth; i++)
		begun[i] = ttlv_begin(&out, TAG);
	while (depth > 0)
		ttlv_end(&out, begun[--depth]);
	cr_assert(buf_ok(&out));
	return out.pos;
}

Test(ttlv, has_a_bottom)
{
	uint8_t room[1024];

	cr_assert_eq(ttlv_check(room, nest(room, sizeof(room),
	    TTLV_DEPTH_MAX - 1)), 0);
	cr_assert_eq(ttlv_check(room, nest(room, sizeof(room),
	    TTLV_DEPTH_MAX)), ERR_FORMAT);
	cr_assert_eq(ttlv_check(room, nest(room, sizeof(room), 64)),
	    ERR_FORMAT);
}

Test(ttlv, stays_failed)
{
	uint8_t room[1024];
	struct buf in = from(INTEGER_8 ENUMERATION_255, room);
	uint32_t n = 7;

	cr_assert_eq(ttlv_get_enumeration(&in, TAG, &n), ERR_FORMAT);
	cr_assert_eq(n, 0);
	cr_assert_eq(ttlv_get_enumeration(&in, TAG, &n), ERR_FORMAT);
	cr_assert(!buf_ok(&in));
}

/* -- messages -- */

/* KMIP Use Cases 1.0, 3.1.1: Create of an AES key of 128 bits for Encrypt and
 * Decrypt, from the request payload's value on. */
#define USE_CASE_PAYLOAD_128 \
	"42005705000000040000000200000000" "42009101000000A8" \
	"4200080100000030" \
	"42000A070000001743727970746F6772617068696320416C676F726974686D00" \
	"42000B05000000040000000300000000" \
	"4200080100000030" \
	"42000A070000001443727970746F67726170686963204C656E67746800000000" \
	"42000B02000000040000008000000000" \
	"4200080100000030" \
	"42000A070000001843727970746F67726170686963205573616765204D61736B" \
	"42000B02000000040000000C00000000"
/* Where the length is in it. */
#define USE_CASE_LENGTH_AT 130

/* The response to it. */
#define USE_CASE_ANSWER "42007B01000000C0" \
	"42007A0100000048420069010000002042006A02000000040000000100000000" \
	"42006B02000000040000000000000000" "4200920900000008000000004AFBE7C2" \
	"42000D02000000040000000100000000" "42000F0100000068" \
	"42005C05000000040000000100000000" "42007F05000000040000000000000000" \
	"42007C0100000040" "42005705000000040000000200000000" \
	"4200940700000024" \
	"66633838333364652D373064322D346563652D623036332D66656465336133633539" \
	"666500000000"

Test(message, create_is_as_in_the_use_case)
{
	struct kmip_key_spec spec = { .usage = KMIP_USE_ENCRYPT |
	    KMIP_USE_DECRYPT };
	uint8_t room[512], want[512];
	struct buf out = buf_writer(room, sizeof(room));
	size_t n = unhex(USE_CASE_PAYLOAD_128, want, sizeof(want));

	operation_create.put(&out, (struct kmip_version){ 1, 1 }, &spec);
	/* Ours has 256 bits: 0x100 instead of 0x80. */
	cr_assert_eq(want[USE_CASE_LENGTH_AT + 1], 0x80);
	want[USE_CASE_LENGTH_AT] = 0x01;
	want[USE_CASE_LENGTH_AT + 1] = 0x00;
	cr_assert_eq(out.pos, n);
	cr_assert_arr_eq(room, want, n);
}

Test(message, reads_the_answer_of_the_use_case)
{
	struct buf in = buf_reader("", 0);
	uint8_t room[1024];
	struct response r;
	char id[KMIP_TEXT_SIZE];
	struct request q = { { 1, 0 }, OPERATION_CREATE, 1, 0, 0, 0 };
	struct err err = { 0 };
	size_t n;

	(void)in;
	n = unhex(USE_CASE_ANSWER, room, sizeof(room));
	/* That request had no id; ours always has, so a success without is
	 * not for us. */
	cr_assert_eq(response_read(room, n, &q, &r, &err), ERR_FORMAT);
	cr_assert(strstr(err.text, "not to this request"), "%s", err.text);
	/* With the id 0000000000000001 put in. */
	memmove(room + 0x60 + 16 + 16, room + 0x60 + 16, n - 0x60 - 16);
	cr_assert_eq(unhex("42009308000000080000000000000001",
	    room + 0x60 + 8 + 8, 16), 16);
	n += 16;
	room[7] = 0xd0;
	room[0x5f] = 0x78;
	cr_assert_eq(response_read(room, n, &q, &r, &err), 0, "%s", err.text);
	cr_assert_eq(r.status, STATUS_SUCCESS);
	cr_assert_eq(operation_create.take(&r.payload, r.version, NULL, id,
	    &err), 0);
	cr_assert_str_eq(id, "fc8833de-70d2-4ece-b063-fede3a3c59fe");
	q.id = 2;
	cr_assert_eq(response_read(room, n, &q, &r, &err), ERR_FORMAT);
	q.id = 1;
	q.operation = OPERATION_GET;
	cr_assert_eq(response_read(room, n, &q, &r, &err), ERR_FORMAT);
	q.operation = OPERATION_CREATE;
	q.version.minor = 1;
	cr_assert_eq(response_read(room, n, &q, &r, &err), ERR_FORMAT);
	cr_assert(strstr(err.text, "KMIP 1.0"), "%s", err.text);
}

/* RFC 3394, 4.6: 256 bits of key data wrapped with a 256-bit KEK. */
#define KEK "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F"
#define KEY "00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F"
#define WRAPPED "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99" \
	"F43BFB988B9B7A02DD21"

static void
put_key_answer(struct buf *out, const uint8_t *bytes, size_t size,
    bool wrapped)
{
	size_t object, block, value, data;

	ttlv_put_enumeration(out, TAG_OBJECT_TYPE, 2);
	ttlv_put_text(out, TAG_UNIQUE_IDENTIFIER, "key");
	object = ttlv_begin(out, TAG_SYMMETRIC_KEY);
	block = ttlv_begin(out, TAG_KEY_BLOCK);
	ttlv_put_enumeration(out, TAG_KEY_FORMAT_TYPE, 1);
	value = ttlv_begin(out, TAG_KEY_VALUE);
	ttlv_put_bytes(out, TAG_KEY_MATERIAL, bytes, size);
	ttlv_end(out, value);
	ttlv_put_enumeration(out, TAG_CRYPTOGRAPHIC_ALGORITHM, 3);
	ttlv_put_integer(out, TAG_CRYPTOGRAPHIC_LENGTH, 256);
	if (wrapped) {
		data = ttlv_begin(out, TAG_KEY_WRAPPING_DATA);
		ttlv_put_enumeration(out, TAG_WRAPPING_METHOD, 1);
		ttlv_end(out, data);
	}
	ttlv_end(out, block);
	ttlv_end(out, object);
	cr_assert(buf_ok(out));
}

Test(get, unwraps_as_rfc_3394)
{
	uint8_t kek[32], key[32], wrapped[40], room[512];
	struct get_request r = { .id = "key", .wrapping_id = "kek" };
	struct buf out = buf_writer(room, sizeof(room)), in;
	struct secret *got = NULL, *wrapping;
	struct err err = { 0 };

	unhex(KEK, kek, sizeof(kek));
	unhex(KEY, key, sizeof(key));
	cr_assert_eq(unhex(WRAPPED, wrapped, sizeof(wrapped)), 40);
	r.wrapping_key = wrapping = secret_from(kek, sizeof(kek));
	put_key_answer(&out, wrapped, sizeof(wrapped), true);
	in = buf_reader(room, out.pos);
	cr_assert_eq(operation_get.take(&in, (struct kmip_version){ 1, 4 },
	    &r, &got, &err), 0, "%s", err.text);
	cr_assert_eq(secret_size(got), 32);
	cr_assert_arr_eq(secret_bytes(got), key, 32);
	secret_free(got);
	/* Any bit of it altered. */
	for (size_t bit = 0; bit < sizeof(wrapped) * 8; bit++) {
		wrapped[bit / 8] ^= (uint8_t)(1 << bit % 8);
		out = buf_writer(room, sizeof(room));
		put_key_answer(&out, wrapped, sizeof(wrapped), true);
		in = buf_reader(room, out.pos);
		cr_assert_eq(operation_get.take(&in,
		    (struct kmip_version){ 1, 4 }, &r, &got, &err), ERR_AUTH);
		cr_assert_null(got);
		cr_assert(buf_ok(&in), "the node is not at fault");
		wrapped[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	secret_free(wrapping);
}

/* -- nodes -- */

static void
parses(const char *text, const char *host, const char *port)
{
	struct node n = { 0 };
	struct err err = { 0 };

	cr_assert_eq(node_parse(&n, text, &err), 0, "%s: %s", text, err.text);
	cr_assert_str_eq(n.host, host);
	cr_assert_str_eq(n.port, port);
	cr_assert_str_eq(n.name, text);
}

Test(node, takes_names_and_addresses)
{
	static const char *const bad[] = { "", ":5696", "host:", "host:0",
		"host:65536", "host:12x", "host:123456", "2001:db8::1",
		"[2001:db8::1", "[]", "[]:1", "[::1]5696", "[::1]:" };
	struct node n;
	struct err err;

	parses("kms.example", "kms.example", "5696");
	parses("kms.example:9002", "kms.example", "9002");
	parses("192.0.2.1:65535", "192.0.2.1", "65535");
	parses("[2001:db8::1]", "2001:db8::1", "5696");
	parses("[2001:db8::1]:1", "2001:db8::1", "1");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&n, 0, sizeof(n));
		cr_assert_eq(node_parse(&n, bad[i], &err), ERR_USAGE, "%s",
		    bad[i]);
	}
}

Test(node, pauses_double_and_differ)
{
	uint32_t least = UINT32_MAX, most = 0;

	for (int i = 0; i < 1000; i++) {
		uint32_t pause = node_pause(4, 100, 10000);

		cr_assert_geq(pause, 400);
		cr_assert_leq(pause, 800);
		least = pause < least ? pause : least;
		most = pause > most ? pause : most;
	}
	cr_assert_lt(least, 450, "not spread: from %u", least);
	cr_assert_gt(most, 750, "not spread: to %u", most);
	cr_assert_leq(node_pause(1, 100, 10000), 100);
	cr_assert_geq(node_pause(1, 100, 10000), 50);
	cr_assert_leq(node_pause(UINT32_MAX, 100, 10000), 10000);
	cr_assert_geq(node_pause(UINT32_MAX, 100, 10000), 5000);
}

Test(node, is_tried_by_one_at_a_time)
{
	struct node n = { 0 };

	cr_assert(node_claim(&n));
	cr_assert(node_claim(&n), "as long as it is not known to be down");
	cr_assert(node_failed(&n, "gone", 10000, 10000));
	cr_assert(!node_failed(&n, "gone", 10000, 10000),
	    "the second of those that failed together does not count");
	cr_assert_eq(n.failures, 1);
	cr_assert(!node_claim(&n), "not before its pause is over");
	n.next_try = 0;
	cr_assert(node_claim(&n));
	cr_assert(!node_claim(&n), "one at a time");
	cr_assert(!node_failed(&n, "gone", 10000, 10000));
	cr_assert_eq(n.failures, 2);
	n.next_try = 0;
	cr_assert(node_claim(&n));
	cr_assert(node_succeeded(&n));
	cr_assert_eq(n.failures, 0);
	cr_assert(node_claim(&n) && node_claim(&n));
}
