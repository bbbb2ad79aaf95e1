/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRUST_AUTHORITY_KEYPROVIDER_CRL_H
#define TRUST_AUTHORITY_KEYPROVIDER_CRL_H

#include <time.h>

#include "trust-authority/common/store.h"
#include "vtpm/ek-ca.h"

/* A revocation list (RFC 5280, 5) of what the store has as revoked. *out is
 * DER, malloc'ed. */
int crl_make(const struct ek_ca *ca, struct store *store, time_t now,
    time_t next, uint8_t **out, size_t *size, struct err *err);

#endif
