/* SPDX-License-Identifier: BSD-3-Clause */
/* Expected octets from X.690 itself (8.19.5, 8.21 ...) and from libcrypto. */
#include <criterion/criterion.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/objects.h>

#include "vtpm/der.h"

static uint8_t room[70000];

static void
expect(const struct buf *b, const void *want, size_t n)
{
	cr_assert(buf_ok(b));
	cr_assert_eq(b->pos, n, "%zu octets, wanted %zu", b->pos, n);
	cr_assert_arr_eq(room, want, n);
}

Test(der, integers_are_as_libcrypto_has_them)
{
	static const uint32_t values[] = { 0, 1, 0x7f, 0x80, 0xff, 0x100,
		0x7fff, 0x8000, 0xffff, 0x7fffff, 0x800000, 0x7fffffff,
		0x80000000, 0xffffffff };

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct buf b = buf_writer(room, sizeof(room));
		ASN1_INTEGER *n = ASN1_INTEGER_new();
		unsigned char *der = NULL;
		int size;

		cr_assert_eq(ASN1_INTEGER_set_uint64(n, values[i]), 1);
		size = i2d_ASN1_INTEGER(n, &der);
		der_integer(&b, values[i]);
		expect(&b, der, (size_t)size);
		OPENSSL_free(der);
		ASN1_INTEGER_free(n);
	}
}

Test(der, object_identifiers_are_as_libcrypto_has_them)
{
	static const char *const oids[] = { "2.5.29.17", "2.23.133.8.1",
		"2.23.133.5.1.6", "1.2.840.10045.4.3.3", "1.3.6.1.5.5.7.2.2",
		"2.5.29.32.0", "1.2.16383.16384.2097151" };

	for (size_t i = 0; i < sizeof(oids) / sizeof(oids[0]); i++) {
		struct buf b = buf_writer(room, sizeof(room));
		ASN1_OBJECT *o = OBJ_txt2obj(oids[i], 1);
		unsigned char *der = NULL;
		int size = i2d_ASN1_OBJECT(o, &der);

		der_oid(&b, oids[i]);
		expect(&b, der, (size_t)size);
		OPENSSL_free(der);
		ASN1_OBJECT_free(o);
	}
}

/* X.690 8.1.3: 127 in the short form, 128 and 256 in the long one. */
Test(der, lengths)
{
	static const struct {
		size_t size;
		uint8_t head[4];
		size_t n;
	} cases[] = {
		{ 0, { 0x04, 0x00 }, 2 },
		{ 127, { 0x04, 0x7f }, 2 },
		{ 128, { 0x04, 0x81, 0x80 }, 3 },
		{ 255, { 0x04, 0x81, 0xff }, 3 },
		{ 256, { 0x04, 0x82, 0x01, 0x00 }, 4 },
		{ 65535, { 0x04, 0x82, 0xff, 0xff }, 4 },
	};
	static const uint8_t data[65536] = { [0] = 0xab };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf b = buf_writer(room, sizeof(room));

		der_bytes(&b, DER_OCTET_STRING, data, cases[i].size);
		cr_assert(buf_ok(&b));
		cr_assert_eq(b.pos, cases[i].n + cases[i].size);
		cr_assert_arr_eq(room, cases[i].head, cases[i].n);
		cr_assert_arr_eq(room + cases[i].n, data, cases[i].size);
	}
}

Test(der, nesting)
{
	struct buf b = buf_writer(room, sizeof(room));
	size_t mark = der_mark(&b);

	/* X.690 8.9.3's example shape: a sequence of a boolean and a text. */
	der_true(&b);
	der_text(&b, DER_UTF8, "Smith");
	der_bit_string(&b, "\x0a\x3b", 2);
	der_wrap(&b, mark, DER_SEQUENCE);
	expect(&b, "\x30\x0f\x01\x01\xff\x0c\x05Smith\x03\x03\x00\x0a\x3b",
	    17);
}

Test(der, what_does_not_fit_fails)
{
	struct buf b = buf_writer(room, 8);
	static const uint8_t big[65536];

	der_text(&b, DER_UTF8, "too long for it");
	cr_assert_not(buf_ok(&b));
	b = buf_writer(room, 5);
	der_text(&b, DER_UTF8, "exact");	/* but not its header */
	cr_assert_not(buf_ok(&b));
	b = buf_writer(room, sizeof(room));
	der_bytes(&b, DER_OCTET_STRING, big, sizeof(big));
	cr_assert_not(buf_ok(&b));
}

Test(der, what_is_no_oid_fails)
{
	static const char *const bad[] = { "", "2", "2.5.x" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct buf b = buf_writer(room, sizeof(room));

		der_oid(&b, bad[i]);
		cr_assert_not(buf_ok(&b), "'%s' was taken", bad[i]);
	}
}
