/* SPDX-License-Identifier: BSD-3-Clause */
/* The least of an HTTPS client: JSON over one connection, a call at a time, so
 * that what is measured is the server. Full handshakes, as hosts make them. */
#ifndef BENCH_HTTPS_H
#define BENCH_HTTPS_H

#include <jansson.h>
#include <openssl/types.h>

#include "base/err.h"

struct https;

/* certificate and key may be NULL. */
int https_context(const char *ca, const char *certificate, const char *key,
    SSL_CTX **out, struct err *err);
void https_context_free(SSL_CTX *ctx);

/* To 127.0.0.1; the certificate must be the CA's, and say localhost. */
int https_connect(SSL_CTX *ctx, int port, struct https **out,
    struct err *err);
void https_close(struct https *h);

/* body and bearer may be NULL. *out (may be NULL) is the answer's JSON, NULL
 * where it has none. An error for any status but 2xx. */
int https_call(struct https *h, const char *method, const char *path,
    const char *bearer, const char *body, json_t **out, struct err *err);

#endif
