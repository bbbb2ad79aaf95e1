/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keys on P-256 as JSON Web Keys (RFC 7517; RFC 7518, 6.2), named by their
 * thumbprints (RFC 7638 with SHA-256).
 */
#ifndef TRUST_AUTHORITY_COMMON_JWK_H
#define TRUST_AUTHORITY_COMMON_JWK_H

#include <jansson.h>
#include <openssl/types.h>

#include "base/err.h"
#include "base/secret.h"

#define JWK_COORDINATE 32	/* bytes of x, y and d */
#define JWK_THUMBPRINT_SIZE 43	/* characters */

struct jwk {
	EVP_PKEY *pkey;		/* in OpenSSL's memory, which is cleansed but
				 * not locked: see memory.h */
	bool is_private;
	uint8_t point[1 + 2 * JWK_COORDINATE];	/* 04 || x || y */
	char kid[JWK_THUMBPRINT_SIZE + 1];
};

int jwk_generate(struct jwk **out, struct err *err);
/* A key of its own on the same curve: OpenSSL copies the group, which takes
 * half as long as making it from its name. */
int jwk_generate_like(const struct jwk *other, struct jwk **out,
    struct err *err);
/* Only kty, crv, x and y count; ERR_FORMAT for another kind of key, a point
 * that is not on the curve, or a private key where none belongs. */
int jwk_read(const json_t *json, struct jwk **out, struct err *err);
/* x, y and d, JWK_COORDINATE bytes each. ERR_FORMAT where d is not that of x
 * and y. */
int jwk_read_private(const struct secret *bytes, struct jwk **out,
    struct err *err);
/* 04 || x || y; ERR_FORMAT where it is not on the curve. */
int jwk_from_point(const uint8_t point[1 + 2 * JWK_COORDINATE],
    struct jwk **out, struct err *err);
struct secret *jwk_private_bytes(const struct jwk *key, struct err *err);
/* The public key: kty, crv, x, y. NULL: no memory. */
json_t *jwk_json(const struct jwk *key);
/* The same key once more, with OpenSSL's part of it shared: each is freed for
 * itself. NULL: no memory. */
struct jwk *jwk_share(const struct jwk *key);
/* NULL is allowed. */
void jwk_free(struct jwk *key);

#endif
