/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The primitives that nvram-crypt stands on, from OpenSSL in a library context
 * of our own: libtpms uses the default one in the same process, and what it
 * does there (or what openssl.cnf does to it) must not reach our keys. All of
 * them are FIPS-approved. The context is made at first use.
 */
#ifndef NVRAM_CRYPT_CRYPTO_H
#define NVRAM_CRYPT_CRYPTO_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SHA256_SIZE 32

/* Makes the context and fetches what every file needs. The functions below do
 * it themselves; call it early where a later failure would hurt. */
int crypto_init(struct err *err);
/* NULL unless crypto_init succeeded. Owned by this module. */
OSSL_LIB_CTX *crypto_context(void);
const EVP_CIPHER *crypto_aes256_ecb(void);
const EVP_CIPHER *crypto_aes256_gcm(void);

/* Before anything else here, in a process of which there are many: from then on
 * OpenSSL is without texts, and our context is made with what nvram-crypt uses
 * and no other algorithm. It is made by the process that uses it, after the
 * fork: made before, its pages were changed by all sides (reference counts,
 * locks), and there were three copies of most of them. */
int crypto_prepare_fork(struct err *err);
/* A context for libtpms, in a process that has none of our own: with what
 * libtpms 0.9 fetches, or the whole for one of which that is not known. The
 * same at every call, of which the first must be alone. NULL on error. Owned by
 * this module. */
OSSL_LIB_CTX *crypto_tpm_context(bool whole, struct err *err);

/* From the DRBG for private values of our context (SP 800-90A). */
int crypto_random(void *out, size_t size, struct err *err);
int crypto_sha256(const void *data, size_t size, uint8_t out[SHA256_SIZE],
    struct err *err);
/* SP 800-108r1, 4.1: counter mode over HMAC-SHA-256, 32-bit counter before
 * Label || 00 || Context || [L in bits]_32. label is a C string. */
int crypto_kbkdf(const uint8_t *key, size_t key_size, const char *label,
    const void *context, size_t context_size, uint8_t *out, size_t out_size,
    struct err *err);
/* SP 800-132 with HMAC-SHA-512. */
int crypto_pbkdf2(const void *passphrase, size_t passphrase_size,
    const void *salt, size_t salt_size, uint32_t iterations, uint8_t *out,
    size_t out_size, struct err *err);

/* "WHAT: " and the oldest error in OpenSSL's queue, which is then emptied.
 * Returns ERR_CRYPTO. */
int crypto_error(struct err *err, const char *what);

#endif
