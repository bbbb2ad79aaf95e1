/* SPDX-License-Identifier: BSD-3-Clause */
/* Signatures that a TPM makes (TPMT_SIGNATURE, TPM 2.0 Part 2, 11.3.4). */
#ifndef ATTEST_SIGNATURE_H
#define ATTEST_SIGNATURE_H

#include "trust-authority/attest/tpm-key.h"

/* Whether key signed data; the signature's scheme and hash must be the key's
 * own. ERR_AUTH when not, ERR_FORMAT for what is no signature. */
int signature_verify(const struct tpm_key *key, const uint8_t *signature,
    size_t signature_size, const uint8_t *data, size_t size,
    struct err *err);

#endif
