/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TPM2_MakeCredential without a TPM (TPM 2.0 Part 1, 24): a secret that only
 * the TPM with this EK can give back, and only if it also has a key of this
 * name. So the host that returns it has proven that the AK lives beside the EK.
 */
#ifndef ATTEST_CREDENTIAL_H
#define ATTEST_CREDENTIAL_H

#include "base/secret.h"
#include "trust-authority/attest/tpm-key.h"

/* Integrity HMAC and encrypted secret, each a TPM2B in the other. */
#define CREDENTIAL_BLOB_MAX (2 + 2 + HASH_MAX + 2 + HASH_MAX)
/* RSA of 4096 bits; a P-384 point is shorter. */
#define CREDENTIAL_SECRET_MAX (2 + 512)

/* What TPM2_ActivateCredential takes. */
struct credential {
	uint8_t blob[CREDENTIAL_BLOB_MAX];	/* TPM2B_ID_OBJECT */
	size_t blob_size;
	uint8_t secret[CREDENTIAL_SECRET_MAX];	/* TPM2B_ENCRYPTED_SECRET */
	size_t secret_size;
};

/* secret is at most as long as a digest of the EK's nameAlg; name is the AK's.
 * ek must have passed tpm_key_check_ek. */
int credential_make(const struct tpm_key *ek, const uint8_t *name,
    size_t name_size, const struct secret *secret, struct credential *out,
    struct err *err);

#endif
