/* SPDX-License-Identifier: BSD-3-Clause */
/* OpenSSL keys from the numbers in a TPM's structures, and back. */
#ifndef ATTEST_TPM_PKEY_H
#define ATTEST_TPM_PKEY_H

#include <openssl/types.h>

#include "trust-authority/attest/hash.h"

#define TPM_ECC_COORDINATE_MAX 48	/* P-384 */

struct tpm_curve {
	uint16_t id;		/* TPM_ECC_CURVE, TPM 2.0 Part 2, 6.4 */
	const char *group;	/* OpenSSL's name */
	size_t size;		/* bytes of a coordinate */
};

/* NULL where we do not support it. */
const struct tpm_curve *tpm_curve_by_id(uint16_t id);

int tpm_pkey_rsa(const uint8_t *n, size_t n_size, uint32_t exponent,
    EVP_PKEY **out, struct err *err);
/* A TPM may leave out leading zeros of a coordinate. */
int tpm_pkey_ecc(uint16_t curve, const uint8_t *x, size_t x_size,
    const uint8_t *y, size_t y_size, EVP_PKEY **out, struct err *err);
/* Both coordinates, curve->size bytes each. */
int tpm_pkey_point(const EVP_PKEY *key, const struct tpm_curve *curve,
    uint8_t *x, uint8_t *y, struct err *err);

#endif
