/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signed texts: JWS (RFC 7515) in compact form with ES256 (RFC 7518, 3.4) and
 * nothing else. The algorithm is not chosen by what came: a header of any other
 * is refused before a key is looked at, and so is one that has more than alg,
 * typ and kid (RFC 8725, 3.1 and 3.10).
 */
#ifndef TRUST_AUTHORITY_COMMON_JWS_H
#define TRUST_AUTHORITY_COMMON_JWS_H

#include "trust-authority/common/jwk.h"

#define JWS_TEXT_MAX 8191	/* characters: HTTP_BEARER_MAX less its NUL */

/* *out is malloc'ed. */
int jws_sign(const struct jwk *key, const char *typ, const json_t *payload,
    char **out, struct err *err);

/* The kid of a text whose header is as above with this typ. Believe nothing of
 * it but that it names a key to try. ERR_FORMAT, ERR_REFUSED (algorithm,
 * type). */
int jws_kid(const char *text, const char *typ,
    char kid[JWK_THUMBPRINT_SIZE + 1], struct err *err);
/* Checks the signature, and only then parses: *payload is an object. ERR_AUTH. */
int jws_verify(const char *text, const struct jwk *key, json_t **payload,
    struct err *err);

#endif
