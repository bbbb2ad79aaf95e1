/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/keyprovider/token-cache.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Each some 4 kB with its key. A digest has one place, and there is not one for
 * every host: a VM's start is four requests in a row with one token, and
 * missing costs one verification. */
#define PLACES 1024
#define DIGEST_SIZE 32

struct kept {
	uint8_t digest[DIGEST_SIZE];
	char kid[JWK_THUMBPRINT_SIZE + 1];
	struct token_claims claims;
};

struct token_cache {
	pthread_mutex_t lock;
	struct kept *places[PLACES];
};

struct token_cache *
token_cache_new(void)
{
	struct token_cache *c = calloc(1, sizeof(*c));

	if (c != NULL)
		pthread_mutex_init(&c->lock, NULL);
	return c;
}

static void
kept_free(struct kept *k)
{
	if (k == NULL)
		return;
	token_claims_reset(&k->claims);
	free(k);
}

void
token_cache_free(struct token_cache *c)
{
	if (c == NULL)
		return;
	token_cache_forget(c);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* The signature is part of what is hashed. */
static int
digest_of(const char *token, uint8_t digest[DIGEST_SIZE], size_t *place)
{
	if (EVP_Digest(token, strlen(token), digest, NULL, EVP_sha256(),
	    NULL) != 1)
		return ERR_CRYPTO;
	*place = ((size_t)digest[0] << 8 | digest[1]) % PLACES;
	return 0;
}

static int
copy(struct token_claims *to, const struct token_claims *from)
{
	struct jwk *key = jwk_share(from->transport);

	if (key == NULL)
		return ERR_SYSTEM;
	*to = *from;
	to->transport = key;
	return 0;
}

bool
token_cache_get(struct token_cache *c, const char *token,
    struct token_claims *claims, char kid[JWK_THUMBPRINT_SIZE + 1])
{
	uint8_t digest[DIGEST_SIZE];
	const struct kept *k;
	bool found = false;
	size_t place;

	if (digest_of(token, digest, &place) < 0)
		return false;
	pthread_mutex_lock(&c->lock);
	k = c->places[place];
	if (k != NULL && memcmp(k->digest, digest, sizeof(digest)) == 0 &&
	    copy(claims, &k->claims) == 0) {
		memcpy(kid, k->kid, sizeof(k->kid));
		found = true;
	}
	pthread_mutex_unlock(&c->lock);
	return found;
}

void
token_cache_put(struct token_cache *c, const char *token,
    const struct token_claims *claims, const char *kid)
{
	struct kept *k = calloc(1, sizeof(*k)), *old;
	size_t place;

	if (k == NULL || digest_of(token, k->digest, &place) < 0 ||
	    copy(&k->claims, claims) < 0) {
		free(k);
		return;
	}
	memcpy(k->kid, kid, sizeof(k->kid));
	pthread_mutex_lock(&c->lock);
	old = c->places[place];
	c->places[place] = k;
	pthread_mutex_unlock(&c->lock);
	kept_free(old);
}

void
token_cache_forget(struct token_cache *c)
{
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < PLACES; i++) {
		kept_free(c->places[i]);
		c->places[i] = NULL;
	}
	pthread_mutex_unlock(&c->lock);
}
