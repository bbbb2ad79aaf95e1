/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Templates against the TCG EK Credential Profile's own derivation of its
 * policies (annex B.6), computed here with libcrypto; the keys that come of
 * the templates are compared with tpm2-tools' in certs.test.
 */
#include <criterion/criterion.h>
#include <string.h>

#include <openssl/evp.h>

#include "vtpm/tpm-public.h"

struct digest {
	uint8_t bytes[64];
	size_t size;
};

/* digest = H(digest || data), as a policy session is extended. */
static void
extend(struct digest *d, const char *md, const void *data, size_t size)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned int n;

	EVP_DigestInit_ex(ctx, EVP_get_digestbyname(md), NULL);
	EVP_DigestUpdate(ctx, d->bytes, d->size);
	EVP_DigestUpdate(ctx, data, size);
	EVP_DigestFinal_ex(ctx, d->bytes, &n);
	cr_assert_eq(n, d->size);
	EVP_MD_CTX_free(ctx);
}

/* TPM2_PolicySecret with TPM_RH_ENDORSEMENT and no policyRef (Part 3, 23.4). */
static struct digest
policy_a(const char *md, size_t size)
{
	struct digest d = { .size = size };

	extend(&d, md, "\x00\x00\x01\x51\x40\x00\x00\x0b", 8);
	extend(&d, md, "", 0);
	return d;
}

/* Name of the NV index I-2, 0x01c07f02: nameAlg SHA-384 and the digest of its
 * public area, which has PolicyA (B.6.3). */
static void
name_i2(uint8_t name[50], const struct digest *a)
{
	/* index, nameAlg, attributes, policy's size; then policy; data size:
	 * of a TPMT_HA of SHA-384. */
	static const uint8_t head[] = { 0x01, 0xc0, 0x7f, 0x02, 0x00, 0x0c,
		0x22, 0x0f, 0x10, 0x08, 0x00, 0x30 };
	uint8_t area[sizeof(head) + 48 + 2];
	size_t n;

	memcpy(area, head, sizeof(head));
	memcpy(area + sizeof(head), a->bytes, 48);
	memcpy(area + sizeof(head) + 48, "\x00\x32", 2);
	name[0] = 0x00;
	name[1] = 0x0c;
	EVP_Q_digest(NULL, "SHA384", NULL, area, sizeof(area), name + 2, &n);
}

Test(template, rsa_has_policy_a)
{
	const struct tpm_template *t = tpm_template_ek("rsa2048");
	struct digest a = policy_a("SHA256", 32);

	cr_assert_eq(t->policy_size, 32);
	cr_assert_arr_eq(t->policy, a.bytes, 32);
}

Test(template, p384_has_policy_b)
{
	const struct tpm_template *t = tpm_template_ek("p384");
	struct digest a = policy_a("SHA384", 48), b = { .size = 48 };
	struct digest c = { .size = 48 };
	uint8_t authorize[54] = "\x00\x00\x01\x92", either[100];

	name_i2(authorize + 4, &a);
	/* The profile's table of index names. */
	cr_assert_arr_eq(authorize + 4, "\x00\x0c\xdb\x62\xfc\xa3\x46\x61", 8);
	extend(&c, "SHA384", authorize, sizeof(authorize));
	/* TPM2_PolicyOR (Part 3, 23.6): of a digest that is zero again. */
	memcpy(either, "\x00\x00\x01\x71", 4);
	memcpy(either + 4, a.bytes, 48);
	memcpy(either + 52, c.bytes, 48);
	extend(&b, "SHA384", either, sizeof(either));
	cr_assert_eq(t->policy_size, 48);
	cr_assert_arr_eq(t->policy, b.bytes, 48);
}

Test(template, names)
{
	cr_assert_null(tpm_template_ek("rsa1024"));
	cr_assert_null(tpm_template_ek(""));
	cr_assert_null(tpm_template_srk("p384"));
	cr_assert_eq(tpm_template_ek("rsa2048")->cert_index, 0x01c00002);
	cr_assert_eq(tpm_template_ek("p384")->cert_index, 0x01c00016);
	cr_assert_eq(tpm_template_ek("p256")->cert_index, 0x01c0000a);
	cr_assert_eq(tpm_template_ek("rsa3072")->cert_index, 0x01c0001c);
	cr_assert_null(tpm_template_ek_at(4));
}

/* What is written is read again, and every prefix of it is refused. */
Test(public_area, cut_short)
{
	const struct tpm_template *t;
	struct tpm_public p;

	for (size_t i = 0; (t = tpm_template_ek_at(i)) != NULL; i++) {
		uint8_t area[1024];
		size_t size = sizeof(area);
		struct err err = { 0 };

		cr_assert_eq(tpm_template_write(t, area, &size, &err), 0);
		cr_assert_eq(tpm_public_read(area, size, &p, &err), 0);
		cr_assert_eq(p.type, t->type);
		cr_assert_eq(p.attributes, t->attributes);
		cr_assert_eq(p.x_size, t->unique_size);
		for (size_t n = 0; n < size; n++) {
			uint8_t *copy = malloc(n);

			memcpy(copy, area, n);
			cr_assert_eq(tpm_public_read(copy, n, &p, &err),
			    ERR_FORMAT, "%s cut to %zu", t->name, n);
			free(copy);
		}
		area[size] = 0;
		cr_assert_eq(tpm_public_read(area, size + 1, &p, &err),
		    ERR_FORMAT);
	}
}

Test(public_area, other_types)
{
	uint8_t area[1024];
	size_t size = sizeof(area);
	struct err err = { 0 };
	struct tpm_public p;

	tpm_template_write(tpm_template_srk("rsa2048"), area, &size, &err);
	area[1] = 0x08;		/* TPM_ALG_KEYEDHASH */
	cr_assert_eq(tpm_public_read(area, size, &p, &err), ERR_FORMAT);
	size = 20;
	cr_assert_eq(tpm_template_write(tpm_template_srk("rsa2048"), area,
	    &size, &err), ERR_INTERNAL);
}
