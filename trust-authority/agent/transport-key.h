/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The key to which vta-kmxd encrypts its answers: P-256, one for each token,
 * bound into the quote, never on a disk. Its private number is in OpenSSL's
 * secure heap: locked, left out of core dumps, cleansed.
 */
#ifndef AGENT_TRANSPORT_KEY_H
#define AGENT_TRANSPORT_KEY_H

#include <openssl/types.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct transport_key;

/* The first makes the secure heap, before which no thread may use OpenSSL's
 * secure memory. ERR_CRYPTO also where memory cannot be locked. */
int transport_key_new(struct transport_key **out, struct err *err);
void transport_key_free(struct transport_key *k);
/* SubjectPublicKeyInfo, DER: the bytes for quote_binding. */
const uint8_t *transport_key_public(const struct transport_key *k,
    size_t *size);
EVP_PKEY *transport_key_pkey(const struct transport_key *k);

#endif
