/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of attest-fixture.h that signs as no TPM would. */
#include <criterion/criterion.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/attest-fixture.h"
#include "trust-authority/attest/tpm-pkey.h"

static void
put_bn(struct buf *out, const EVP_PKEY *key, const char *name, int size)
{
	uint8_t bytes[512];
	BIGNUM *bn = NULL;

	cr_assert_eq(EVP_PKEY_get_bn_param(key, name, &bn), 1);
	cr_assert_eq(BN_bn2binpad(bn, bytes, size), size);
	BN_free(bn);
	buf_put_tpm2b(out, bytes, (size_t)size);
}

struct soft_ak
soft_ak_new(const char *type, uint16_t scheme, uint16_t hash,
    uint32_t attributes)
{
	bool rsa = strcmp(type, "RSA") == 0;
	struct soft_ak ak = { NULL, NULL };
	struct err err = { 0 };
	uint8_t area[600];
	struct buf out = buf_writer(area, sizeof(area));

	ak.pkey = rsa ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048) :
	    EVP_PKEY_Q_keygen(NULL, NULL, "EC", type);
	cr_assert(ak.pkey != NULL);
	buf_put_u16be(&out, rsa ? TPM_ALG_RSA : TPM_ALG_ECC);
	buf_put_u16be(&out, TPM_ALG_SHA256);
	buf_put_u32be(&out, attributes);
	buf_put_u16be(&out, 0);
	buf_put_u16be(&out, TPM_ALG_NULL);
	buf_put_u16be(&out, scheme);
	buf_put_u16be(&out, hash);
	if (rsa) {
		buf_put_u16be(&out, 2048);
		buf_put_u32be(&out, 0);
		put_bn(&out, ak.pkey, OSSL_PKEY_PARAM_RSA_N, 256);
	} else {
		int size = strcmp(type, "P-256") == 0 ? 32 : 48;

		buf_put_u16be(&out, size == 32 ? 3 : 4);
		buf_put_u16be(&out, TPM_ALG_NULL);
		put_bn(&out, ak.pkey, OSSL_PKEY_PARAM_EC_PUB_X, size);
		put_bn(&out, ak.pkey, OSSL_PKEY_PARAM_EC_PUB_Y, size);
	}
	cr_assert(buf_ok(&out));
	cr_assert_eq(tpm_key_read(area, out.pos, &ak.key, &err), 0, "%s",
	    err.text);
	return ak;
}

void
soft_ak_free(struct soft_ak *ak)
{
	EVP_PKEY_free(ak->pkey);
	tpm_key_free(ak->key);
}

static void
put_ecdsa(struct buf *out, const uint8_t *der, size_t size)
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)size);
	const BIGNUM *r, *s;
	uint8_t bytes[64];

	cr_assert(sig != NULL);
	ECDSA_SIG_get0(sig, &r, &s);
	buf_put_tpm2b(out, bytes, (size_t)BN_bn2bin(r, bytes));
	buf_put_tpm2b(out, bytes, (size_t)BN_bn2bin(s, bytes));
	ECDSA_SIG_free(sig);
}

struct bytes
soft_ak_sign(const struct soft_ak *ak, const uint8_t *data, size_t size)
{
	struct bytes b = { calloc(1, 600), 0 };
	struct buf out = buf_writer(b.data, 600);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	uint8_t sig[512];
	size_t n = sizeof(sig);

	cr_assert_eq(EVP_DigestSignInit_ex(ctx, &pctx,
	    ak->key->scheme_hash->name, NULL, NULL, ak->pkey, NULL), 1);
	if (ak->key->scheme == TPM_ALG_RSAPSS)
		cr_assert(EVP_PKEY_CTX_set_rsa_padding(pctx,
		    RSA_PKCS1_PSS_PADDING) == 1);
	cr_assert_eq(EVP_DigestSign(ctx, sig, &n, data, size), 1);
	EVP_MD_CTX_free(ctx);
	buf_put_u16be(&out, ak->key->scheme);
	buf_put_u16be(&out, ak->key->scheme_hash->id);
	if (ak->key->scheme == TPM_ALG_ECDSA)
		put_ecdsa(&out, sig, n);
	else
		buf_put_tpm2b(&out, sig, n);
	b.size = out.pos;
	return b;
}

