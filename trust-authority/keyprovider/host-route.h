/* SPDX-License-Identifier: BSD-3-Clause */
/* What the routes for hosts have in common. */
#ifndef TRUST_AUTHORITY_KEYPROVIDER_HOST_ROUTE_H
#define TRUST_AUTHORITY_KEYPROVIDER_HOST_ROUTE_H

#include "trust-authority/keyprovider/bearer.h"
#include "trust-authority/keyprovider/kek.h"
#include "trust-authority/keyprovider/vm-key.h"

/* What becomes of rc. A host that its token vouches for hears why, also where
 * the KMS is to blame; a VM that another owns is a conflict, which no
 * repetition mends, not a service that is busy. */
int host_answer(const struct http_request *request,
    struct http_answer *answer, int rc, struct err *err);

/* key as a JWE to the bearer's transport key. */
int host_seal(const struct bearer *b, const struct secret *key, json_t **out,
    struct err *err);

/* Bytes of a body as base64url. */
json_t *bytes_json(const void *data, size_t size);

#endif
