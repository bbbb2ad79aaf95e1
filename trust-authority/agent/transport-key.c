/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/transport-key.h"

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "trust-authority/attest/hash.h"

/* A token's key has a few hundred bytes there, and two tokens overlap. */
#define HEAP_SIZE 65536
#define HEAP_PIECE 32

struct transport_key {
	EVP_PKEY *pkey;
	uint8_t *public;
	size_t public_size;
};

/* 1: locked; 2: OpenSSL made it, but could not lock it. */
static int
heap_make(struct err *err)
{
	if (CRYPTO_secure_malloc_initialized() ||
	    CRYPTO_secure_malloc_init(HEAP_SIZE, HEAP_PIECE) == 1)
		return 0;
	return err_set(err, ERR_CRYPTO, "cannot lock %d bytes of memory for "
	    "keys (raise the memlock limit)", HEAP_SIZE);
}

int
transport_key_new(struct transport_key **out, struct err *err)
{
	struct transport_key *k = NULL;
	uint8_t *der = NULL;
	int n, rc;

	*out = NULL;
	if ((rc = heap_make(err)) < 0)
		return rc;
	if ((k = calloc(1, sizeof(*k))) == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	k->pkey = EVP_EC_gen("P-256");
	n = k->pkey == NULL ? -1 : i2d_PUBKEY(k->pkey, &der);
	if (n <= 0) {
		rc = openssl_error(err, "cannot make a transport key");
		goto out;
	}
	k->public = der;
	k->public_size = (size_t)n;
	*out = k;
	k = NULL;
out:
	transport_key_free(k);
	return rc;
}

void
transport_key_free(struct transport_key *k)
{
	if (k == NULL)
		return;
	EVP_PKEY_free(k->pkey);
	OPENSSL_free(k->public);
	free(k);
}

const uint8_t *
transport_key_public(const struct transport_key *k, size_t *size)
{
	*size = k->public_size;
	return k->public;
}

EVP_PKEY *
transport_key_pkey(const struct transport_key *k)
{
	return k->pkey;
}
