/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attest/kdf.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

#include "base/secret.h"

int
hmac(const struct hash_alg *alg, struct kdf_input key,
    const struct hash_part *parts, size_t count, uint8_t out[HASH_MAX],
    struct err *err)
{
	/* OpenSSL's parameters are not const; it only reads this one. */
	OSSL_PARAM params[2] = { OSSL_PARAM_construct_utf8_string(
	    OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t)alg->name, 0),
	    OSSL_PARAM_construct_end() };
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
	size_t size = 0;
	int rc = 0;

	if (ctx == NULL || EVP_MAC_init(ctx, key.data, key.size, params) != 1)
		goto failed;
	for (size_t i = 0; i < count; i++)
		if (EVP_MAC_update(ctx, parts[i].data, parts[i].size) != 1)
			goto failed;
	if (EVP_MAC_final(ctx, out, &size, HASH_MAX) == 1 &&
	    size == alg->size)
		goto out;
failed:
	rc = openssl_error(err, "computing an HMAC");
out:
	EVP_MAC_CTX_free(ctx);
	EVP_MAC_free(mac);
	return rc;
}

static void
put_u32be(uint8_t out[4], size_t v)
{
	out[0] = (uint8_t)(v >> 24);
	out[1] = (uint8_t)(v >> 16);
	out[2] = (uint8_t)(v >> 8);
	out[3] = (uint8_t)v;
}

int
kdf_a(const struct hash_alg *alg, struct kdf_input key, const char *label,
    struct kdf_input context_u, struct kdf_input context_v, uint8_t *out,
    size_t size, struct err *err)
{
	uint8_t counter[4], bits[4], block[HASH_MAX];
	/* The label's final zero is part of it, 11.4.10.2. */
	const struct hash_part parts[] = {
		{ counter, 4 }, { label, strlen(label) + 1 },
		{ context_u.data, context_u.size },
		{ context_v.data, context_v.size }, { bits, 4 },
	};
	int rc = 0;

	put_u32be(bits, size * 8);
	for (size_t done = 0, i = 1; done < size; i++) {
		size_t n = size - done < alg->size ? size - done : alg->size;

		put_u32be(counter, i);
		if ((rc = hmac(alg, key, parts, 5, block, err)) < 0)
			break;
		memcpy(out + done, block, n);
		done += n;
	}
	cleanse(block, sizeof(block));
	return rc;
}

int
kdf_e(const struct hash_alg *alg, struct kdf_input z, const char *label,
    struct kdf_input party_u, struct kdf_input party_v, uint8_t *out,
    size_t size, struct err *err)
{
	static const uint8_t counter[4] = { 0, 0, 0, 1 };
	const struct hash_part parts[] = {
		{ counter, 4 }, { z.data, z.size },
		{ label, strlen(label) + 1 },
		{ party_u.data, party_u.size }, { party_v.data, party_v.size },
	};
	uint8_t block[HASH_MAX];
	int rc;

	if (size > alg->size)
		return err_set(err, ERR_INTERNAL, "KDFe for %zu bytes", size);
	if ((rc = hash_digest(alg, parts, 5, block, err)) == 0)
		memcpy(out, block, size);
	cleanse(block, sizeof(block));
	return rc;
}