struct soft_quote
soft_quote_new(const struct hash_alg *bank, uint32_t mask)
{
	struct soft_quote q = { .magic = 0xff544347, .type = 0x8018,
		.clock = { 1000, 5, 0, true } };

	q.pcrs.count = 1;
	q.pcrs.bank[0].alg = bank;
	q.pcrs.bank[0].mask = mask;
	return q;
}

static void
put_values(struct buf *out, const struct pcr_bank *bank)
{
	for (uint32_t i = 0; i < PCR_COUNT; i++)
		if (bank->mask & 1u << i)
			buf_put_bytes(out, bank->value[i], bank->alg->size);
}

struct soft_parts
soft_quote_sign(const struct soft_quote *q, const struct soft_ak *ak)
{
	struct soft_parts p = { { calloc(1, 1024), 0 }, { NULL, 0 },
		{ calloc(PCR_COUNT, HASH_MAX), 0 } };
	struct buf out = buf_writer(p.attest.data, 1024);
	struct buf values = buf_writer(p.values.data, PCR_COUNT * HASH_MAX);
	const struct pcr_bank *bank = &q->pcrs.bank[0];
	uint8_t name[TPM_NAME_MAX], digest[HASH_MAX];

	cr_assert_eq(tpm_key_qualified_name(ak->key, NULL, name, NULL), 0);
	name[3] ^= q->wrong_signer;
	put_values(&values, bank);
	p.values.size = values.pos;
	cr_assert_eq(hash_digest(ak->key->scheme_hash, &(struct hash_part){
	    p.values.data, p.values.size }, 1, digest, NULL), 0);
	digest[0] ^= q->wrong_digest;
	buf_put_u32be(&out, q->magic);
	buf_put_u16be(&out, q->type);
	buf_put_tpm2b(&out, name, ak->key->name_size);
	buf_put_tpm2b(&out, GOLDEN_BINDING, QUOTE_BINDING_SIZE);
	buf_put_u64be(&out, q->clock.clock);
	buf_put_u32be(&out, q->clock.resets);
	buf_put_u32be(&out, q->clock.restarts);
	buf_put_u8(&out, q->clock.safe);
	buf_put_u64be(&out, 0x20200102);
	buf_put_u32be(&out, 1);
	buf_put_u16be(&out, bank->alg->id);
	buf_put_u8(&out, 3);
	for (unsigned int i = 0; i < 3; i++)
		buf_put_u8(&out, (uint8_t)(bank->mask >> (8 * i)));
	buf_put_tpm2b(&out, digest, ak->key->scheme_hash->size);
	if (q->trailing)
		buf_put_u8(&out, 0);
	p.attest.size = out.pos;
	p.signature = soft_ak_sign(ak, p.attest.data, p.attest.size);
	return p;
}

void
soft_parts_free(struct soft_parts *p)
{
	bytes_free(&p->attest);
	bytes_free(&p->signature);
	bytes_free(&p->values);
}

struct attestation *
soft_attest(const uint8_t *log, size_t log_size, const uint8_t *ima,
    size_t ima_size, const uint8_t *pcr10)
{
	struct soft_quote q = soft_quote_new(hash_by_name("sha256"), 0xffffff);
	struct soft_ak ak = soft_ak_new("P-256", TPM_ALG_ECDSA,
	    TPM_ALG_SHA256, SOFT_AK_ATTRIBUTES);
	struct attestation *a = NULL;
	struct eventlog *parsed;
	struct soft_parts p;
	struct evidence ev;
	struct err err = { 0 };

	cr_assert_eq(eventlog_read(log, log_size, &parsed, &err), 0, "%s",
	    err.text);
	cr_assert_eq(eventlog_replay(parsed, q.pcrs.bank[0].alg,
	    &q.pcrs.bank[0], NULL), 0);
	q.pcrs.bank[0].mask = 0xffffff;
	if (pcr10 != NULL)
		memcpy(q.pcrs.bank[0].value[IMA_PCR], pcr10, 32);
	p = soft_quote_sign(&q, &ak);
	ev = (struct evidence){
		.quote = { p.attest.data, p.signature.data, p.values.data,
		    p.attest.size, p.signature.size, p.values.size },
		.eventlog = log, .eventlog_size = log_size,
		.ima_log = ima, .ima_log_size = ima_size };
	cr_assert_eq(attestation_verify(&ev, ak.key, NULL,
	    (const uint8_t *)GOLDEN_BINDING, &a, &err), 0, "%s", err.text);
	eventlog_free(parsed);
	soft_parts_free(&p);
	soft_ak_free(&ak);
	return a;
}
