/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attest/hash.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static const struct hash_alg algs[] = {
	{ TPM_ALG_SHA1, "sha1", 20 },
	{ TPM_ALG_SHA256, "sha256", 32 },
	{ 0x000c, "sha384", 48 },
	{ 0x000d, "sha512", 64 },
};

#define ALG_COUNT (sizeof(algs) / sizeof(algs[0]))

struct hasher {
	const struct hash_alg *alg;
	EVP_MD *md;
	EVP_MD_CTX *ctx;
};

const struct hash_alg *
hash_by_id(uint16_t id)
{
	for (size_t i = 0; i < ALG_COUNT; i++)
		if (algs[i].id == id)
			return &algs[i];
	return NULL;
}

const struct hash_alg *
hash_by_name(const char *name)
{
	for (size_t i = 0; i < ALG_COUNT; i++)
		if (strcmp(algs[i].name, name) == 0)
			return &algs[i];
	return NULL;
}

int
openssl_error(struct err *err, const char *what)
{
	unsigned long code = ERR_get_error();
	char text[256] = "no reason given";

	if (code != 0)
		ERR_error_string_n(code, text, sizeof(text));
	ERR_clear_error();
	return err_set(err, ERR_CRYPTO, "OpenSSL failed: %s: %s", what, text);
}

struct hasher *
hasher_new(const struct hash_alg *alg, struct err *err)
{
	struct hasher *h = calloc(1, sizeof(*h));

	if (h == NULL) {
		err_set(err, ERR_INTERNAL, "out of memory");
		return NULL;
	}
	h->alg = alg;
	if ((h->md = EVP_MD_fetch(NULL, alg->name, NULL)) == NULL ||
	    (h->ctx = EVP_MD_CTX_new()) == NULL) {
		openssl_error(err, alg->name);
		hasher_free(h);
		return NULL;
	}
	return h;
}

void
hasher_free(struct hasher *h)
{
	if (h == NULL)
		return;
	EVP_MD_CTX_free(h->ctx);
	EVP_MD_free(h->md);
	free(h);
}

const struct hash_alg *
hasher_alg(const struct hasher *h)
{
	return h->alg;
}

int
hasher_digest(struct hasher *h, const struct hash_part *parts, size_t count,
    uint8_t out[HASH_MAX], struct err *err)
{
	unsigned int size = 0;

	if (EVP_DigestInit_ex2(h->ctx, h->md, NULL) != 1)
		return openssl_error(err, h->alg->name);
	for (size_t i = 0; i < count; i++)
		if (parts[i].size > 0 && EVP_DigestUpdate(h->ctx,
		    parts[i].data, parts[i].size) != 1)
			return openssl_error(err, h->alg->name);
	if (EVP_DigestFinal_ex(h->ctx, out, &size) != 1 ||
	    size != h->alg->size)
		return openssl_error(err, h->alg->name);
	return 0;
}

int
hasher_extend(struct hasher *h, uint8_t *pcr, const uint8_t *digest,
    struct err *err)
{
	const struct hash_part parts[] = {
		{ pcr, h->alg->size }, { digest, h->alg->size },
	};
	uint8_t out[HASH_MAX];
	int rc;

	if ((rc = hasher_digest(h, parts, 2, out, err)) == 0)
		memcpy(pcr, out, h->alg->size);
	return rc;
}

int
hash_digest(const struct hash_alg *alg, const struct hash_part *parts,
    size_t count, uint8_t out[HASH_MAX], struct err *err)
{
	struct hasher *h = hasher_new(alg, err);
	int rc;

	if (h == NULL)
		return ERR_CRYPTO;
	rc = hasher_digest(h, parts, count, out, err);
	hasher_free(h);
	return rc;
}

void
hash_hex(const uint8_t *digest, size_t size, char out[HASH_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	if (size > HASH_MAX)
		size = HASH_MAX;
	for (size_t i = 0; i < size; i++) {
		out[2 * i] = digits[digest[i] >> 4];
		out[2 * i + 1] = digits[digest[i] & 15];
	}
	out[2 * size] = '\0';
}

static int
nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int
hash_unhex(const char *text, uint8_t *out, size_t size)
{
	if (strlen(text) != 2 * size)
		return ERR_FORMAT;
	for (size_t i = 0; i < size; i++) {
		int high = nibble(text[2 * i]), low = nibble(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return ERR_FORMAT;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}
