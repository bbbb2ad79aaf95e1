/* SPDX-License-Identifier: BSD-3-Clause */
/* The library contexts of a vtpmd: each test is a process of its own, as
 * Criterion forks, for contexts are made once. */
#include <criterion/criterion.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <stdint.h>
#include <string.h>

#include "nvram-crypt/crypto.h"

static bool
has_cipher(OSSL_LIB_CTX *lib, const char *name)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(lib, name, NULL);

	EVP_CIPHER_free(cipher);
	return cipher != NULL;
}

static void
check_sha256_of_abc(void)
{
	/* FIPS 180-4's example, as published with SHS's test vectors. */
	static const uint8_t expected[SHA256_SIZE] = {
		0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
		0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
		0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
		0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad };
	uint8_t digest[SHA256_SIZE];
	struct err err = { 0 };

	cr_assert_eq(crypto_sha256("abc", 3, digest, &err), 0, "%s", err.text);
	cr_assert_arr_eq(digest, expected, sizeof(expected));
}

/* Expected values: Python's hashlib.pbkdf2_hmac("sha512", PASSWORD, SALT, 1000,
 * 16), and its hmac with SHA-256 over 00000001 "label" 00 "context" 00000080
 * (SP 800-108r1, 4.1). */
static void
check_derivation(void)
{
	static const uint8_t pbkdf2[16] = {
		0xef, 0x4a, 0x15, 0x5e, 0xeb, 0x92, 0x43, 0x08,
		0xd1, 0xf9, 0x6a, 0x0e, 0xd6, 0xdf, 0x1b, 0x72 };
	static const uint8_t kbkdf[16] = {
		0x37, 0xac, 0xa8, 0x9d, 0xf3, 0x6d, 0x6d, 0x85,
		0x08, 0x2c, 0xf9, 0x50, 0x9a, 0x53, 0x20, 0x79 };
	uint8_t out[16], key[32];
	struct err err = { 0 };

	cr_assert_eq(crypto_pbkdf2("passwordPASSWORDpassword", 24,
	    "saltSALTsaltSALT", 16, 1000, out, sizeof(out), &err), 0, "%s",
	    err.text);
	cr_assert_arr_eq(out, pbkdf2, sizeof(out));
	memset(key, 0x0b, sizeof(key));
	cr_assert_eq(crypto_kbkdf(key, sizeof(key), "label", "context", 7, out,
	    sizeof(out), &err), 0, "%s", err.text);
	cr_assert_arr_eq(out, kbkdf, sizeof(out));
}

static void
check_random(void)
{
	uint8_t a[32], b[32];
	struct err err = { 0 };

	cr_assert_eq(crypto_random(a, sizeof(a), &err), 0, "%s", err.text);
	cr_assert_eq(crypto_random(b, sizeof(b), &err), 0, "%s", err.text);
	cr_assert(memcmp(a, b, sizeof(a)) != 0);
}

Test(crypto, whole)
{
	struct err err = { 0 };

	cr_assert_eq(crypto_init(&err), 0, "%s", err.text);
	cr_assert(has_cipher(crypto_context(), "AES-128-CBC"));
	check_sha256_of_abc();
	check_derivation();
	check_random();
}

Test(crypto, narrow)
{
	struct err err = { 0 };
	EVP_KEYMGMT *rsa;

	cr_assert_eq(crypto_prepare_fork(&err), 0, "%s", err.text);
	cr_assert_eq(crypto_init(&err), 0, "%s", err.text);
	check_sha256_of_abc();
	check_derivation();
	check_random();
	cr_assert(has_cipher(crypto_context(), "AES-256-GCM"));
	cr_assert_not(has_cipher(crypto_context(), "AES-128-CBC"));
	rsa = EVP_KEYMGMT_fetch(crypto_context(), "RSA", NULL);
	cr_assert_null(rsa);
	cr_assert_eq(OSSL_PROVIDER_available(crypto_context(), "default"), 0);
}

Test(crypto, for_tpm)
{
	struct err err = { 0 };
	OSSL_LIB_CTX *lib;
	uint8_t noise[16];

	cr_assert_eq(crypto_prepare_fork(&err), 0, "%s", err.text);
	lib = crypto_tpm_context(false, &err);
	cr_assert_not_null(lib, "%s", err.text);
	cr_assert_eq(crypto_tpm_context(false, &err), lib);
	cr_assert(has_cipher(lib, "CAMELLIA-128-OFB"));
	cr_assert_not(has_cipher(lib, "AES-256-GCM"));
	cr_assert_eq(RAND_bytes_ex(lib, noise, sizeof(noise), 0), 1);
	cr_assert_not_null(EVP_get_digestbyname("SHA384"));
	cr_assert_null(EVP_get_digestbyname("SHA3-384"));
	/* The other list is not to be had in the same process. */
	cr_assert_eq(crypto_init(&err), ERR_INTERNAL);
	cr_assert(strstr(err.text, "one process") != NULL);
}

/* What an unknown libtpms gets. */
Test(crypto, whole_for_tpm)
{
	struct err err = { 0 };
	OSSL_LIB_CTX *lib;

	cr_assert_eq(crypto_prepare_fork(&err), 0, "%s", err.text);
	lib = crypto_tpm_context(true, &err);
	cr_assert_not_null(lib, "%s", err.text);
	cr_assert(has_cipher(lib, "AES-192-CFB"));
	cr_assert_not_null(EVP_get_digestbyname("SHA384"));
	cr_assert_not_null(EVP_get_digestbyname("SHA3-384"));
}
