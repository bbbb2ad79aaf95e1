/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What all certificates made here share, over libcrypto: serial number,
 * validity, extensions, key identifiers, signature. RFC 5280.
 *
 * Everything runs in the OSSL_LIB_CTX given: the default one is libtpms's.
 */
#ifndef VTPM_X509_H
#define VTPM_X509_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "base/err.h"

#define X509_KEY_ID_SIZE 20
#define X509_SERIAL_SIZE 16
/* RFC 5280 4.1.2.5: "no well-defined expiration date". */
#define X509_FOREVER "99991231235959Z"

/* A version 3 certificate with a random serial number, valid from now on for
 * ever. X509_free it. */
int x509_begin(X509 **out, OSSL_LIB_CTX *ctx, struct err *err);
/* value: the DER of the extension's own type. */
int x509_add_extension(X509 *x, const char *oid, bool critical,
    const struct buf *value, struct err *err);
/* keyUsage, from bit numbers of RFC 5280 4.2.1.3 as a mask, bit 0 first. */
int x509_add_key_usage(X509 *x, unsigned int bits, struct err *err);
int x509_add_basic_constraints(X509 *x, bool ca, int path_length,
    struct err *err);
int x509_add_authority_key_id(X509 *x,
    const uint8_t id[X509_KEY_ID_SIZE], struct err *err);
/* RFC 7093 2, method 1: SHA-256 of the public key's bits, cut to 160. */
int x509_key_id(const X509 *x, OSSL_LIB_CTX *ctx,
    uint8_t id[X509_KEY_ID_SIZE], struct err *err);
/* ECDSA with SHA-384. */
int x509_sign(X509 *x, EVP_PKEY *key, OSSL_LIB_CTX *ctx, struct err *err);
/* Positive, 127 bits, no leading zero octet (RFC 5280 4.1.2.2). */
int x509_serial(OSSL_LIB_CTX *ctx, uint8_t serial[X509_SERIAL_SIZE],
    struct err *err);

#define X509_DIGITAL_SIGNATURE (1u << 0)
#define X509_KEY_ENCIPHERMENT (1u << 2)
#define X509_KEY_AGREEMENT (1u << 4)
#define X509_KEY_CERT_SIGN (1u << 5)
#define X509_CRL_SIGN (1u << 6)

#endif
