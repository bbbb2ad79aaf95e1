/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * KMIP's envelope (KMIP 1.4, 7; KMIP 2.0, 8): a request and a response message
 * with a header and one batch item. Requests carry a Unique Batch Item ID by
 * which the answer is known to be to this request.
 */
#ifndef TRUST_AUTHORITY_KMIP_MESSAGE_H
#define TRUST_AUTHORITY_KMIP_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "trust-authority/kmip/kmip.h"

struct request {
	struct kmip_version version;
	uint32_t operation;
	uint64_t id;
	size_t message, item, payload;	/* where these structures began */
};

struct response {
	struct kmip_version version;
	uint32_t status;
	uint32_t reason;		/* 0 where it gives none */
	char message[KMIP_TEXT_SIZE];	/* cut where it is longer */
	struct buf payload;		/* empty where there is none */
};

/* Writes all up to the payload's first item; *r needs version, operation and
 * id. */
void request_begin(struct buf *out, struct request *r);
int request_end(struct buf *out, const struct request *r);

/* A whole message, header first: that it is well formed and answers *r. A
 * refusal by the KMS is no error here: see response.status. ERR_FORMAT. */
int response_read(const void *data, size_t size, const struct request *r,
    struct response *response, struct err *err);

/* Sets *err to what the KMS said, with the code that suits the reason (see
 * kmip.h). */
int response_error(const struct response *response, uint32_t operation,
    struct err *err);

void version_put(struct buf *out, struct kmip_version version);
int version_get(struct buf *in, struct kmip_version *version);
/* < 0, 0, > 0 as in strcmp. */
int version_compare(struct kmip_version a, struct kmip_version b);

#endif
