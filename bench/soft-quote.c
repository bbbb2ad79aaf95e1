/* SPDX-License-Identifier: BSD-3-Clause */
/* What a TPM answers to an authority: the secret in a credential, a quote. */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "bench/soft-host.h"
#include "trust-authority/attest/evidence.h"
#include "trust-authority/attest/kdf.h"
#include "trust-authority/attest/tpm-pkey.h"
#include "trust-authority/common/base64url.h"

#define DIGEST 32
#define BYTES_MAX 1024

static size_t
take(const json_t *json, const char *name, uint8_t out[BYTES_MAX])
{
	const char *text = json_string_value(json_object_get(json, name));
	size_t size = BYTES_MAX;

	if (text == NULL ||
	    base64url_decode(text, strlen(text), out, &size) < 0)
		return 0;
	return size;
}

/* TPM 2.0 Part 1, annex B.4: OAEP with the label, NUL included. */
static int
seed_by_rsa(const struct soft_host *h, const uint8_t *data, size_t size,
    uint8_t seed[DIGEST])
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(h->ek, NULL);
	void *label = OPENSSL_memdup("IDENTITY", 9);
	uint8_t plain[256];
	size_t n = sizeof(plain);
	int ok;

	ok = EVP_PKEY_decrypt_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_padding(
	    ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) == 1 &&
	    EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, label, 9) == 1 &&
	    EVP_PKEY_decrypt(ctx, plain, &n, data, size) == 1 && n == DIGEST;
	if (ok)
		memcpy(seed, plain, DIGEST);
	EVP_PKEY_CTX_free(ctx);
	return ok ? 0 : ERR_CRYPTO;
}

/* Annex C.6.4: one-pass ECDH and KDFe. */
static int
seed_by_ecc(const struct soft_host *h, const uint8_t *data, size_t size,
    uint8_t seed[DIGEST])
{
	const struct tpm_curve *curve = tpm_curve_by_id(h->ek_key->curve);
	uint8_t ek_x[TPM_ECC_COORDINATE_MAX], ek_y[TPM_ECC_COORDINATE_MAX];
	struct buf in = buf_reader(data, size);
	const uint8_t *x = NULL, *y = NULL;
	size_t x_size = 0, y_size = 0, z_size = DIGEST;
	EVP_PKEY *peer = NULL;
	EVP_PKEY_CTX *ctx = NULL;
	uint8_t z[DIGEST];
	int ok;

	buf_get_tpm2b(&in, &x, &x_size);
	buf_get_tpm2b(&in, &y, &y_size);
	ok = buf_ok(&in) && tpm_pkey_ecc(h->ek_key->curve, x, x_size, y,
	    y_size, &peer, NULL) == 0 &&
	    tpm_pkey_point(h->ek, curve, ek_x, ek_y, NULL) == 0 &&
	    (ctx = EVP_PKEY_CTX_new(h->ek, NULL)) != NULL &&
	    EVP_PKEY_derive_init(ctx) == 1 &&
	    EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
	    EVP_PKEY_derive(ctx, z, &z_size) == 1 &&
	    kdf_e(h->ek_key->name_alg, (struct kdf_input){ z, z_size },
	    "IDENTITY", (struct kdf_input){ x, x_size },
	    (struct kdf_input){ ek_x, curve->size }, seed, DIGEST, NULL) == 0;
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(peer);
	return ok ? 0 : ERR_CRYPTO;
}

