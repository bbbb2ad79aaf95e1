/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attestd/keys.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "trust-authority/attest/ek-cert.h"

#define PLACES 512	/* of some 3 kB with its key */
#define DIGEST_SIZE 32

struct kept {
	uint8_t digest[DIGEST_SIZE];
	uint8_t fingerprint[HASH_MAX];
	bool has_fingerprint;
	struct tpm_key *key;		/* NULL: free */
};

struct keys {
	pthread_mutex_t lock;
	struct kept places[PLACES];
};

struct keys *
keys_new(void)
{
	struct keys *k = calloc(1, sizeof(*k));

	if (k != NULL)
		pthread_mutex_init(&k->lock, NULL);
	return k;
}

void
keys_free(struct keys *k)
{
	if (k == NULL)
		return;
	for (size_t i = 0; i < PLACES; i++)
		tpm_key_free(k->places[i].key);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

static struct kept *
place_of(struct keys *k, const uint8_t digest[DIGEST_SIZE])
{
	return &k->places[((size_t)digest[0] << 8 | digest[1]) % PLACES];
}

static bool
find(struct keys *k, const uint8_t digest[DIGEST_SIZE], struct kept *out)
{
	const struct kept *p = place_of(k, digest);
	bool found = false;

	pthread_mutex_lock(&k->lock);
	if (p->key != NULL && memcmp(p->digest, digest, DIGEST_SIZE) == 0) {
		*out = *p;
		out->key = tpm_key_share(p->key);
		found = out->key != NULL;
	}
	pthread_mutex_unlock(&k->lock);
	return found;
}

/* Without memory it is read again the next time. */
static void
keep(struct keys *k, const struct kept *new)
{
	struct kept *p = place_of(k, new->digest);
	struct tpm_key *own = tpm_key_share(new->key), *old;

	if (own == NULL)
		return;
	pthread_mutex_lock(&k->lock);
	old = p->key;
	*p = *new;
	p->key = own;
	pthread_mutex_unlock(&k->lock);
	tpm_key_free(old);
}

int
keys_read(struct keys *k, const uint8_t *data, size_t size,
    struct tpm_key **out, uint8_t fingerprint[HASH_MAX], struct err *err)
{
	const struct hash_part part = { data, size };
	struct kept kept = { .key = NULL };
	uint8_t digest[HASH_MAX];
	bool fresh;
	int rc;

	*out = NULL;
	if ((rc = hash_digest(hash_by_id(TPM_ALG_SHA256), &part, 1, digest,
	    err)) < 0)
		return rc;
	fresh = !find(k, digest, &kept);
	if (fresh && (rc = tpm_key_read(data, size, &kept.key, err)) < 0)
		return rc;
	memcpy(kept.digest, digest, DIGEST_SIZE);
	*out = kept.key;
	if (fingerprint != NULL && !kept.has_fingerprint) {
		if ((rc = ek_fingerprint(kept.key, kept.fingerprint, err)) < 0)
			return rc;
		kept.has_fingerprint = fresh = true;
	}
	if (fingerprint != NULL)
		memcpy(fingerprint, kept.fingerprint, HASH_MAX);
	if (fresh)
		keep(k, &kept);
	return 0;
}
