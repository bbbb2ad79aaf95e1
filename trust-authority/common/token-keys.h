/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keys that tokens are signed with. Each signs for a time, is published
 * before that (next) and stays until the last token it signed has ended
 * (retired). Times alone decide which is which, so that all nodes of a cluster
 * agree without asking each other. Seconds since 1970 everywhere.
 */
#ifndef TRUST_AUTHORITY_COMMON_TOKEN_KEYS_H
#define TRUST_AUTHORITY_COMMON_TOKEN_KEYS_H

#include <stdint.h>

#include "trust-authority/common/jwk.h"
#include "trust-authority/common/store.h"

#define TOKEN_KEYS_MAX 16
#define TOKEN_SKEW 60		/* seconds that clocks may differ */

struct token_keys;

struct token_key {
	struct jwk *key;
	int64_t from, until;	/* signs; from <= now < until */
};

/* How long a key signs, and how long a token lives at most. */
struct token_times {
	int64_t period, lifetime;
};

/* From the store, rotated if that is due: a key for now, one for what comes
 * next, none whose last token has ended. sealing: 32 bytes that are not in the
 * store; private keys lie there as JWE under it. Any number of processes may
 * do this at once. Call it again in time: token_keys_due. */
int token_keys_refresh(struct store *store, const struct secret *sealing,
    const struct token_times *times, int64_t now, struct token_keys **out,
    struct err *err);
/* When the next one begins to sign. */
int64_t token_keys_due(const struct token_keys *keys, int64_t now);

/* Public: for /.well-known/jwks.json (RFC 7517, 5), with nbf and exp for the
 * time in which each signs. */
json_t *token_keys_jwks(const struct token_keys *keys);
int token_keys_read_jwks(const json_t *jwks, struct token_keys **out,
    struct err *err);

/* The one that signs now; NULL where none does, or its private part is not
 * here. */
const struct token_key *token_keys_current(const struct token_keys *keys,
    int64_t now);
const struct token_key *token_keys_find(const struct token_keys *keys,
    const char *kid);
/* NULL is allowed. */
void token_keys_free(struct token_keys *keys);

#endif
