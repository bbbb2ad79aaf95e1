/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The token that says that a host has been attested: a JWT (RFC 7519) in a JWS
 * of type vtpm-host+jwt (RFC 8725, 3.11), for minutes to an hour. Claims in
 * doc/protocols.md.
 */
#ifndef TRUST_AUTHORITY_COMMON_TOKEN_H
#define TRUST_AUTHORITY_COMMON_TOKEN_H

#include "trust-authority/common/token-keys.h"

#define TOKEN_TYP "vtpm-host+jwt"
#define TOKEN_TEXT_MAX 256
#define TOKEN_EVIDENCE_SIZE 32

struct token_claims {
	char issuer[TOKEN_TEXT_MAX];	/* iss: URL of the authority */
	char audience[TOKEN_TEXT_MAX];	/* aud: one */
	char host[TOKEN_TEXT_MAX];	/* sub */
	char group[TOKEN_TEXT_MAX];
	char policy[TOKEN_TEXT_MAX];
	uint8_t evidence[TOKEN_EVIDENCE_SIZE];	/* SHA-256 */
	struct jwk *transport;		/* cnf.jwk (RFC 7800, 3.2); answers are
					 * sealed to it */
	int64_t issued, expires;	/* iat, exp */
	char id[33];			/* jti: 128 random bits, hex */
};

/* Signs all of claims but issued, expires and id, which it sets: now, now +
 * lifetime, random. *out is malloc'ed. */
int token_issue(const struct token_keys *keys, struct token_claims *claims,
    int64_t lifetime, int64_t now, char **out, struct err *err);

/* Checks everything that a token can say by itself; that its host has not been
 * revoked since, is for the caller to look up. ERR_FORMAT: no token. ERR_AUTH:
 * unknown key, signature. ERR_REFUSED: algorithm, type, issuer, audience, time.
 * now: the clock, TOKEN_SKEW is allowed for. token_claims_reset after. */
int token_verify(const struct token_keys *keys, const char *text,
    const char *issuer, const char *audience, int64_t now,
    struct token_claims *claims, struct err *err);
/* What time and the key set have to do with it, once more, for claims that
 * token_verify took from a text with this kid. */
int token_check_again(const struct token_keys *keys, const char *kid,
    const struct token_claims *claims, const char *issuer,
    const char *audience, int64_t now, struct err *err);
void token_claims_reset(struct token_claims *claims);

#endif
