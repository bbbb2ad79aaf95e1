/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keys of hosts' TPMs, read from a TPMT_PUBLIC once and not in each request:
 * OpenSSL takes as long to import one as to verify its signature. Found again
 * by the SHA-256 of its bytes; some hundreds, whoever comes next takes the
 * place.
 */
#ifndef ATTESTD_KEYS_H
#define ATTESTD_KEYS_H

#include "trust-authority/attest/tpm-key.h"

struct keys;

/* NULL: no memory. */
struct keys *keys_new(void);
/* NULL is allowed. */
void keys_free(struct keys *k);

/* As tpm_key_read; *out is the caller's own. fingerprint (SHA-256 of the
 * SubjectPublicKeyInfo) may be NULL. */
int keys_read(struct keys *k, const uint8_t *data, size_t size,
    struct tpm_key **out, uint8_t fingerprint[HASH_MAX], struct err *err);

#endif
