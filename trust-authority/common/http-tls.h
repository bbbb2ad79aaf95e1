/* SPDX-License-Identifier: BSD-3-Clause */
/* TLS of the services. TLS 1.2 (AES-GCM with ephemeral keys) and 1.3. */
#ifndef TRUST_AUTHORITY_COMMON_HTTP_TLS_H
#define TRUST_AUTHORITY_COMMON_HTTP_TLS_H

#include <openssl/types.h>
#include <time.h>

#include "trust-authority/common/http.h"

/* certificate: PEM, its chain after it. client_ca: PEM of the CAs whose client
 * certificates are taken; one is asked for then and checked when it comes, but
 * need not come. NULL: not asked for. */
int http_tls_new(const char *certificate, const char *key,
    const char *client_ca, SSL_CTX **out, struct err *err);

/* Who the peer is, by its certificate; *ends is when that ends. */
void http_tls_peer(SSL *ssl, struct http_peer *peer, time_t *ends);

#endif
