/* SPDX-License-Identifier: BSD-3-Clause */
/* XAES-256-GCM against the vectors of c2sp.org/XAES-256-GCM. */
#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "nvram-crypt/xaes.h"

static void
to_hex(const uint8_t *data, size_t n, char *text)
{
	for (size_t i = 0; i < n; i++)
		snprintf(text + 2 * i, 3, "%02x", data[i]);
}

static void
check_vector(uint8_t key_byte, const char *aad, const char *expected)
{
	static const uint8_t nonce[] = "ABCDEFGHIJKLMNOPQRSTUVWX";
	static const char plain[] = "XAES-256-GCM";
	uint8_t key[XAES_KEY_SIZE], sealed[12 + XAES_TAG_SIZE], back[12];
	char hex[2 * sizeof(sealed) + 1];
	struct xaes *x;

	memset(key, key_byte, sizeof(key));
	cr_assert_eq(xaes_new(&x, key, NULL), 0);
	cr_assert_eq(xaes_seal(x, nonce, aad, strlen(aad), plain, 12, sealed,
	    sealed + 12, NULL), 0);
	to_hex(sealed, sizeof(sealed), hex);
	cr_assert_str_eq(hex, expected);
	cr_assert_eq(xaes_open(x, nonce, aad, strlen(aad), sealed, 12, back,
	    sealed + 12, NULL), 0);
	cr_assert_eq(memcmp(back, plain, 12), 0);
	xaes_free(x);
}

Test(xaes, vectors)
{
	check_vector(1, "", "ce546ef63c9cc60765923609b33a9a19"
	    "74e96e52daf2fcf7075e2271");
	check_vector(3, "c2sp.org/XAES-256-GCM",
	    "986ec1832593df5443a179437fd083bf"
	    "3fdb41abd740a21f71eb769d");
}

/* OpenSSL 3.0 squeezes a SHAKE once only, so the random stream is squeezed
 * whole: each round takes at most 32 + 24 + 2 * (1 + 255) bytes of it. */
#define ROUNDS 10000
#define STREAM_MAX (ROUNDS * (32 + 24 + 2 * 256))

static uint8_t stream[STREAM_MAX];

static void
one_round(const uint8_t **at, EVP_MD_CTX *sum)
{
	const uint8_t *key = *at, *nonce = key + 32, *plain, *aad;
	uint8_t sealed[255 + XAES_TAG_SIZE], back[255];
	size_t plain_size, aad_size;
	struct xaes *x;

	plain_size = nonce[24];
	plain = nonce + 25;
	aad_size = plain[plain_size];
	aad = plain + plain_size + 1;
	*at = aad + aad_size;
	cr_assert_eq(xaes_new(&x, key, NULL), 0);
	cr_assert_eq(xaes_seal(x, nonce, aad, aad_size, plain, plain_size,
	    sealed, sealed + plain_size, NULL), 0);
	cr_assert_eq(xaes_open(x, nonce, aad, aad_size, sealed, plain_size,
	    back, sealed + plain_size, NULL), 0);
	cr_assert_eq(memcmp(back, plain, plain_size), 0);
	EVP_DigestUpdate(sum, sealed, plain_size + XAES_TAG_SIZE);
	xaes_free(x);
}

Test(xaes, accumulated)
{
	EVP_MD_CTX *sum = EVP_MD_CTX_new();
	const uint8_t *at = stream;
	uint8_t digest[32];
	char hex[65];

	EVP_DigestInit_ex(sum, EVP_shake128(), NULL);
	cr_assert_eq(EVP_DigestFinalXOF(sum, stream, sizeof(stream)), 1);
	EVP_DigestInit_ex(sum, EVP_shake128(), NULL);
	for (int i = 0; i < ROUNDS; i++)
		one_round(&at, sum);
	cr_assert_eq(EVP_DigestFinalXOF(sum, digest, sizeof(digest)), 1);
	to_hex(digest, sizeof(digest), hex);
	cr_assert_str_eq(hex, "e6b9edf2df6cec60c8cbd864e2211b59"
	    "7fb69a529160cd040d56c0c210081939");
	EVP_MD_CTX_free(sum);
}

/* Every bit of nonce, associated data, ciphertext and tag counts. */
Test(xaes, tampering)
{
	uint8_t message[XAES_NONCE_SIZE + 5 + 9 + XAES_TAG_SIZE] = { 7 };
	uint8_t *nonce = message, *aad = nonce + XAES_NONCE_SIZE;
	uint8_t *sealed = aad + 5, *tag = sealed + 9, out[9];
	static const uint8_t key[XAES_KEY_SIZE] = { 42 };
	static const uint8_t zero[9];
	struct xaes *x;

	cr_assert_eq(xaes_new(&x, key, NULL), 0);
	cr_assert_eq(xaes_seal(x, nonce, aad, 5, "plaintext", 9, sealed, tag,
	    NULL), 0);
	for (size_t bit = 0; bit < 8 * sizeof(message); bit++) {
		message[bit / 8] ^= (uint8_t)(1 << bit % 8);
		cr_assert_eq(xaes_open(x, nonce, aad, 5, sealed, 9, out, tag,
		    NULL), ERR_AUTH, "bit %zu", bit);
		cr_assert_eq(memcmp(out, zero, 9), 0, "plaintext is left");
		message[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	cr_assert_eq(xaes_open(x, nonce, aad, 5, sealed, 9, out, tag, NULL),
	    0);
	xaes_free(x);
}
