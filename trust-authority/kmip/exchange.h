/* SPDX-License-Identifier: BSD-3-Clause */
/* One operation over one connection. */
#ifndef TRUST_AUTHORITY_KMIP_EXCHANGE_H
#define TRUST_AUTHORITY_KMIP_EXCHANGE_H

#include "trust-authority/kmip/connection.h"
#include "trust-authority/kmip/operations.h"

struct outcome {
	/* The node is at fault: it did not answer, or not in KMIP. The
	 * connection is of no use any more. */
	bool fault;
	/* Some of the request may have arrived. */
	bool sent;
	/* Some of an answer has come; a whole one in KMIP has. */
	bool begun, answered;
	uint32_t reason;	/* of the KMS's refusal; 0 for none */
};

/* 0; or a code with *err, and *o says what to make of it. */
int exchange(struct connection *c, struct kmip_version version,
    const struct operation *op, const void *in, void *out, int64_t deadline,
    struct outcome *o, struct err *err);

/* Finds the highest version up to max that both sides speak. ERR_UNSUPPORTED
 * where there is none. */
int exchange_versions(struct connection *c, struct kmip_version max,
    int64_t deadline, struct kmip_version *version, struct outcome *o,
    struct err *err);

#endif
