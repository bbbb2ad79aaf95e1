/* SPDX-License-Identifier: BSD-3-Clause */
/* The steps of jwe.c, by OpenSSL. 0, or ERR_CRYPTO; ERR_AUTH where what was
 * given is not what was sealed. */
#ifndef TRUST_AUTHORITY_COMMON_JWE_CRYPT_H
#define TRUST_AUTHORITY_COMMON_JWE_CRYPT_H

#include "trust-authority/common/jwk.h"

#define JWE_WRAPPED_SIZE 40
#define JWE_IV_SIZE 12
#define JWE_TAG_SIZE 16

/* RFC 7518, 4.6.2: the Concat KDF of SP 800-56A over the shared point's x. */
int jwe_agree(const struct jwk *own, const struct jwk *peer, const char *alg,
    struct secret **kek, struct err *err);
/* RFC 3394. */
int jwe_wrap(const struct secret *kek, const struct secret *cek,
    uint8_t out[JWE_WRAPPED_SIZE]);
int jwe_unwrap(const struct secret *kek, const uint8_t in[JWE_WRAPPED_SIZE],
    struct secret *cek);
int jwe_encrypt(const struct secret *cek, const uint8_t iv[JWE_IV_SIZE],
    const char *aad, size_t aad_size, const uint8_t *in, size_t size,
    uint8_t *out, uint8_t tag[JWE_TAG_SIZE]);
/* In place. */
int jwe_decrypt(const struct secret *cek, const uint8_t iv[JWE_IV_SIZE],
    const char *aad, size_t aad_size, uint8_t *data, size_t size,
    const uint8_t tag[JWE_TAG_SIZE]);

#endif
