/* SPDX-License-Identifier: BSD-3-Clause */
#include "nvram-crypt/crypto.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "nvram-crypt/crypto-provider.h"

/* Lives as long as the process: fetching costs more than all else here. */
static struct {
	pthread_once_t once;
	bool narrow;	/* set before once, if ever */
	struct err err;	/* why lib is NULL */
	OSSL_LIB_CTX *lib;
	OSSL_LIB_CTX *tpm;
	EVP_CIPHER *ecb;
	EVP_CIPHER *gcm;
	EVP_MD *sha256;
	EVP_KDF *kbkdf;
} crypto = { .once = PTHREAD_ONCE_INIT };

int
crypto_error(struct err *err, const char *what)
{
	unsigned long code = ERR_get_error();
	char text[256] = "no reason given";

	if (code != 0)
		ERR_error_string_n(code, text, sizeof(text));
	ERR_clear_error();
	return err_set(err, ERR_CRYPTO, "OpenSSL failed: %s: %s", what, text);
}

/* A context with a provider. The DRBG is the one over a hash, which needs less
 * memory than OpenSSL's choice, the one over a cipher; SP 800-90A has both. */
static OSSL_LIB_CTX *
context_new(bool narrow, enum crypto_use use, struct err *err)
{
	OSSL_LIB_CTX *lib = OSSL_LIB_CTX_new();
	int rc = 0;

	if (lib == NULL)
		rc = crypto_error(err, "making a library context");
	else if (narrow)
		rc = crypto_provider_load(lib, use, err);
	else if (OSSL_PROVIDER_load(lib, "default") == NULL)
		rc = crypto_error(err, "loading its default provider");
	if (rc == 0 && RAND_set_DRBG_type(lib, "HASH-DRBG", NULL, NULL,
	    "SHA256") != 1)
		rc = crypto_error(err, "choosing HASH-DRBG");
	if (rc == 0)
		return lib;
	OSSL_LIB_CTX_free(lib);
	return NULL;
}

static int
fetch_ours(OSSL_LIB_CTX *lib, struct err *err)
{
	crypto.ecb = EVP_CIPHER_fetch(lib, "AES-256-ECB", NULL);
	crypto.gcm = EVP_CIPHER_fetch(lib, "AES-256-GCM", NULL);
	crypto.sha256 = EVP_MD_fetch(lib, "SHA256", NULL);
	crypto.kbkdf = EVP_KDF_fetch(lib, "KBKDF", NULL);
	if (crypto.ecb == NULL || crypto.gcm == NULL ||
	    crypto.sha256 == NULL || crypto.kbkdf == NULL)
		return crypto_error(err, "fetching AES-256-ECB, AES-256-GCM, "
		    "SHA-256 and KBKDF");
	return 0;
}

static void
init_once(void)
{
	OSSL_LIB_CTX *lib = NULL;

	/* The host's openssl.cnf is for the default context, which every use
	 * of OpenSSL would otherwise fill from it. */
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		(void)crypto_error(&crypto.err, "starting");
	else if ((lib = context_new(crypto.narrow, CRYPTO_FOR_NVRAM,
	    &crypto.err)) != NULL && fetch_ours(lib, &crypto.err) == 0)
		crypto.lib = lib;
	if (crypto.lib == NULL)
		OSSL_LIB_CTX_free(lib);
}

int
crypto_init(struct err *err)
{
	pthread_once(&crypto.once, init_once);
	if (crypto.lib == NULL)
		return err_set(err, crypto.err.code, "%s", crypto.err.text);
	return 0;
}

int
crypto_prepare_fork(struct err *err)
{
	/* Without the texts of OpenSSL's errors: 60 kB in each process, for
	 * what never happens and is told by number then. Without the names of
	 * all legacy ciphers and digests, with which every context would begin:
	 * they are for EVP_get_cipherbyname, which nobody here calls, and for
	 * EVP_get_digestbyname, see add_tpm_digests. */
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS |
	    OPENSSL_INIT_NO_ADD_ALL_CIPHERS | OPENSSL_INIT_NO_ADD_ALL_DIGESTS |
	    OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		return crypto_error(err, "starting");
	crypto.narrow = true;
	return 0;
}

/* libtpms finds the hash of an RSA signature by EVP_get_digestbyname. What it
 * may ask for is in TPM 2.0 Part 2, 6.3 (TPM_ALG_ID). */
static int
add_tpm_digests(bool whole)
{
	if (EVP_add_digest(EVP_sha1()) != 1 ||
	    EVP_add_digest(EVP_sha256()) != 1 ||
	    EVP_add_digest(EVP_sha384()) != 1 ||
	    EVP_add_digest(EVP_sha512()) != 1)
		return -1;
	if (!whole)
		return 0;
#ifndef OPENSSL_NO_SM3
	if (EVP_add_digest(EVP_sm3()) != 1)
		return -1;
#endif
	return EVP_add_digest(EVP_sha3_256()) == 1 &&
	    EVP_add_digest(EVP_sha3_384()) == 1 &&
	    EVP_add_digest(EVP_sha3_512()) == 1 ? 0 : -1;
}

