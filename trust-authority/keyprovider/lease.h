/* SPDX-License-Identifier: BSD-3-Clause */
/* Leases, many at once. */
#ifndef TRUST_AUTHORITY_KEYPROVIDER_LEASE_H
#define TRUST_AUTHORITY_KEYPROVIDER_LEASE_H

#include "trust-authority/keyprovider/bearer.h"
#include "trust-authority/keyprovider/epoch.h"

#define LEASES_MAX 500
#define LEASE_REASON_SIZE 256

/* Why epoch is its asker's no more. */
void lease_reason(const struct epoch_record *r, uint64_t epoch,
    char out[LEASE_REASON_SIZE]);

/* json: the body of POST /v1/leases. */
int leases_renew(struct kmxd *k, const struct bearer *b, const json_t *json,
    json_t **out, struct err *err);

#endif
