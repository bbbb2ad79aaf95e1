/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sealed texts: JWE (RFC 7516) in compact form, A256GCM under a key of its own
 * that is wrapped by A256KW: to a public key by ECDH-ES+A256KW (RFC 7518, 4.6),
 * or by a key of 32 bytes (4.4). Which of the two is the caller's choice, never
 * the text's.
 */
#ifndef TRUST_AUTHORITY_COMMON_JWE_H
#define TRUST_AUTHORITY_COMMON_JWE_H

#include "trust-authority/common/jwk.h"

#define JWE_PAYLOAD_MAX 65536	/* bytes */
#define JWE_KEY_SIZE 32

/* For who has key's private part. typ goes into the header and must be the same
 * at both ends, so that one kind of message does not pass for another. *out is
 * malloc'ed. */
int jwe_seal(const struct jwk *key, const char *typ,
    const struct secret *payload, char **out, struct err *err);
/* ERR_FORMAT, ERR_REFUSED (algorithm, type), ERR_AUTH (altered, or for
 * somebody else). */
int jwe_open(const struct jwk *key, const char *typ, const char *text,
    struct secret **payload, struct err *err);

/* The same with a key that both have. */
int jwe_seal_shared(const struct secret *key, const char *typ,
    const struct secret *payload, char **out, struct err *err);
int jwe_open_shared(const struct secret *key, const char *typ,
    const char *text, struct secret **payload, struct err *err);

#endif
