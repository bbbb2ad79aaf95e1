/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Public areas (TPMT_PUBLIC, TPM 2.0 Part 2, 12.2.4) of restricted decryption
 * keys: the templates that EKs and SRKs are made from, and reading what the
 * TPM made.
 */
#ifndef VTPM_TPM_PUBLIC_H
#define VTPM_TPM_PUBLIC_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TPM_ALG_RSA 0x0001u
#define TPM_ALG_ECC 0x0023u

/* A template, and where the TCG wants the key and its certificate. */
struct tpm_template {
	const char *name;	/* "rsa2048", "p384", "p256" */
	uint16_t type;		/* TPM_ALG_RSA or TPM_ALG_ECC */
	uint16_t name_hash;
	uint32_t attributes;	/* TPMA_OBJECT */
	const uint8_t *policy;
	uint16_t policy_size;
	uint16_t aes_bits;	/* of the storage key's AES-CFB */
	uint16_t bits_or_curve;
	uint16_t unique_size;	/* zero bytes in each field of unique */
	uint32_t handle;	/* persistent */
	uint32_t cert_index;	/* NV index of the certificate; 0: none */
};

/* By name; NULL where there is none. */
const struct tpm_template *tpm_template_ek(const char *name);
const struct tpm_template *tpm_template_srk(const char *name);
/* Every EK template in turn, NULL after the last. */
const struct tpm_template *tpm_template_ek_at(size_t i);

/* Writes the TPMT_PUBLIC to out; *size is its room and becomes its size. */
int tpm_template_write(const struct tpm_template *t, uint8_t *out,
    size_t *size, struct err *err);

/* The key in a TPMT_PUBLIC. The pointers point into it. */
struct tpm_public {
	uint16_t type;
	uint32_t attributes;
	uint32_t rsa_exponent;
	uint16_t curve;		/* TPM_ECC_CURVE */
	const uint8_t *x, *y;	/* modulus, or the point */
	size_t x_size, y_size;
};

int tpm_public_read(const uint8_t *data, size_t size, struct tpm_public *p,
    struct err *err);

#endif
