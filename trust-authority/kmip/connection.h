/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One TLS connection to a KMS node, one request and one answer at a time. Its
 * buffer for answers is locked memory: they hold keys. Deadlines as of
 * clock_ms. After any error the connection is of no use but to be closed.
 */
#ifndef TRUST_AUTHORITY_KMIP_CONNECTION_H
#define TRUST_AUTHORITY_KMIP_CONNECTION_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "trust-authority/kmip/resolve.h"

/* The longest request that we make, and the longest answer that we take: more
 * than a thousand identifiers of Locate; a key needs 300 bytes. */
#define REQUEST_MAX 8192
#define ANSWER_MAX 65536

struct connection;

/* Where to, and whose certificate to expect there. */
struct endpoint {
	const char *host, *port, *certificate_name;
	struct resolver *resolver;
	SSL_CTX *tls;
};

/* ERR_CLOSED, ERR_AUTH for certificates, ERR_SYSTEM, ERR_CRYPTO. */
int connection_open(const struct endpoint *to, int64_t deadline,
    struct connection **out, struct err *err);
/* NULL is allowed. */
void connection_close(struct connection *c);

/* Whether it can take a request: the peer has not closed it, and has sent
 * nothing that was not asked for. Does not wait. */
bool connection_is_alive(struct connection *c);
/* When it was last used. */
int64_t connection_used(const struct connection *c);

/* Sends the request and receives one message. *answer is valid until the next
 * call or connection_forget. *begun: some of the answer had come. ERR_CLOSED,
 * ERR_AUTH; ERR_FORMAT where it does not begin as a KMIP response, or is too
 * long. */
int connection_exchange(struct connection *c, const void *request,
    size_t request_size, int64_t deadline, const uint8_t **answer,
    size_t *answer_size, bool *begun, struct err *err);
/* Wipes the answer. */
void connection_forget(struct connection *c);

#endif
