/* SPDX-License-Identifier: BSD-3-Clause */
#include "nvram-crypt/xaes.h"

#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "nvram-crypt/crypto.h"

#define BLOCK 16
#define HALF 12		/* the nonce's halves: for the key, for GCM */

struct xaes {
	EVP_CIPHER_CTX *ecb;	/* keyed with the long-term key */
	EVP_CIPHER_CTX *gcm;	/* keyed anew for each message */
	uint8_t k1[BLOCK];	/* CMAC subkey, SP 800-38B 6.1 */
};

static int
encrypt_block(struct xaes *x, const uint8_t in[BLOCK], uint8_t out[BLOCK],
    struct err *err)
{
	int n;

	if (EVP_EncryptUpdate(x->ecb, out, &n, in, BLOCK) != 1 || n != BLOCK)
		return crypto_error(err, "AES-256");
	return 0;
}

/* K1 = L << 1, with the reduction polynomial where a bit fell out. */
static int
make_subkey(struct xaes *x, struct err *err)
{
	uint8_t l[BLOCK] = { 0 };
	int rc;

	if ((rc = encrypt_block(x, l, l, err)) < 0)
		return rc;
	for (size_t i = 0; i < BLOCK; i++) {
		unsigned int next = i + 1 < BLOCK ? l[i + 1] >> 7 : 0;

		x->k1[i] = (uint8_t)(l[i] << 1 | next);
	}
	x->k1[BLOCK - 1] ^= (uint8_t)(0x87 & -(l[0] >> 7));
	cleanse(l, sizeof(l));
	return 0;
}

int
xaes_new(struct xaes **out, const uint8_t key[XAES_KEY_SIZE], struct err *err)
{
	struct xaes *x = NULL;
	int rc;

	*out = NULL;
	if ((rc = crypto_init(err)) < 0)
		return rc;
	if ((x = calloc(1, sizeof(*x))) == NULL)
		return err_set(err, ERR_SYSTEM, "out of memory");
	x->ecb = EVP_CIPHER_CTX_new();
	x->gcm = EVP_CIPHER_CTX_new();
	if (x->ecb == NULL || x->gcm == NULL ||
	    EVP_EncryptInit_ex2(x->ecb, crypto_aes256_ecb(), key, NULL,
	    NULL) != 1 || EVP_CIPHER_CTX_set_padding(x->ecb, 0) != 1 ||
	    EVP_CipherInit_ex2(x->gcm, crypto_aes256_gcm(), NULL, NULL, 1,
	    NULL) != 1) {
		rc = crypto_error(err, "keying AES-256");
		goto out;
	}
	if ((rc = make_subkey(x, err)) < 0)
		goto out;
	*out = x;
	x = NULL;
out:
	xaes_free(x);
	return rc;
}

void
xaes_free(struct xaes *x)
{
	if (x == NULL)
		return;
	EVP_CIPHER_CTX_free(x->ecb);	/* both cleanse their keys */
	EVP_CIPHER_CTX_free(x->gcm);
	cleanse(x, sizeof(*x));
	free(x);
}

/* Keys x->gcm for one message: Kx and the second half of the nonce. */
static int
begin(struct xaes *x, const uint8_t nonce[XAES_NONCE_SIZE], int encrypt,
    struct err *err)
{
	uint8_t m[BLOCK] = { 0, 1, 0x58, 0 };	/* counter, "X", separator */
	uint8_t block[BLOCK];
	uint8_t kx[2 * BLOCK];
	int rc = 0;

	memcpy(m + BLOCK - HALF, nonce, HALF);
	for (uint8_t i = 1; i <= 2; i++) {
		m[1] = i;
		for (size_t j = 0; j < BLOCK; j++)
			block[j] = m[j] ^ x->k1[j];
		if ((rc = encrypt_block(x, block, kx + (i - 1) * BLOCK,
		    err)) < 0)
			goto out;
	}
	/* NULL: the same cipher, and so no new context inside. */
	if (EVP_CipherInit_ex2(x->gcm, NULL, kx, nonce + HALF, encrypt,
	    NULL) != 1)
		rc = crypto_error(err, "keying AES-256-GCM");
out:
	cleanse(kx, sizeof(kx));
	cleanse(block, sizeof(block));
	return rc;
}

static int
update(struct xaes *x, const void *aad, size_t aad_size, const void *in,
    size_t size, void *out, struct err *err)
{
	int n;

	if (aad_size > INT_MAX || size > INT_MAX)
		return err_set(err, ERR_INTERNAL,
		    "a message of %zu bytes is too long for XAES-256-GCM",
		    size);
	if (aad_size > 0 &&
	    EVP_CipherUpdate(x->gcm, NULL, &n, aad, (int)aad_size) != 1)
		return crypto_error(err, "AES-256-GCM, associated data");
	if (size > 0 &&
	    EVP_CipherUpdate(x->gcm, out, &n, in, (int)size) != 1)
		return crypto_error(err, "AES-256-GCM");
	return 0;
}

int
xaes_seal(struct xaes *x, const uint8_t nonce[XAES_NONCE_SIZE],
    const void *aad, size_t aad_size, const void *in, size_t size, void *out,
    uint8_t tag[XAES_TAG_SIZE], struct err *err)
{
	uint8_t none[BLOCK];
	int n, rc;

	if ((rc = begin(x, nonce, 1, err)) < 0 ||
	    (rc = update(x, aad, aad_size, in, size, out, err)) < 0)
		return rc;
	if (EVP_CipherFinal_ex(x->gcm, none, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(x->gcm, EVP_CTRL_AEAD_GET_TAG, XAES_TAG_SIZE,
	    tag) != 1)
		return crypto_error(err, "AES-256-GCM, tag");
	return 0;
}

int
xaes_open(struct xaes *x, const uint8_t nonce[XAES_NONCE_SIZE],
    const void *aad, size_t aad_size, const void *in, size_t size, void *out,
    const uint8_t tag[XAES_TAG_SIZE], struct err *err)
{
	uint8_t expected[XAES_TAG_SIZE], none[BLOCK];
	int n, rc;

	memcpy(expected, tag, sizeof(expected));
	if ((rc = begin(x, nonce, 0, err)) < 0 ||
	    (rc = update(x, aad, aad_size, in, size, out, err)) < 0)
		return rc;
	if (EVP_CIPHER_CTX_ctrl(x->gcm, EVP_CTRL_AEAD_SET_TAG, XAES_TAG_SIZE,
	    expected) != 1)
		return crypto_error(err, "AES-256-GCM, tag");
	if (EVP_CipherFinal_ex(x->gcm, none, &n) != 1) {
		if (size > 0)
			cleanse(out, size);
		return err_set(err, ERR_AUTH,
		    "the authentication tag does not fit");
	}
	return 0;
}
