/* SPDX-License-Identifier: BSD-3-Clause */
/* The TPM's key derivations, TPM 2.0 Part 1, 11.4.10. */
#ifndef ATTEST_KDF_H
#define ATTEST_KDF_H

#include "trust-authority/attest/hash.h"

struct kdf_input {
	const uint8_t *data;
	size_t size;
};

/* KDFa: SP 800-108 in counter mode over HMAC, 11.4.10.2. size is in bytes. */
int kdf_a(const struct hash_alg *alg, struct kdf_input key, const char *label,
    struct kdf_input context_u, struct kdf_input context_v, uint8_t *out,
    size_t size, struct err *err);
/* KDFe: SP 800-56A over a hash, 11.4.10.3; at most one digest's bytes. */
int kdf_e(const struct hash_alg *alg, struct kdf_input z, const char *label,
    struct kdf_input party_u, struct kdf_input party_v, uint8_t *out,
    size_t size, struct err *err);

int hmac(const struct hash_alg *alg, struct kdf_input key,
    const struct hash_part *parts, size_t count, uint8_t out[HASH_MAX],
    struct err *err);

#endif
