/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keys of vta-attestd's tokens, from its key set. Fetched anew every few
 * minutes, and at once for a key that is not known, but not more often than
 * every few seconds: anybody can invent key ids. While vta-attestd is away
 * those from before are good for the tokens that they signed.
 */
#ifndef TRUST_AUTHORITY_KEYPROVIDER_TOKEN_SOURCE_H
#define TRUST_AUTHORITY_KEYPROVIDER_TOKEN_SOURCE_H

#include "trust-authority/common/token.h"

struct token_source;

/* urls: of vta-attestd, with spaces between. Fetches nothing yet. */
int token_source_new(const char *urls, const char *ca, const char *issuer,
    struct token_source **out, struct err *err);
/* NULL is allowed. */
void token_source_free(struct token_source *s);

/* Fetches where it is time to; 0 also where it is not. For a thread that may
 * wait. */
int token_source_refresh(struct token_source *s, struct err *err);
/* Seconds that this clock is ahead of vta-attestd's (negative: behind), as seen
 * when the key set was last fetched or, where that is less, as reckoned from
 * there: ours was set right since. A difference that was only reckoned, of a
 * vta-attestd whose clock may have been set too, is none before a fetch shows it.
 * 0 where nothing is known, or the two say different ways. */
int64_t token_source_ahead(struct token_source *s);
/* As token_verify; ERR_CLOSED where there are no keys to check it with. */
int token_source_verify(struct token_source *s, const char *token,
    const char *audience, int64_t now, struct token_claims *claims,
    struct err *err);

#endif
