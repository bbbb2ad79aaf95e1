/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attest/credential.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <string.h>

#include "base/buf.h"
#include "trust-authority/attest/kdf.h"
#include "trust-authority/attest/tpm-pkey.h"

#define IV_SIZE 16

/* What must not be left behind, in one locked page. */
struct keys {
	uint8_t z[TPM_ECC_COORDINATE_MAX];
	uint8_t seed[HASH_MAX];
	uint8_t aes[32];
	uint8_t hmac[HASH_MAX];
	uint8_t plain[2 + HASH_MAX];
};

/* Part 1, annex B: OAEP with the EK's nameAlg and the label "IDENTITY" with its
 * final zero. */
static int
seed_to_rsa(const struct tpm_key *ek, struct keys *keys, struct buf *out,
    struct err *err)
{
	char label[] = "IDENTITY";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(
		    OSSL_ASYM_CIPHER_PARAM_PAD_MODE,
		    (char *)(uintptr_t)OSSL_PKEY_RSA_PAD_MODE_OAEP, 0),
		OSSL_PARAM_construct_utf8_string(
		    OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST,
		    (char *)(uintptr_t)ek->name_alg->name, 0),
		OSSL_PARAM_construct_octet_string(
		    OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, label, sizeof(label)),
		OSSL_PARAM_construct_end(),
	};
	uint8_t wrapped[CREDENTIAL_SECRET_MAX - 2];
	EVP_PKEY_CTX *ctx;
	size_t size = sizeof(wrapped);
	int rc = 0;

	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, ek->pkey, NULL);
	if (RAND_priv_bytes(keys->seed, (int)ek->name_alg->size) != 1 ||
	    ctx == NULL || EVP_PKEY_encrypt_init_ex(ctx, params) != 1 ||
	    EVP_PKEY_encrypt(ctx, wrapped, &size, keys->seed,
	    ek->name_alg->size) != 1)
		rc = openssl_error(err, "encrypting to the endorsement key");
	else
		buf_put_tpm2b(out, wrapped, size);
	EVP_PKEY_CTX_free(ctx);
	return rc;
}

static int
agree(EVP_PKEY *own, EVP_PKEY *peer, const struct tpm_curve *curve,
    uint8_t *z, struct err *err)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
	size_t size = curve->size;
	int rc = 0;

	if (ctx == NULL || EVP_PKEY_derive_init(ctx) != 1 ||
	    EVP_PKEY_derive_set_peer(ctx, peer) != 1 ||
	    EVP_PKEY_derive(ctx, z, &size) != 1 || size != curve->size)
		rc = openssl_error(err, "agreeing with the endorsement key");
	EVP_PKEY_CTX_free(ctx);
	return rc;
}

/* Part 1, annex C: one-pass ECDH, then KDFe. */
static int
seed_to_ecc(const struct tpm_key *ek, struct keys *keys, struct buf *out,
    struct err *err)
{
	const struct tpm_curve *curve = tpm_curve_by_id(ek->curve);
	uint8_t x[TPM_ECC_COORDINATE_MAX], y[TPM_ECC_COORDINATE_MAX];
	uint8_t ek_x[TPM_ECC_COORDINATE_MAX], ek_y[TPM_ECC_COORDINATE_MAX];
	EVP_PKEY *own;
	int rc;

	own = EVP_PKEY_Q_keygen(NULL, NULL, "EC", curve->group);
	if (own == NULL)
		return openssl_error(err, "making an ephemeral key");
	if ((rc = tpm_pkey_point(own, curve, x, y, err)) < 0 ||
	    (rc = tpm_pkey_point(ek->pkey, curve, ek_x, ek_y, err)) < 0 ||
	    (rc = agree(own, ek->pkey, curve, keys->z, err)) < 0 ||
	    (rc = kdf_e(ek->name_alg,
	    (struct kdf_input){ keys->z, curve->size }, "IDENTITY",
	    (struct kdf_input){ x, curve->size },
	    (struct kdf_input){ ek_x, curve->size }, keys->seed,
	    ek->name_alg->size, err)) < 0)
		goto out;
	buf_put_u16be(out, (uint16_t)(2 * (2 + curve->size)));
	buf_put_tpm2b(out, x, curve->size);
	buf_put_tpm2b(out, y, curve->size);
out:
	EVP_PKEY_free(own);
	return rc;
}