/* Part 1, 24: what is in the blob, whose integrity a TPM would check. */
static int
open_blob(const struct soft_host *h, const uint8_t seed[DIGEST],
    const uint8_t *blob, size_t size, uint8_t secret[DIGEST])
{
	const struct kdf_input none = { NULL, 0 };
	struct buf in = buf_reader(blob, size);
	uint8_t key[16], iv[16] = { 0 }, plain[2 + DIGEST];
	const uint8_t *integrity;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	size_t n;
	int m = 0, ok;

	(void)buf_get_tpm2b(&in, &integrity, &n);
	ok = buf_ok(&in) && buf_left(&in) == sizeof(plain) &&
	    kdf_a(h->ek_key->name_alg, (struct kdf_input){ seed, DIGEST },
	    "STORAGE", (struct kdf_input){ h->ak_key->name,
	    h->ak_key->name_size }, none, key, sizeof(key), NULL) == 0 &&
	    EVP_DecryptInit_ex(ctx, EVP_aes_128_cfb128(), NULL, key,
	    iv) == 1 && EVP_DecryptUpdate(ctx, plain, &m, blob + in.pos,
	    (int)sizeof(plain)) == 1;
	if (ok)
		memcpy(secret, plain + 2, DIGEST);
	EVP_CIPHER_CTX_free(ctx);
	return ok ? 0 : ERR_CRYPTO;
}

static int
activate(const struct soft_host *h, const json_t *credential,
    uint8_t secret[DIGEST])
{
	uint8_t blob[BYTES_MAX], wrapped[BYTES_MAX], seed[DIGEST];
	size_t blob_size = take(credential, "blob", blob);
	size_t size = take(credential, "secret", wrapped);
	int rc;

	if (blob_size < 2 || size < 2)
		return ERR_FORMAT;
	rc = h->ek_key->type == TPM_ALG_RSA ?
	    seed_by_rsa(h, wrapped + 2, size - 2, seed) :
	    seed_by_ecc(h, wrapped + 2, size - 2, seed);
	return rc < 0 ? rc : open_blob(h, seed, blob + 2, blob_size - 2,
	    secret);
}

/* "sha256:0,1,..." */
static uint32_t
mask_of(const json_t *begun)
{
	const char *text = json_string_value(json_object_get(begun, "pcrs"));
	uint32_t mask = 0;
	char *end;

	if (text == NULL || strncmp(text, "sha256:", 7) != 0)
		return 0;
	for (text += 7; *text != '\0'; text = *end == ',' ? end + 1 : end)
		mask |= 1u << (strtoul(text, &end, 10) & 31);
	return mask;
}

static void
put_attest(struct buf *out, const struct soft_host *h, uint32_t mask,
    const uint8_t *binding, const uint8_t *pcr_digest)
{
	uint8_t name[TPM_NAME_MAX];
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	(void)tpm_key_qualified_name(h->ak_key, h->ek_key, name, NULL);
	buf_put_u32be(out, 0xff544347);		/* TPM_GENERATED_VALUE */
	buf_put_u16be(out, 0x8018);		/* TPM_ST_ATTEST_QUOTE */
	buf_put_tpm2b(out, name, h->ak_key->name_size);
	buf_put_tpm2b(out, binding, QUOTE_BINDING_SIZE);
	buf_put_u64be(out, (uint64_t)t.tv_sec * 1000 +
	    (uint64_t)t.tv_nsec / 1000000);
	buf_put_u32be(out, 5);
	buf_put_u32be(out, 0);
	buf_put_u8(out, 1);
	buf_put_u64be(out, 0x20200102);
	buf_put_u32be(out, 1);
	buf_put_u16be(out, TPM_ALG_SHA256);
	buf_put_u8(out, 3);
	for (unsigned int i = 0; i < 3; i++)
		buf_put_u8(out, (uint8_t)(mask >> (8 * i)));
	buf_put_tpm2b(out, pcr_digest, DIGEST);
}

