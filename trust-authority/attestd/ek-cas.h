/* SPDX-License-Identifier: BSD-3-Clause */
/* The CAs of EK certificates that administrators have imported, from the store
 * and ready for use. */
#ifndef ATTESTD_EK_CAS_H
#define ATTESTD_EK_CAS_H

#include "trust-authority/attest/ek-cert.h"
#include "trust-authority/common/store.h"

#define KIND_EK_CA "ek-ca"
/* A record that changes with each of them: who has read it needs to read the
 * list again only when its version is another. */
#define KIND_EK_CA_HEAD "ek-ca-head"
#define EK_CA_HEAD_KEY "head"

struct ek_cas;

/* NULL: no memory. */
struct ek_cas *ek_cas_new(struct store *store);
/* NULL is allowed. */
void ek_cas_free(struct ek_cas *c);
/* ek_cert_verify against those in the store now. */
int ek_cas_verify(struct ek_cas *c, const uint8_t *cert, size_t size,
    const char *intermediates, const struct tpm_key *ek, struct err *err);

#endif
