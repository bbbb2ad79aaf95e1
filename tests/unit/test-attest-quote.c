/* SPDX-License-Identifier: BSD-3-Clause */
/* Quotes of a real boot, and every way that one can be wrong. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/attest-fixture.h"

#define BINDING ((const uint8_t *)GOLDEN_BINDING)

static const struct {
	const char *name, *bank;
} boots[] = {
	{ "crb-chain", "sha256" }, { "tis-kernel", "sha256" },
	{ "tis-off", "sha384" }, { "crb-ima1", "sha256" },
};

/* Expects this code, and this in the message. */
#define REFUSED(call, code, words) do { \
	struct err err = { 0 }; \
	cr_assert_eq((call), (code), "%s", err.text); \
	cr_assert(strstr(err.text, (words)) != NULL, "%s", err.text); \
} while (0)

Test(quote, real_ones_verify)
{
	for (size_t i = 0; i < 4; i++) {
		struct golden g = golden_read(boots[i].name,
		    hash_by_name(boots[i].bank));
		struct evidence ev = golden_evidence(&g);
		struct err err = { 0 };
		struct quote q;

		cr_assert_eq(quote_verify(&ev.quote, g.ak, g.ek, BINDING, &q,
		    &err), 0, "%s: %s", boots[i].name, err.text);
		cr_assert_eq(q.pcrs.count, 1);
		cr_assert_eq(q.pcrs.bank[0].mask, 0x7fff);
		cr_assert_eq(q.clock.restarts, 0);
		golden_free(&g);
	}
}

Test(quote, of_another_tpm)
{
	struct golden a = golden_read("crb-chain", hash_by_name("sha256"));
	struct golden b = golden_read("tis-kernel", hash_by_name("sha256"));
	struct evidence ev = golden_evidence(&b);
	struct quote q;

	REFUSED(quote_verify(&ev.quote, a.ak, a.ek, BINDING, &q, &err),
	    ERR_AUTH, "not one that this key made");
	/* Its AK, but not under this EK. */
	REFUSED(quote_verify(&ev.quote, b.ak, a.ek, BINDING, &q, &err),
	    ERR_REFUSED, "a child of the endorsement key");
	REFUSED(quote_verify(&ev.quote, b.ak, NULL, BINDING, &q, &err),
	    ERR_REFUSED, "a primary object");
	golden_free(&a);
	golden_free(&b);
}

Test(quote, every_byte_counts)
{
	struct golden g = golden_read("crb-chain", hash_by_name("sha256"));
	struct evidence ev = golden_evidence(&g);
	struct quote q;

	for (size_t i = 0; i < g.attest.size; i++) {
		g.attest.data[i] ^= 1;
		REFUSED(quote_verify(&ev.quote, g.ak, g.ek, BINDING, &q, &err),
		    ERR_AUTH, "quote: ");
		g.attest.data[i] ^= 1;
	}
	for (size_t i = 0; i < g.values.size; i++) {
		g.values.data[i] ^= 0x80;
		REFUSED(quote_verify(&ev.quote, g.ak, g.ek, BINDING, &q, &err),
		    ERR_REFUSED, "not those that were quoted");
		g.values.data[i] ^= 0x80;
	}
	for (size_t i = 0; i < g.signature.size; i++) {
		g.signature.data[i] ^= 1;
		cr_assert_lt(quote_verify(&ev.quote, g.ak, g.ek, BINDING, &q,
		    NULL), 0);
		g.signature.data[i] ^= 1;
	}
	for (ev.quote.signature_size = 0; ev.quote.signature_size <
	    g.signature.size; ev.quote.signature_size++)
		cr_assert_lt(quote_verify(&ev.quote, g.ak, g.ek, BINDING, &q,
		    NULL), 0);
	golden_free(&g);
}

Test(quote, old_nonce)
{
	struct golden g = golden_read("crb-chain", hash_by_name("sha256"));
	struct evidence ev = golden_evidence(&g);
	uint8_t other[QUOTE_BINDING_SIZE];
	struct quote q;

	memcpy(other, BINDING, sizeof(other));
	other[31] ^= 1;
	REFUSED(quote_verify(&ev.quote, g.ak, g.ek, other, &q, &err),
	    ERR_STALE, "an old quote");
	golden_free(&g);
}

/* Python: sha256(b"vta-quote-1\0" + b"\0\3abc" + b"\0\2KK").hexdigest() */
Test(quote, binding)
{
	uint8_t got[QUOTE_BINDING_SIZE], other[QUOTE_BINDING_SIZE];
	char hex[HASH_HEX_SIZE];

	cr_assert_eq(quote_binding((const uint8_t *)"abc", 3,
	    (const uint8_t *)"KK", 2, got, NULL), 0);
	hash_hex(got, sizeof(got), hex);
	cr_assert_str_eq(hex, "db785dab8851001e4d48375466ffa235"
	    "4d46bf0ea5180b210915a26fb59908c6");
	/* Where the nonce ends is part of it. */
	cr_assert_eq(quote_binding((const uint8_t *)"abcK", 4,
	    (const uint8_t *)"K", 1, other, NULL), 0);
	cr_assert_neq(memcmp(got, other, sizeof(got)), 0);
}