static int
encrypt(const struct tpm_key *ek, const struct keys *keys, size_t size,
    uint8_t *out, struct err *err)
{
	static const uint8_t iv[IV_SIZE];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	EVP_CIPHER *cipher;
	int n, rc = 0;

	cipher = EVP_CIPHER_fetch(NULL, ek->symmetric_bits == 128 ?
	    "AES-128-CFB" : "AES-256-CFB", NULL);
	if (ctx == NULL || cipher == NULL ||
	    EVP_EncryptInit_ex2(ctx, cipher, keys->aes, iv, NULL) != 1 ||
	    EVP_EncryptUpdate(ctx, out, &n, keys->plain, (int)size) != 1)
		rc = openssl_error(err, "encrypting a credential");
	EVP_CIPHER_free(cipher);
	EVP_CIPHER_CTX_free(ctx);
	return rc;
}

/* Part 1, 24: encrypted, then authenticated together with the name. */
static int
protect(const struct tpm_key *ek, struct keys *keys, struct kdf_input name,
    size_t plain_size, struct credential *out, struct err *err)
{
	const struct kdf_input none = { NULL, 0 };
	size_t digest = ek->name_alg->size;
	struct kdf_input seed = { keys->seed, digest };
	uint8_t secret[sizeof(keys->plain)], integrity[HASH_MAX];
	const struct hash_part parts[] = {
		{ secret, plain_size }, { name.data, name.size },
	};
	struct buf blob = buf_writer(out->blob, sizeof(out->blob));
	int rc;

	if ((rc = kdf_a(ek->name_alg, seed, "STORAGE", name, none, keys->aes,
	    ek->symmetric_bits / 8, err)) < 0 ||
	    (rc = kdf_a(ek->name_alg, seed, "INTEGRITY", none, none,
	    keys->hmac, digest, err)) < 0 ||
	    (rc = encrypt(ek, keys, plain_size, secret, err)) < 0 ||
	    (rc = hmac(ek->name_alg, (struct kdf_input){ keys->hmac, digest },
	    parts, 2, integrity, err)) < 0)
		return rc;
	buf_put_u16be(&blob, (uint16_t)(2 + digest + plain_size));
	buf_put_tpm2b(&blob, integrity, digest);
	buf_put_bytes(&blob, secret, plain_size);
	out->blob_size = blob.pos;
	return buf_ok(&blob) ? 0 :
	    err_set(err, ERR_INTERNAL, "a credential does not fit");
}

int
credential_make(const struct tpm_key *ek, const uint8_t *name,
    size_t name_size, const struct secret *secret, struct credential *out,
    struct err *err)
{
	struct buf wrapped = buf_writer(out->secret, sizeof(out->secret));
	size_t size = secret_size(secret);
	struct secret *room;
	struct keys *keys;
	struct buf plain;
	int rc;

	if (ek->symmetric != TPM_ALG_AES || size > ek->name_alg->size)
		return err_set(err, ERR_USAGE, "no credential of %zu bytes "
		    "for this endorsement key", size);
	if ((room = secret_new(sizeof(*keys))) == NULL)
		return err_set(err, ERR_SYSTEM,
		    "cannot lock memory for a credential");
	keys = (struct keys *)(void *)secret_data(room);
	plain = buf_writer(keys->plain, sizeof(keys->plain));
	buf_put_tpm2b(&plain, secret_bytes(secret), size);
	rc = ek->type == TPM_ALG_RSA ? seed_to_rsa(ek, keys, &wrapped, err) :
	    seed_to_ecc(ek, keys, &wrapped, err);
	if (rc == 0 && !buf_ok(&wrapped))
		rc = err_set(err, ERR_INTERNAL, "a credential does not fit");
	out->secret_size = wrapped.pos;
	if (rc == 0)
		rc = protect(ek, keys, (struct kdf_input){ name, name_size },
		    plain.pos, out, err);
	secret_free(room);
	return rc;
}
