/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/common/jwe-crypt.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

#include "base/buf.h"

#define KEY_SIZE 32

/* The peer's point is on the curve, or jwk_read had refused it. P-256 has a
 * cofactor of 1, so nothing more is to be checked (SP 800-56A rev. 3,
 * 5.6.2.3.4), and OpenSSL's full check would cost as much as all the rest. */
static int
derive(const struct jwk *own, const struct jwk *peer, struct secret *z)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, own->pkey, NULL);
	size_t size = secret_size(z);
	int ok = ctx != NULL && EVP_PKEY_derive_init(ctx) == 1 &&
	    EVP_PKEY_derive_set_peer_ex(ctx, peer->pkey, 0) == 1 &&
	    EVP_PKEY_derive(ctx, secret_data(z), &size) == 1 &&
	    size == secret_size(z);

	EVP_PKEY_CTX_free(ctx);
	return ok ? 0 : ERR_CRYPTO;
}

/* AlgorithmID, PartyUInfo and PartyVInfo (both empty), SuppPubInfo. */
static size_t
other_info(const char *alg, uint8_t *out, size_t room)
{
	struct buf b = buf_writer(out, room);

	(void)buf_put_u32be(&b, (uint32_t)strlen(alg));
	(void)buf_put_bytes(&b, alg, strlen(alg));
	(void)buf_put_u32be(&b, 0);
	(void)buf_put_u32be(&b, 0);
	(void)buf_put_u32be(&b, 8 * KEY_SIZE);
	return buf_ok(&b) ? b.pos : 0;
}

static int
concat_kdf(struct secret *z, const char *alg, struct secret *kek)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "SSKDF", NULL);
	EVP_KDF_CTX *ctx = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
	uint8_t info[64];
	size_t size = other_info(alg, info, sizeof(info));
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest,
		    0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY,
		    secret_data(z), secret_size(z)),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info,
		    size),
		OSSL_PARAM_construct_end(),
	};
	int ok = ctx != NULL && size > 0 && EVP_KDF_derive(ctx,
	    secret_data(kek), secret_size(kek), params) == 1;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return ok ? 0 : ERR_CRYPTO;
}

int
jwe_agree(const struct jwk *own, const struct jwk *peer, const char *alg,
    struct secret **out, struct err *err)
{
	struct secret *z = secret_new(JWK_COORDINATE);
	struct secret *kek = secret_new(KEY_SIZE);
	int rc = 0;

	if (z == NULL || kek == NULL) {
		rc = err_sys(err, errno, "cannot lock memory for a key");
	} else if (derive(own, peer, z) < 0 || concat_kdf(z, alg, kek) < 0) {
		rc = err_set(err, ERR_CRYPTO, "OpenSSL cannot agree on a key");
	} else {
		*out = kek;
		kek = NULL;
	}
	secret_free(z);
	secret_free(kek);
	ERR_clear_error();
	return rc;
}

int
jwe_wrap(const struct secret *kek, const struct secret *cek,
    uint8_t out[JWE_WRAPPED_SIZE])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0, end = 0, ok;

	if (ctx != NULL)
		EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	ok = ctx != NULL && EVP_EncryptInit_ex(ctx, EVP_aes_256_wrap(), NULL,
	    secret_bytes(kek), NULL) == 1 && EVP_EncryptUpdate(ctx, out, &n,
	    secret_bytes(cek), (int)secret_size(cek)) == 1 &&
	    EVP_EncryptFinal_ex(ctx, out + n, &end) == 1 &&
	    n + end == JWE_WRAPPED_SIZE;
	EVP_CIPHER_CTX_free(ctx);
	return ok ? 0 : ERR_CRYPTO;
}

int
jwe_unwrap(const struct secret *kek, const uint8_t in[JWE_WRAPPED_SIZE],
    struct secret *cek)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t plain[JWE_WRAPPED_SIZE];
	int n = 0, ok;

	if (ctx != NULL)
		EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	ok = ctx != NULL && EVP_DecryptInit_ex(ctx, EVP_aes_256_wrap(), NULL,
	    secret_bytes(kek), NULL) == 1 && EVP_DecryptUpdate(ctx, plain, &n,
	    in, JWE_WRAPPED_SIZE) == 1 && (size_t)n == secret_size(cek);
	if (ok)
		memcpy(secret_data(cek), plain, secret_size(cek));
	cleanse(plain, sizeof(plain));
	EVP_CIPHER_CTX_free(ctx);
	return ok ? 0 : ERR_AUTH;
}

int
jwe_encrypt(const struct secret *cek, const uint8_t iv[JWE_IV_SIZE],
    const char *aad, size_t aad_size, const uint8_t *in, size_t size,
    uint8_t *out, uint8_t tag[JWE_TAG_SIZE])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0, ok;

	ok = ctx != NULL && EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL,
	    secret_bytes(cek), iv) == 1 && EVP_EncryptUpdate(ctx, NULL, &n,
	    (const unsigned char *)aad, (int)aad_size) == 1 &&
	    EVP_EncryptUpdate(ctx, out, &n, in, (int)size) == 1 &&
	    EVP_EncryptFinal_ex(ctx, out + size, &n) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, JWE_TAG_SIZE,
	    tag) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return ok ? 0 : ERR_CRYPTO;
}

int
jwe_decrypt(const struct secret *cek, const uint8_t iv[JWE_IV_SIZE],
    const char *aad, size_t aad_size, uint8_t *data, size_t size,
    const uint8_t tag[JWE_TAG_SIZE])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t want[JWE_TAG_SIZE];
	int n = 0, ok;

	memcpy(want, tag, sizeof(want));
	ok = ctx != NULL && EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL,
	    secret_bytes(cek), iv) == 1 && EVP_DecryptUpdate(ctx, NULL, &n,
	    (const unsigned char *)aad, (int)aad_size) == 1 &&
	    EVP_DecryptUpdate(ctx, data, &n, data, (int)size) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, sizeof(want),
	    want) == 1 && EVP_DecryptFinal_ex(ctx, data + n, &n) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return ok ? 0 : ERR_AUTH;
}