static int
soft_verify(const struct soft_quote *sq, const struct soft_ak *ak,
    struct err *err)
{
	struct soft_parts p = soft_quote_sign(sq, ak);
	struct quote_parts parts = { p.attest.data, p.signature.data,
		p.values.data, p.attest.size, p.signature.size,
		p.values.size };
	struct quote q;
	int rc = quote_verify(&parts, ak->key, NULL, BINDING, &q, err);

	soft_parts_free(&p);
	return rc;
}

Test(quote, schemes)
{
	static const struct {
		const char *type;
		uint16_t scheme, hash;
	} list[] = {
		{ "P-256", TPM_ALG_ECDSA, TPM_ALG_SHA256 },
		{ "P-384", TPM_ALG_ECDSA, 0x000c },
		{ "RSA", TPM_ALG_RSASSA, TPM_ALG_SHA256 },
		{ "RSA", TPM_ALG_RSAPSS, TPM_ALG_SHA256 },
		{ "RSA", TPM_ALG_RSAPSS, 0x000c },
	};
	struct soft_quote q = soft_quote_new(hash_by_name("sha384"), 0xff);

	for (size_t i = 0; i < 5; i++) {
		struct soft_ak ak = soft_ak_new(list[i].type, list[i].scheme,
		    list[i].hash, SOFT_AK_ATTRIBUTES);
		struct err err = { 0 };

		cr_assert_eq(soft_verify(&q, &ak, &err), 0, "%zu: %s", i,
		    err.text);
		soft_ak_free(&ak);
	}
}

/* What no TPM signs with a restricted key, or what is not for us. */
Test(quote, contents)
{
	struct soft_ak ak = soft_ak_new("P-256", TPM_ALG_ECDSA,
	    TPM_ALG_SHA256, SOFT_AK_ATTRIBUTES);
	const struct soft_quote good = soft_quote_new(hash_by_name("sha256"),
	    0xff);
	struct soft_quote q;

	q = good;
	q.magic = 0xff544348;
	REFUSED(soft_verify(&q, &ak, &err), ERR_REFUSED, "no TPM made it");
	q = good;
	q.type = 0x8017;	/* TPM_ST_ATTEST_CERTIFY */
	REFUSED(soft_verify(&q, &ak, &err), ERR_REFUSED, "not a quote");
	q = good;
	q.wrong_signer = true;
	REFUSED(soft_verify(&q, &ak, &err), ERR_REFUSED, "qualifiedSigner");
	q = good;
	q.wrong_digest = true;
	REFUSED(soft_verify(&q, &ak, &err), ERR_REFUSED, "PCR values");
	q = good;
	q.trailing = true;
	REFUSED(soft_verify(&q, &ak, &err), ERR_FORMAT, "longer than");
	soft_ak_free(&ak);
}

Test(quote, ak_attributes)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} list[] = {
		{ 1u << 1, "lacks the attribute fixedTPM" },
		{ 1u << 4, "lacks the attribute fixedParent" },
		{ 1u << 5, "lacks the attribute sensitiveDataOrigin" },
		{ 1u << 16, "lacks the attribute restricted" },
		{ 1u << 18, "lacks the attribute sign" },
		{ 1u << 17, "must not have the attribute decrypt" },
		{ 1u << 11,
		    "must not have the attribute encryptedDuplication" },
		{ 1u << 19, "must not have the attribute x509sign" },
	};
	struct soft_quote q = soft_quote_new(hash_by_name("sha256"), 0xff);

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		struct soft_ak ak = soft_ak_new("P-256", TPM_ALG_ECDSA,
		    TPM_ALG_SHA256, SOFT_AK_ATTRIBUTES ^ list[i].bit);

		REFUSED(soft_verify(&q, &ak, &err), ERR_REFUSED,
		    list[i].name);
		soft_ak_free(&ak);
	}
}

Test(quote, ak_with_sha1)
{
	struct soft_ak ak = soft_ak_new("P-256", TPM_ALG_ECDSA, TPM_ALG_SHA1,
	    SOFT_AK_ATTRIBUTES);
	struct err err = { 0 };

	cr_assert_eq(tpm_key_check_ak(ak.key, &err), ERR_REFUSED);
	cr_assert(strstr(err.text, "SHA-256 or a longer") != NULL);
	soft_ak_free(&ak);
}

