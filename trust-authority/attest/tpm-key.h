/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Public areas of keys in a TPM (TPMT_PUBLIC, TPM 2.0 Part 2, 12.2.4): the
 * attestation key that signs quotes and the endorsement key that vouches for
 * it. RSA of 2048 bits or more, and the curves P-256 and P-384.
 */
#ifndef ATTEST_TPM_KEY_H
#define ATTEST_TPM_KEY_H

#include <openssl/types.h>
#include <stdbool.h>

#include "trust-authority/attest/hash.h"

#define TPM_ALG_RSA 0x0001u
#define TPM_ALG_AES 0x0006u
#define TPM_ALG_NULL 0x0010u
#define TPM_ALG_RSASSA 0x0014u
#define TPM_ALG_RSAPSS 0x0016u
#define TPM_ALG_ECDSA 0x0018u
#define TPM_ALG_ECC 0x0023u
#define TPM_ALG_CFB 0x0043u

#define TPM_NAME_MAX (2 + HASH_MAX)	/* nameAlg and digest */

struct tpm_key {
	uint16_t type;			/* TPM_ALG_RSA or TPM_ALG_ECC */
	const struct hash_alg *name_alg;
	uint32_t attributes;		/* TPMA_OBJECT */
	uint16_t symmetric;		/* TPM_ALG_AES or TPM_ALG_NULL */
	uint16_t symmetric_bits;
	uint16_t scheme;		/* of signing, or TPM_ALG_NULL */
	const struct hash_alg *scheme_hash;
	uint16_t curve;			/* TPM_ECC_CURVE, ECC only */
	EVP_PKEY *pkey;
	uint8_t name[TPM_NAME_MAX];	/* TPM 2.0 Part 1, 16 */
	size_t name_size;
};

/* Exactly size bytes; a key that is not on its curve is refused. */
int tpm_key_read(const uint8_t *data, size_t size, struct tpm_key **out,
    struct err *err);
/* The same in a TPM2B_PUBLIC, as tpm2-tools write it. */
int tpm_key_read_2b(const uint8_t *data, size_t size, struct tpm_key **out,
    struct err *err);
/* Another one of the same key; NULL: no memory. */
struct tpm_key *tpm_key_share(const struct tpm_key *key);
void tpm_key_free(struct tpm_key *key);

/* A restricted signing key that was made in the TPM and cannot leave it, so
 * that what it signs as a quote is a quote. The AK's name must besides have
 * been proven by credential activation. */
int tpm_key_check_ak(const struct tpm_key *key, struct err *err);
/* A restricted decryption key that was made in the TPM and cannot leave it. */
int tpm_key_check_ek(const struct tpm_key *key, struct err *err);

/* The qualified name (Part 1, 16.5) that a quote's qualifiedSigner must be for
 * a key of the endorsement hierarchy: a child of the EK, which is a primary
 * object there, or (parent NULL) itself a primary object. Writes name_size
 * bytes. */
int tpm_key_qualified_name(const struct tpm_key *key,
    const struct tpm_key *parent, uint8_t out[TPM_NAME_MAX],
    struct err *err);

#endif