static int
sign(const struct soft_host *h, const struct buf *attest, struct buf *out)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t der[80], bytes[48];
	const uint8_t *at = der;
	size_t size = sizeof(der);
	ECDSA_SIG *sig = NULL;

	if (EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, h->ak) == 1 &&
	    EVP_DigestSign(ctx, der, &size, attest->data, attest->pos) == 1)
		sig = d2i_ECDSA_SIG(NULL, &at, (long)size);
	EVP_MD_CTX_free(ctx);
	if (sig == NULL)
		return ERR_CRYPTO;
	buf_put_u16be(out, TPM_ALG_ECDSA);
	buf_put_u16be(out, TPM_ALG_SHA256);
	buf_put_tpm2b(out, bytes, (size_t)BN_bn2bin(ECDSA_SIG_get0_r(sig),
	    bytes));
	buf_put_tpm2b(out, bytes, (size_t)BN_bn2bin(ECDSA_SIG_get0_s(sig),
	    bytes));
	ECDSA_SIG_free(sig);
	return 0;
}

/* base64url of the evidence for what `begun` asks. */
static char *
make_evidence(const struct soft_host *h, const struct place *p,
    const json_t *begun, const uint8_t binding[QUOTE_BINDING_SIZE])
{
	uint8_t attest[512], signature[256], digest[HASH_MAX];
	uint8_t values[PLACE_PCRS * PLACE_PCR], *data;
	struct buf a = buf_writer(attest, sizeof(attest));
	struct buf s = buf_writer(signature, sizeof(signature)), out;
	uint32_t mask = mask_of(begun);
	struct hash_part part = { values, 0 };
	struct evidence ev = { .eventlog = p->eventlog, .ima_log = p->ima,
		.eventlog_size = p->eventlog_size, .ima_log_size =
		p->ima_size };
	char *text = NULL;

	for (uint32_t i = 0; i < PLACE_PCRS; i++)
		if (mask & 1u << i) {
			memcpy(values + part.size, p->pcrs[i], PLACE_PCR);
			part.size += PLACE_PCR;
		}
	(void)hash_digest(hash_by_id(TPM_ALG_SHA256), &part, 1, digest, NULL);
	put_attest(&a, h, mask, binding, digest);
	if (mask == 0 || sign(h, &a, &s) < 0)
		return NULL;
	ev.quote = (struct quote_parts){ attest, signature, values, a.pos,
		s.pos, part.size };
	if ((data = malloc(evidence_size(&ev))) == NULL)
		return NULL;
	out = buf_writer(data, evidence_size(&ev));
	if (evidence_write(&ev, &out) == 0)
		text = base64_text(data, out.pos);
	free(data);
	return text;
}

char *
soft_host_finish(const struct soft_host *h, const struct place *p,
    const json_t *begun, const struct jwk *transport, struct err *err)
{
	const json_t *credential = json_object_get(begun, "credential");
	uint8_t nonce[BYTES_MAX], binding[QUOTE_BINDING_SIZE], secret[DIGEST];
	size_t nonce_size = take(begun, "nonce", nonce);
	char hidden[64] = "", *evidence = NULL, *key = NULL, *text = NULL;
	unsigned char *der = NULL;
	int size = i2d_PUBKEY(transport->pkey, &der);

	if (size <= 0 || quote_binding(nonce, nonce_size, der, (size_t)size,
	    binding, err) < 0 || (credential != NULL && activate(h,
	    credential, secret) < 0) ||
	    (evidence = make_evidence(h, p, begun, binding)) == NULL ||
	    (key = base64_text(der, (size_t)size)) == NULL) {
		err_set(err, ERR_INTERNAL, "%s cannot attest", h->name);
		goto out;
	}
	if (credential != NULL)
		base64url_encode(secret, sizeof(secret), hidden);
	if (asprintf(&text, "{\"session\":\"%s\",\"transport_key\":\"%s\","
	    "\"evidence\":\"%s\"%s%s%s}", json_string_value(json_object_get(
	    begun, "session")), key, evidence, hidden[0] != '\0' ?
	    ",\"secret\":\"" : "", hidden, hidden[0] != '\0' ? "\"" : "") < 0)
		text = NULL;
out:
	OPENSSL_free(der);
	free(evidence);
	free(key);
	return text;
}

size_t
soft_evidence_size(const struct place *p)
{
	return p->eventlog_size + p->ima_size;
}