/* tpm2_createak wrote the names beside these keys: nameAlg and digest. */
Test(tpm_key, names_and_roles)
{
	struct golden g = golden_read("crb-chain", hash_by_name("sha256"));
	struct bytes want = golden_file("crb-chain", "ak.name");
	struct err why = { 0 };

	cr_assert_eq(g.ak->name_size, want.size);
	cr_assert_eq(memcmp(g.ak->name, want.data, want.size), 0);
	cr_assert_eq(tpm_key_check_ek(g.ek, &why), 0, "%s", why.text);
	REFUSED(tpm_key_check_ak(g.ek, &err), ERR_REFUSED, "lacks");
	REFUSED(tpm_key_check_ek(g.ak, &err), ERR_REFUSED, "lacks");
	bytes_free(&want);
	golden_free(&g);
}

Test(tpm_key, cut_or_longer)
{
	struct bytes b = golden_file("crb-chain", "ak.pub");
	struct tpm_key *key;

	for (size_t n = 2; n < b.size; n++)
		cr_assert_lt(tpm_key_read(b.data + 2, n - 2, &key, NULL), 0);
	/* The NUL that golden_file puts behind. */
	REFUSED(tpm_key_read(b.data + 2, b.size - 1, &key, &err), ERR_FORMAT,
	    "1 bytes too many");
	/* Not on the curve any more. */
	b.data[b.size - 1] ^= 1;
	cr_assert_lt(tpm_key_read_2b(b.data, b.size, &key, NULL), 0);
	bytes_free(&b);
}

Test(tpm_key, rsa_numbers)
{
	struct bytes b = golden_file("crb-chain", "ek.pub");
	uint8_t *exponent = b.data + b.size - 256 - 2 - 4;
	struct tpm_key *key;

	exponent[3] = 3;
	REFUSED(tpm_key_read_2b(b.data, b.size, &key, &err), ERR_REFUSED,
	    "the exponent 3");
	memcpy(exponent, "\0\1\0\1", 4);
	cr_assert_eq(tpm_key_read_2b(b.data, b.size, &key, NULL), 0);
	tpm_key_free(key);
	b.data[b.size - 1] &= 0xfe;
	REFUSED(tpm_key_read_2b(b.data, b.size, &key, &err), ERR_REFUSED,
	    "an even modulus");
	bytes_free(&b);
}

Test(clock, follows)
{
	const struct tpm_clock was = { 1000, 5, 2, true };
	struct tpm_clock now = was;

	cr_assert_eq(tpm_clock_follows(&was, &now, NULL), 0);
	now.clock = 999;
	REFUSED(tpm_clock_follows(&was, &now, &err), ERR_STALE, "clock");
	now.safe = false;
	cr_assert_eq(tpm_clock_follows(&was, &now, NULL), 0);
	now = (struct tpm_clock){ 1001, 5, 1, true };
	REFUSED(tpm_clock_follows(&was, &now, &err), ERR_STALE, "restarts");
	now = (struct tpm_clock){ 0, 6, 0, true };
	cr_assert_eq(tpm_clock_follows(&was, &now, NULL), 0);
	now = (struct tpm_clock){ 2000, 4, 2, true };
	REFUSED(tpm_clock_follows(&was, &now, &err), ERR_STALE, "resets");
}

Test(evidence, written_and_read)
{
	struct golden g = golden_read("crb-chain", hash_by_name("sha256"));
	struct evidence ev = golden_evidence(&g), back;
	uint8_t room[65536], copy[65536];
	struct buf out = buf_writer(room, sizeof(room));
	struct err why = { 0 };
	size_t size;

	cr_assert_eq(evidence_write(&ev, &out), 0);
	size = evidence_size(&ev);
	cr_assert_eq(size, out.pos);
	cr_assert_eq(evidence_read(room, size, &back, &why), 0, "%s",
	    why.text);
	cr_assert_eq(back.ima_log_size, g.ima.size);
	cr_assert_eq(memcmp(back.ima_log, g.ima.data, g.ima.size), 0);
	cr_assert_eq(back.quote.signature_size, g.signature.size);
	/* Cut at any place but after a section it is refused; after the
	 * third section it is evidence without logs. */
	for (size_t n = 0; n < size; n++) {
		int rc = evidence_read(room, n, &back, NULL);

		cr_assert(rc == ERR_FORMAT ||
		    (rc == 0 && back.ima_log == NULL));
	}
	/* A section twice, and in another order. */
	memcpy(copy, room, size);
	copy[9] = 2;
	REFUSED(evidence_read(copy, size, &back, &err), ERR_FORMAT,
	    "section 2 after section 2");
	copy[9] = 9;
	REFUSED(evidence_read(copy, size, &back, &err), ERR_FORMAT,
	    "section 9");
	memcpy(copy, room, size);
	copy[10] = 0xff;
	REFUSED(evidence_read(copy, size, &back, &err), ERR_FORMAT,
	    "more than 4096");
	copy[0] = 'X';
	REFUSED(evidence_read(copy, size, &back, &err), ERR_FORMAT,
	    "VTAEVID1");
	golden_free(&g);
}
