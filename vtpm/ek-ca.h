/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's certification authority for EK and platform certificates, made
 * on first use:
 *
 *	STATE_DIR/ca/root.key		ECDSA P-384, PKCS #8
 *	STATE_DIR/ca/root.pem		self-signed
 *	STATE_DIR/ca/issuing.key
 *	STATE_DIR/ca/issuing.pem	by the root; signs the certificates
 *
 * Nothing else is kept: serial numbers are random. The root key is used once
 * and may be moved away.
 */
#ifndef VTPM_EK_CA_H
#define VTPM_EK_CA_H

#include <stdbool.h>

#include <openssl/x509.h>

#include "base/buf.h"
#include "base/err.h"
#include "nvram-crypt/native.h"

struct ek_ca;

/* To sign, makes the CA where there is none (two first users at once get the
 * same one; STATE_DIR must exist) and loads the issuing key; otherwise only
 * the certificates, and a CA that is not there is ERR_NOTFOUND. Refuses
 * (ERR_REFUSED) a key that others may read. */
int ek_ca_open(struct ek_ca **out, const struct native_config *config,
    bool sign, struct err *err);
/* One whose key and certificates came from elsewhere (the trust authority's);
 * they are taken over, in any case. In crypto_context(). */
int ek_ca_from(struct ek_ca **out, X509 *issuing, X509 *root, EVP_PKEY *key,
    struct err *err);
void ek_ca_free(struct ek_ca *ca);

/* Where a revocation list of its certificates is; what it signs from then on
 * says so. The text must stay. NULL: nowhere, as for a host's own. */
void ek_ca_set_crl_url(struct ek_ca *ca, const char *url);
const char *ek_ca_crl_url(const struct ek_ca *ca);

OSSL_LIB_CTX *ek_ca_context(const struct ek_ca *ca);
EVP_PKEY *ek_ca_key(const struct ek_ca *ca);		/* of issuing */
X509 *ek_ca_issuing(const struct ek_ca *ca);
X509 *ek_ca_root(const struct ek_ca *ca);
/* The DER of an authorityKeyIdentifier that names the issuing certificate, by
 * what it calls itself if it does (RFC 5280, 4.2.1.1). */
int ek_ca_put_issuer_id(const struct ek_ca *ca, struct buf *out,
    struct err *err);

#endif