OSSL_LIB_CTX *
crypto_tpm_context(bool whole, struct err *err)
{
	if (crypto.tpm != NULL)
		return crypto.tpm;
	if (add_tpm_digests(whole) < 0) {
		(void)crypto_error(err, "adding digests");
		return NULL;
	}
	crypto.tpm = context_new(!whole, CRYPTO_FOR_TPM, err);
	return crypto.tpm;
}

OSSL_LIB_CTX *
crypto_context(void)
{
	return crypto.lib;
}

const EVP_CIPHER *
crypto_aes256_ecb(void)
{
	return crypto.ecb;
}

const EVP_CIPHER *
crypto_aes256_gcm(void)
{
	return crypto.gcm;
}

int
crypto_random(void *out, size_t size, struct err *err)
{
	int rc;

	if ((rc = crypto_init(err)) < 0)
		return rc;
	if (RAND_priv_bytes_ex(crypto.lib, out, size, 0) != 1)
		return crypto_error(err, "random bytes");
	return 0;
}

int
crypto_sha256(const void *data, size_t size, uint8_t out[SHA256_SIZE],
    struct err *err)
{
	int rc;

	if ((rc = crypto_init(err)) < 0)
		return rc;
	if (EVP_Digest(data, size, out, NULL, crypto.sha256, NULL) != 1)
		return crypto_error(err, "SHA-256");
	return 0;
}

/* OSSL_PARAM wants pointers to non-const, and only reads through them. */
static OSSL_PARAM
octets(const char *name, const void *data, size_t size)
{
	return OSSL_PARAM_construct_octet_string(name,
	    (void *)(uintptr_t)data, size);
}

static OSSL_PARAM
text(const char *name, const char *value)
{
	return OSSL_PARAM_construct_utf8_string(name,
	    (char *)(uintptr_t)value, 0);
}

static int
derive(EVP_KDF *kdf, const OSSL_PARAM *params, uint8_t *out, size_t out_size,
    const char *what, struct err *err)
{
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	int rc = 0;

	if (ctx == NULL || EVP_KDF_derive(ctx, out, out_size, params) != 1)
		rc = crypto_error(err, what);
	EVP_KDF_CTX_free(ctx);
	return rc;
}

int
crypto_kbkdf(const uint8_t *key, size_t key_size, const char *label,
    const void *context, size_t context_size, uint8_t *out, size_t out_size,
    struct err *err)
{
	OSSL_PARAM params[7];
	int rc;

	if ((rc = crypto_init(err)) < 0)
		return rc;
	params[0] = text(OSSL_KDF_PARAM_MODE, "counter");
	params[1] = text(OSSL_KDF_PARAM_MAC, "HMAC");
	params[2] = text(OSSL_KDF_PARAM_DIGEST, "SHA256");
	params[3] = octets(OSSL_KDF_PARAM_KEY, key, key_size);
	/* OpenSSL calls SP 800-108's Label "salt" and its Context "info". */
	params[4] = octets(OSSL_KDF_PARAM_SALT, label, strlen(label));
	params[5] = octets(OSSL_KDF_PARAM_INFO, context, context_size);
	params[6] = OSSL_PARAM_construct_end();
	return derive(crypto.kbkdf, params, out, out_size, "KBKDF", err);
}

int
crypto_pbkdf2(const void *passphrase, size_t passphrase_size,
    const void *salt, size_t salt_size, uint32_t iterations, uint8_t *out,
    size_t out_size, struct err *err)
{
	EVP_KDF *kdf = NULL;
	OSSL_PARAM params[6];
	int keep_checks = 0;	/* 0 keeps the lower limits of SP 800-132 */
	int rc;

	if ((rc = crypto_init(err)) < 0)
		return rc;
	if ((kdf = EVP_KDF_fetch(crypto.lib, "PBKDF2", NULL)) == NULL)
		return crypto_error(err, "fetching PBKDF2");
	params[0] = text(OSSL_KDF_PARAM_DIGEST, "SHA512");
	params[1] = octets(OSSL_KDF_PARAM_PASSWORD, passphrase,
	    passphrase_size);
	params[2] = octets(OSSL_KDF_PARAM_SALT, salt, salt_size);
	params[3] = OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_ITER,
	    &iterations);
	params[4] = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_PKCS5,
	    &keep_checks);
	params[5] = OSSL_PARAM_construct_end();
	rc = derive(kdf, params, out, out_size, "PBKDF2", err);
	EVP_KDF_free(kdf);
	return rc;
}
