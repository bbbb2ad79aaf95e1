/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tokens whose signature was found good, by the SHA-256 of their whole text:
 * a host shows the same one with each request for an hour. What is kept says
 * only that; times, and whether the host was revoked since, are for the caller
 * to look at each time. Whatever was verified by an older key set has to be
 * forgotten with it. Threads share it.
 */
#ifndef TRUST_AUTHORITY_KEYPROVIDER_TOKEN_CACHE_H
#define TRUST_AUTHORITY_KEYPROVIDER_TOKEN_CACHE_H

#include <stdbool.h>

#include "trust-authority/common/token.h"

struct token_cache;

/* NULL: no memory. */
struct token_cache *token_cache_new(void);
/* NULL is allowed. */
void token_cache_free(struct token_cache *c);

/* *claims is the caller's to reset; kid is of the key that signed it. */
bool token_cache_get(struct token_cache *c, const char *token,
    struct token_claims *claims, char kid[JWK_THUMBPRINT_SIZE + 1]);
/* Takes the place of another. Failing to remember is no error. */
void token_cache_put(struct token_cache *c, const char *token,
    const struct token_claims *claims, const char *kid);
void token_cache_forget(struct token_cache *c);

#endif
