/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EK certificates: TCG EK Credential Profile for TPM Family 2.0, v2.5,
 * section 3; and the platform certificate that names one of them
 * (platform-cert.h).
 */
#ifndef VTPM_EK_CERT_H
#define VTPM_EK_CERT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "vtpm/ek-ca.h"
#include "vtpm/tpm-public.h"

/* An NV index of libtpms holds no more (TPM_PT_NV_INDEX_MAX). */
#define EK_CERT_MAX 2048u

/* What the TPM says of itself; it goes into the certificate. */
struct ek_cert_tpm {
	uint32_t manufacturer;		/* TPM_PT_MANUFACTURER */
	uint32_t firmware;		/* TPM_PT_FIRMWARE_VERSION_1 */
	uint32_t family;		/* TPM_PT_FAMILY_INDICATOR */
	uint32_t level, revision;	/* TPM_PT_LEVEL, TPM_PT_REVISION */
};

struct ek_cert {
	uint8_t der[EK_CERT_MAX];
	size_t size;
};

/* The EK as a SubjectPublicKeyInfo (RFC 5280, 4.1), DER; OPENSSL_free it. ctx as
 * for x509.h. */
int ek_cert_public_key(OSSL_LIB_CTX *ctx, const struct tpm_public *key,
    uint8_t **der, size_t *size, struct err *err);
/* Whether a certificate that somebody else made is one for this key, and not
 * too large. */
int ek_cert_check(OSSL_LIB_CTX *ctx, const struct tpm_public *key,
    const uint8_t *der, size_t size, struct err *err);

/* key: an RSA or EC public key of ek_ca_context(ca). */
int ek_cert_make_for(struct ek_ca *ca, const struct ek_cert_tpm *tpm,
    EVP_PKEY *key, struct ek_cert *out, struct err *err);
int ek_cert_make(struct ek_ca *ca, const struct ek_cert_tpm *tpm,
    const struct tpm_public *key, struct ek_cert *out, struct err *err);

#endif
