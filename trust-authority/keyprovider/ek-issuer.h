/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The authority's CA for the EKs of its VMs' vTPMs: certificates as a host's
 * own CA makes them (vtpm/ek-cert.h), and a revocation list (RFC 5280, 5) that has
 * those of shredded VMs.
 */
#ifndef TRUST_AUTHORITY_KEYPROVIDER_EK_ISSUER_H
#define TRUST_AUTHORITY_KEYPROVIDER_EK_ISSUER_H

#include <jansson.h>
#include <limits.h>

#include "trust-authority/common/store.h"
#include "vtpm/ek-cert.h"

#define EK_CERT_KIND "ek-cert"
/* Those of ek-cert that are revoked, so that a list needs no search. */
#define EK_REVOKED_KIND "ek-revoked"
#define EK_SERIAL_SIZE 41	/* hex, with the NUL */

struct ek_issuer_config {		/* [ek_ca] */
	/* PEM. The issuing certificate first, then those above it. */
	char certificate[PATH_MAX], key[PATH_MAX];
	char crl_url[256];
	long crl_hours;			/* between thisUpdate and nextUpdate */
};

struct ek_issuer;

int ek_issuer_new(const struct ek_issuer_config *config, struct store *store,
    struct ek_issuer **out, struct err *err);
/* NULL is allowed. */
void ek_issuer_free(struct ek_issuer *e);

/* spki: DER of a SubjectPublicKeyInfo: RSA of 2048 to 4096 bits, P-256 or
 * P-384; else ERR_USAGE. */
int ek_issuer_make(struct ek_issuer *e, const uint8_t *spki, size_t size,
    const struct ek_cert_tpm *tpm, struct ek_cert *out,
    char serial[EK_SERIAL_SIZE], struct err *err);
/* The CA's certificates: PEM; DER in base64url, in the file's order. */
const char *ek_issuer_pem(const struct ek_issuer *e);
json_t *ek_issuer_chain(const struct ek_issuer *e);
const char *ek_issuer_crl_url(const struct ek_issuer *e);

/* DER; free it. At most a minute old. */
int ek_issuer_crl(struct ek_issuer *e, uint8_t **out, size_t *size,
    struct err *err);
/* Something was revoked: the next list is made anew. */
void ek_issuer_revoked(struct ek_issuer *e);

#endif
