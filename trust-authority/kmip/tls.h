/* SPDX-License-Identifier: BSD-3-Clause */
/* TLS as we want it towards a KMS (KMIP Profiles 2.0, 3.1). */
#ifndef TRUST_AUTHORITY_KMIP_TLS_H
#define TRUST_AUTHORITY_KMIP_TLS_H

#include <openssl/types.h>

#include "trust-authority/kmip/kmip.h"

/* TLS 1.2 at least, AES-GCM with ephemeral keys unless the configuration says
 * otherwise, our certificate, the server's checked against ca_file alone. */
int tls_context_new(const struct kmip_config *config, SSL_CTX **out,
    struct err *err);

/* A client on fd, which must present a certificate for name: a DNS name or an
 * IP address. */
int tls_new(SSL_CTX *ctx, int fd, const char *name, SSL **out,
    struct err *err);
/* Whether the server asked for our certificate. One that does not would give
 * its keys to anybody. */
bool tls_was_asked(SSL *ssl);

/* "WHAT: " and what the certificate check or OpenSSL's queue says, which is
 * then emptied. ERR_AUTH where certificates are the matter, else ERR_CLOSED. */
int tls_error(const SSL *ssl, const char *what, struct err *err);

#endif
