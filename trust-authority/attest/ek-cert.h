/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Endorsement key certificates (TCG EK Credential Profile 2.4 and 2.5) against
 * the CAs that an administrator has imported. Each imported certificate is an
 * anchor of its own: who imports a manufacturer's intermediate CA need not
 * trust all that its root ever signs.
 */
#ifndef ATTEST_EK_CERT_H
#define ATTEST_EK_CERT_H

#include <time.h>

#include "trust-authority/attest/tpm-key.h"

#define EK_CERT_MAX 8192	/* bytes of one; real ones have 1 to 2 kB */

struct ek_trust;
struct ek_trust *ek_trust_new(struct err *err);
void ek_trust_free(struct ek_trust *trust);
/* One or more CA certificates, PEM. A certificate that is no CA is refused,
 * and so is a text with none. Adds all or nothing. */
int ek_trust_add_pem(struct ek_trust *trust, const char *pem, size_t size,
    struct err *err);
size_t ek_trust_count(const struct ek_trust *trust);

/* Who made the TPM, of the certificate's subjectAltName, as it says
 * ("id:53544D20" is shown as "STM"); empty where it does not. */
struct ek_maker {
	char manufacturer[32], model[65], version[33];
};

/* cert is DER, maybe with the padding of its NV index behind it; intermediates
 * (PEM, may be NULL) are untrusted helpers for the chain. Checks the chain at
 * `now`, the key usage for endorsement, and that the certified key is ek's. */
int ek_cert_verify(const struct ek_trust *trust, const uint8_t *cert,
    size_t size, const char *intermediates, const struct tpm_key *ek,
    time_t now, struct ek_maker *maker, struct err *err);

/* For a host whose EK was imported instead: pem is its SubjectPublicKeyInfo. */
int ek_imported_verify(const char *pem, size_t size, const struct tpm_key *ek,
    struct err *err);

/* SHA-256 over the EK's SubjectPublicKeyInfo, by which hosts are listed. */
int ek_fingerprint(const struct tpm_key *ek, uint8_t out[HASH_MAX],
    struct err *err);

#endif
